"""`spotguard cleanup`: what would be done, what was, and nothing at all in a dry run."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from spotguard.domain.agents import PROVEN_CHECKS
from spotguard.store import leases
from spotguard.store import tables as t
from spotguard.store.demos import PLAYED
from tests.store import rows

NOW = datetime.now(UTC)
SNAPSHOT = "snap-0123456789abcdef0"


@pytest.fixture
def client_id(database):
    """With an agent that is served: else all that it has may be needed."""
    client_id = rows.with_agent(database)
    serves = {"agent_id": "agent-1", "is_active": True, "gate": "open", "healthy_streak": PROVEN_CHECKS}
    rows.add(database, t.instances, **rows.instance(client_id, **serves))
    rows.add(database, t.epoch_grants, **rows.grant())
    return client_id


def test_while_nobody_is_proven_to_serve_no_copy_is_left_over(shell, database, client_id):
    database.write(lambda tx: tx.execute(t.instances.update().values(healthy_streak=0)))
    stray(database, client_id)
    assert shell.json("cleanup", "--dry-run")["would"] == []


def stray(database, client_id, resource_id=SNAPSHOT, **values):
    row = {
        "id": resource_id,
        "client_id": client_id,
        "agent_id": "agent-1",
        "kind": "snapshot",
        "size_gib": 50,
        "state": "available",
        "usd_per_gib_month": Decimal("0.08"),
        "created_at": NOW - timedelta(hours=3),
        "metered_from": NOW - timedelta(hours=3),
    }
    rows.add(database, t.storage_resources, **row | values)


def everything(database):
    def work(tx):
        return {table.name: tx.execute(table.select()).all() for table in t.metadata.sorted_tables}

    return database.read(work)


def test_nothing_is_left_over(shell, client_id):
    told = shell.json("cleanup", "--dry-run")
    nothing = {"dry_run": True, "acted": 0, "usd_per_month": "0", "would": [], "did": []}
    assert told == {"database": shell.url, **nothing}
    assert "Nothing is left over." in shell.run("cleanup", "--dry-run").stdout


def test_a_dry_run_tells_what_why_and_when_and_changes_nothing(shell, database, client_id):
    suspect = NOW - timedelta(minutes=1)
    stray(database, client_id, suspect_since=suspect)
    before = everything(database)
    (one,) = shell.json("cleanup", "--dry-run")["would"]
    assert (one["resource_id"], one["kind"], one["client_id"]) == (SNAPSHOT, "snapshot", client_id)
    assert one["ours_because"] == "it carries our tags, set when it was made"
    assert one["loose_because"] == "no machine, move, image or agent needs it"
    assert one["plan"].startswith("deleted in the next look after ")
    assert Decimal(one["usd_per_month"]) == 4
    least = 3 * 3600
    assert least <= one["age_seconds"] <= least + (datetime.now(UTC) - NOW).total_seconds()
    said = shell.run("cleanup", "--dry-run").stdout
    assert re.search(rf"snapshot {SNAPSHOT}, 3\.\d h old, 4", said)
    assert everything(database) == before


def test_what_is_new_is_noted_by_the_first_clean_up_and_not_deleted(shell, database, client_id):
    """No account of EC2: nothing can be called, and nothing claims to have been done."""
    stray(database, client_id)
    (one,) = shell.json("cleanup", "--dry-run")["would"]
    assert (one["suspect_since"], one["plan"][:22]) == (None, "noted in the next look")
    told = shell.json("cleanup")
    assert (told["dry_run"], told["acted"], told["did"]) == (False, 0, [])
    (one,) = told["would"]
    assert one["suspect_since"] is not None
    assert [e.kind for e in everything(database)["agent_events"]] == ["leftover_found"]


def test_of_one_tenant(shell, database, client_id):
    stray(database, client_id)
    rows.client(database, "Other")
    assert shell.json("cleanup", "--dry-run", "--client", "Other")["would"] == []
    assert len(shell.json("cleanup", "--dry-run", "--client", "Acme")["would"]) == 1
    assert "nobody" in shell.fails("cleanup", "--dry-run", "--client", "nobody")


@pytest.mark.parametrize("hours", ["0", "x", "100000"])
def test_hours_are_hours(shell, hours):
    assert shell.run("cleanup", "--dry-run", "--hours", hours).exit_code == 2


def test_a_demos_database_is_told_of_by_its_own_time_and_left_as_it_is(shell, database, client_id):
    ago = NOW - timedelta(days=200)
    for kind, at, agent_id in (("leftover_deleted", ago, "agent-1"), (PLAYED, ago, None)):
        event = {"kind": kind, "message": kind, "at": at, "detail": {}, "agent_id": agent_id}
        rows.add(database, t.agent_events, client_id=client_id, **event)
    before = everything(database)
    result = shell.run("cleanup", "--dry-run", "--json")
    assert [one["kind"] for one in json.loads(result.stdout)["did"]] == ["leftover_deleted"]
    assert "a demo's database" in result.stderr
    result = shell.run("cleanup")
    assert result.exit_code == 1
    assert "nothing was cleaned up: with --dry-run" in result.stderr
    assert everything(database) == before


def test_the_database_is_named_with_a_warning_while_nobody_looks_into_it(shell, database, client_id):
    told = shell.run("cleanup", "--dry-run")
    assert told.stdout.endswith(f"Database: {shell.url}\n")
    assert f"{shell.url} is looked into by no coordinator that is alive: if your server uses" in told.stderr
    database.write(lambda tx: leases.hold(tx, datetime.now(UTC), "host:1"))
    assert shell.run("cleanup", "--dry-run").stderr == ""


def test_what_was_done_is_told(shell, database, client_id):
    for kind, ago in (("leftover_deleted", 1), ("leftover_deleted", 30), ("switch_opened", 1)):
        event = {"kind": kind, "message": f"{kind} {ago}", "at": NOW - timedelta(hours=ago), "detail": {}}
        rows.add(database, t.agent_events, client_id=client_id, agent_id="agent-1", **event)
    told = shell.json("cleanup", "--dry-run")["did"]
    assert [one["message"] for one in told] == ["leftover_deleted 1"]
    assert len(shell.json("cleanup", "--dry-run", "--hours", "48")["did"]) == 2
