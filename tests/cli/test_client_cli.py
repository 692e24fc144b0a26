"""`spotguard client`: the token is shown once; what is listed shows none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from spotguard.store import tenants
from spotguard.store.secrets import hash_token


def whose(database, token: str) -> str | None:
    row = database.read(lambda tx: tenants.client_of_token(tx, hash_token(token)))
    return None if row is None else row.id


def test_a_new_client_gets_its_token_once(shell, database):
    made = shell.json("client", "create", "Acme", "--email", "ops@acme.example", "--executor", "server")
    assert whose(database, made["token"]) == made["client_id"]
    listed = shell.json("client", "list")["clients"]
    assert [(c["id"], c["name"], c["email"], c["executor"]) for c in listed] == [
        (made["client_id"], "Acme", "ops@acme.example", "server")
    ]
    assert made["token"] not in shell.run("client", "list").stdout


def test_a_token_that_nobody_could_read_is_not_lost_in_silence(shell, database):
    """Run as a process: what stdout is belongs to the shell that started it."""
    command = [sys.executable, "-c", "from spotguard.cli.main import app; app()", "client", "create"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*command, "Acme"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0].endswith("gives another")
    assert shell.json("client", "rotate-token", "Acme")["token"]
    closed = ["sh", "-c", 'exec "$@" >&-', "sh", *command, "Other"]
    done = subprocess.run(closed, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, "nothing was done" in done.stderr) == (1, True)
    assert len(shell.json("client", "list")["clients"]) == 1


def test_people_read_it_line_by_line(shell, database):
    told = shell.run("client", "create", "Acme").stdout
    token = next(line.split()[1] for line in told.splitlines() if line.startswith("token"))
    assert whose(database, token) is not None
    assert "cannot be shown again" in told
    table = shell.run("client", "list").stdout.splitlines()
    assert table[0].split() == ["ID", "NAME", "E-MAIL", "EXECUTOR", "CREATED"]
    assert whose(database, token) in table[1]


def test_a_name_is_never_markup(shell):
    shell.json("client", "create", "[red]x[/red]")
    assert "[red]x[/red]" in shell.run("client", "list").stdout


def test_rotating_shuts_the_former_token_out(shell, database):
    made = shell.json("client", "create", "Acme")
    new = shell.json("client", "rotate-token", "Acme")
    assert new["client_id"] == made["client_id"]
    assert whose(database, made["token"]) is None
    assert whose(database, new["token"]) == made["client_id"]


def test_wrong_names_are_one_clear_line(shell):
    assert "no client 'Nobody'" in shell.fails("client", "rotate-token", "Nobody")
    assert "printable characters" in shell.fails("client", "create", " ", code=2)
    shell.json("client", "create", "Acme")
    assert "choose another name" in shell.fails("client", "create", "Acme")


ROLE = "arn:aws:iam::123456789012:role/spotguard"


def test_an_account_is_named_with_the_client_and_shown_with_its_external_id(shell):
    made = shell.json("client", "create", "Acme", "--region", "ap-south-1", "--role-arn", ROLE)
    assert (made["region"], made["role_arn"]) == ("ap-south-1", ROLE)
    shown = shell.json("client", "account", "Acme")
    assert shown["account"] == {key: made[key] for key in ("region", "role_arn", "external_id")}
    assert made["external_id"] in shell.run("client", "account", "Acme").stdout
    assert "sts:ExternalId" in shell.run("client", "account", "Acme").stdout


def test_two_clients_never_share_an_external_id(shell):
    ids = {shell.json("client", "create", name, "--region", "eu-west-1")["external_id"] for name in "AB"}
    assert len(ids) == 2


def test_an_account_changes_and_keeps_its_external_id(shell):
    shell.json("client", "create", "Acme")
    assert shell.json("client", "account", "Acme")["account"] is None
    assert "does not call EC2" in shell.run("client", "account", "Acme").stdout
    first = shell.json("client", "account", "Acme", "--region", "eu-west-1")["account"]
    assert first["role_arn"] is None
    second = shell.json("client", "account", "Acme", "--role-arn", ROLE, "--executor", "server")
    assert second["executor"] == "server"
    assert second["account"] == {**first, "role_arn": ROLE}
    moved = shell.json("client", "account", "Acme", "--region", "eu-west-2")["account"]
    assert moved == {**first, "role_arn": ROLE, "region": "eu-west-2"}
    assert shell.json("client", "account", "Acme", "--own-credentials")["account"]["role_arn"] is None
    assert shell.json("client", "account", "Acme", "--forget")["account"] is None
    anew = shell.json("client", "account", "Acme", "--region", "eu-west-2")["account"]
    assert anew["external_id"] != first["external_id"], "as the help of --forget says"


def test_a_wrong_account_is_one_clear_line_and_makes_nothing(shell):
    assert "not an AWS region" in shell.fails("client", "create", "Acme", "--region", "ap-south-1a", code=2)
    assert shell.json("client", "list")["clients"] == []
    assert "add --region" in shell.fails("client", "create", "Acme", "--role-arn", ROLE, code=2)
    shell.json("client", "create", "Acme")
    assert "add --region" in shell.fails("client", "account", "Acme", "--role-arn", ROLE, code=2)
    told = shell.fails(
        "client", "account", "Acme", "--region", "eu-west-1", "--role-arn", "arn:aws:iam::1:user/x", code=2
    )
    assert "not the ARN of a role" in told
    assert "exclude" in shell.fails("client", "account", "Acme", "--forget", "--region", "eu-west-1", code=2)
