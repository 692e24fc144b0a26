"""`spotguard kill-switch`: for everybody, a client, an agent; and it says what it stops."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from spotguard.domain.agents import KillLevel
from spotguard.store import events, kill, leases
from spotguard.store import tables as t
from spotguard.store.database import Database
from spotguard.store.demos import PLAYED
from tests.store import rows


def level(database, client_id, agent_id=None) -> KillLevel:
    return database.read(lambda tx: kill.level_for(tx, client_id, agent_id))


def test_for_everybody(shell, database):
    client_id = rows.client(database)
    told = shell.json("kill-switch", "voluntary", "--reason", "maintenance")
    about = {"level": "voluntary", "client_id": "*", "scope": "*", "reason": "maintenance"}
    assert told == {"database": shell.url, **about}
    assert level(database, client_id) is KillLevel.VOLUNTARY
    assert "everybody is at none" in shell.run("kill-switch", "none", "--reason", "done").stdout
    assert level(database, client_id) is KillLevel.NONE


def test_for_a_client_and_its_people_see_it(shell, database):
    client_id, other = rows.client(database), rows.client(database, "Other")
    shell.json("kill-switch", "voluntary", "--client", "Acme", "--reason", "maintenance")
    assert (level(database, client_id), level(database, other)) == (KillLevel.VOLUNTARY, KillLevel.NONE)
    event = database.read(lambda tx: tx.execute(sa.select(t.agent_events)).one())
    assert (event.client_id, event.message) == (client_id, "kill switch at voluntary: maintenance")


def test_on_a_demos_database_it_is_written_by_the_demos_clock_and_older_rows_of_this_machines_mislead_nobody(
    shell, database
):
    client_id, then = rows.client(database), datetime(2026, 1, 5, tzinfo=UTC)
    database.write(lambda tx: events.append(tx, then, client_id, None, PLAYED, "a user moves web"))
    later = then + timedelta(days=300)
    database.write(lambda tx: events.append(tx, later, client_id, None, "kill_switch", "by another clock"))
    shell.json("kill-switch", "voluntary", "--client", "Acme")
    newest = sa.select(t.agent_events.c.at).where(t.agent_events.c.message.startswith("kill switch at"))
    assert database.read(lambda tx: tx.scalar(newest)) == then
    assert shell.json("kill-switch", "--client", "Acme")["switches"][0]["since"].startswith("2026-01-05")


def test_for_an_agent_by_id_or_name(shell, database):
    client_id = rows.with_agent(database)
    shell.json("kill-switch", "voluntary", "--agent", "agent-1", "--reason", "x")
    assert level(database, client_id, "agent-1") is KillLevel.VOLUNTARY
    assert level(database, client_id) is KillLevel.NONE
    shell.json("kill-switch", "none", "--agent", "web-1", "--client", "Acme", "--reason", "x")
    assert level(database, client_id, "agent-1") is KillLevel.NONE


def test_what_a_refusal_tells_to_type_takes_every_switch_back(shell, database):
    client_id = rows.with_agent(database)
    for whose in ((), ("--client", "Acme"), ("--agent", "agent-1")):
        shell.json("kill-switch", "voluntary", *whose)
    told = database.read(lambda tx: kill.until(tx, client_id, "agent-1"))
    assert [whom in told for whom in ("everybody", "this client", "this agent")] == [True] * 3
    for typed in re.findall(r"spotguard (kill-switch [^,]*)", told):
        assert level(database, client_id, "agent-1") is KillLevel.VOLUNTARY
        assert shell.run(*typed.split()).exit_code == 0
    assert level(database, client_id, "agent-1") is KillLevel.NONE


def test_stopping_all_says_that_nobody_is_rescued(shell):
    result = shell.run("kill-switch", "all", "--reason", "x")
    assert result.exit_code == 0
    assert "will not be rescued" in result.stderr


def test_stopping_says_that_users_moves_are_undone_and_taking_it_back_says_nothing(shell, database):
    rows.client(database)
    database.write(lambda tx: leases.hold(tx, datetime.now(UTC), "host:1"))
    told = shell.run("kill-switch", "voluntary", "--reason", "x")
    assert (told.exit_code, "users ordered" in told.stderr, "undone" in told.stderr) == (0, True, True)
    assert "rescued" not in told.stderr
    assert shell.run("kill-switch", "none", "--reason", "x").stderr == ""


def test_without_a_reason_it_says_who_turned_it(shell, database, monkeypatch):
    monkeypatch.setenv("LOGNAME", "ada")
    rows.with_agent(database)
    told = shell.json("kill-switch", "voluntary", "--agent", "agent-1")
    assert told["reason"] == "from the command line by ada"


def test_a_reason_says_something_and_somebody_exists(shell, database):
    rows.with_agent(database)
    assert "reason" in shell.fails("kill-switch", "none", "--reason", " ")
    assert "no agent 'x'" in shell.fails("kill-switch", "none", "--agent", "x", "--reason", "y")
    assert "no client 'x'" in shell.fails("kill-switch", "none", "--client", "x", "--reason", "y")


def test_without_an_argument_it_tells_how_it_stands_and_turns_nothing(shell, database):
    client_id = rows.with_agent(database)
    rows.client(database, "Other")
    nothing = {"level": "none", "client_id": "*", "scope": "*", "switches": []}
    assert shell.json("kill-switch") == {"database": shell.url, **nothing}
    shell.json("kill-switch", "voluntary", "--client", "Acme", "--reason", "maintenance")
    shell.json("kill-switch", "all", "--agent", "agent-1", "--reason", "it burns")
    before = level(database, client_id)
    told = shell.json("kill-switch")
    assert (told["level"], [one["level"] for one in told["switches"]]) == ("none", ["all", "voluntary"])
    assert shell.json("kill-switch", "--client", "Acme", "--agent", "web-1")["level"] == "all"
    assert shell.json("kill-switch", "--client", "Other")["level"] == "none"
    said = shell.run("kill-switch", "--agent", "agent-1").stdout
    assert said.startswith("The kill switch of agent agent-1 is at all.\n")
    assert ", because: it burns\n" in said
    assert level(database, client_id) is before


def test_of_a_client_the_strongest_of_its_own_and_everybodys_holds(shell, database):
    rows.with_agent(database)
    shell.json("kill-switch", "all", "--agent", "agent-1", "--reason", "x")
    shell.json("kill-switch", "voluntary", "--reason", "x")
    assert shell.json("kill-switch", "--client", "Acme")["level"] == "voluntary"


def test_a_reason_without_a_level_turns_nothing(shell):
    assert "--reason belongs to" in shell.fails("kill-switch", "--reason", "x", code=2)


def test_who_takes_one_switch_back_reads_which_are_still_on(shell, database):
    rows.with_agent(database)
    shell.json("kill-switch", "voluntary", "--client", "Acme", "--reason", "maintenance")
    shell.json("kill-switch", "all", "--agent", "agent-1", "--reason", "it burns")
    said = shell.run("kill-switch", "none").stdout
    assert "The kill switch of everybody is at none.\nStill on" in said
    assert "agent agent-1: all since" in said
    assert ", because: maintenance\n" in said
    said = shell.run("kill-switch", "none", "--agent", "agent-1").stdout
    assert "because: maintenance" in said
    assert "it burns" not in said
    assert "Still on" not in shell.run("kill-switch", "none", "--client", "Acme").stdout


def test_the_database_is_named_with_a_warning_while_nobody_looks_into_it(shell, database):
    for words in (("kill-switch", "all", "--reason", "x"), ("kill-switch",)):
        told = shell.run(*words)
        assert told.stdout.endswith(f"Database: {shell.url}\n")
        assert f"{shell.url} has no tenant and is looked into by no coordinator that is alive" in told.stderr
        assert "--database-url or SPOTGUARD_DATABASE_URL" in told.stderr
    rows.client(database)
    assert "no tenant" not in (unheard := shell.run("kill-switch").stderr)
    assert "no coordinator" in unheard
    database.write(lambda tx: leases.hold(tx, datetime.now(UTC), "host:1"))
    assert shell.run("kill-switch").stderr == ""


def test_a_password_is_not_told():
    database = Database.open("mysql+pymysql://ada:secret@db.example.com/spotguard?password=secret")
    assert database.told_url == "mysql+pymysql://ada:***@db.example.com/spotguard"
    database.dispose()
