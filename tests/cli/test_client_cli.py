"""`spotguard client`: the token is shown once; what is listed shows none."""

from __future__ import annotations

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
    assert "printable characters" in shell.fails("client", "create", " ")
    shell.json("client", "create", "Acme")
    assert "choose another name" in shell.fails("client", "create", "Acme")
