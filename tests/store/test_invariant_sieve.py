"""The health page looks at fewer rows than the coordinator and finds the same, whatever of a world is spoilt."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from spotguard.cloud.simulated.physics import Climate
from spotguard.domain.ids import ClientId
from spotguard.planning.invariants import check
from spotguard.simulation.market import synthetic
from spotguard.simulation.world import World, WorldPlan
from spotguard.store import invariant_facts, invariant_sieve
from spotguard.store import tables as t
from spotguard.store.database import Database
from spotguard.store.tenants import create_client

HOURS, AGENTS, TRIES = 14, 4, 300
LOOKED_AT = {  # what of the rows any check depends on, but for moves, storage and caps, which are not sieved
    t.agents: ("epoch", "instance_id", "replica_count", "current_replica_id", "instance_count"),
    t.instances: ("agent_id", "is_active", "gate", "ec2_state", "current_mode", "launched_at", "drill_id"),
    t.epoch_grants: ("epoch", "instance_id", "status", "granted_at", "proof", "released_at"),
    t.replica_instances: ("agent_id", "instance_id", "status", "replica_type", "is_active"),
    t.handover_tickets: ("epoch", "to_instance_id", "status"),
}


class Undone(Exception):
    """A spoilt cell is whole again."""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Agents that have been moved, have had standbys, and were interrupted."""
    database = Database.open(f"sqlite:///{tmp_path_factory.mktemp('sieve')}/world.sqlite3")
    database.upgrade()
    plan = WorldPlan(market=synthetic(seed=7, days=2), agents=AGENTS, seed=7, climate=Climate())
    played = World(plan, database)
    played.run_until(played.started_at + timedelta(hours=HOURS))
    yield played
    played.close()


def a_cell(tx: sa.Connection, dice: random.Random) -> tuple[sa.Table, Any, str, Any]:
    """A table, one of its rows and columns, and what stands in that column elsewhere, or nowhere."""
    table = dice.choice([one for one in LOOKED_AT if tx.execute(sa.select(one).limit(1)).first()])
    row, name = dice.choice(tx.execute(sa.select(table)).all()), dice.choice(LOOKED_AT[table])
    others = set(tx.scalars(sa.select(table.c[name])))
    return table, row, name, dice.choice([*sorted(others, key=repr), None, 0, 1, 2])


def found(tx: sa.Connection, world: World, client_id: ClientId) -> list[list[str]]:
    """What the whole and what the sieve's rows show."""
    now = world.clock.now()
    looks = (
        invariant_facts.gather(tx, now, client_id),
        invariant_facts.gather_doubtful(tx, now, client_id),
    )
    return [sorted(f"{one.invariant}: {one.what}" for one in check(facts)) for facts in looks]


def spoilt(world: World, client_id: ClientId, dice: random.Random) -> list[list[str]] | None:
    """What is found with one cell, or two, spoilt; None where the schema refuses it. Nothing stays."""
    told: list[list[list[str]]] = []

    def work(tx: sa.Connection) -> None:
        for _ in range(dice.choice([1, 1, 2])):
            table, row, column, value = a_cell(tx, dice)
            mine = sa.and_(*(one == getattr(row, one.name) for one in table.primary_key))
            tx.execute(sa.update(table).where(mine).values({column: value}))
        told.append(found(tx, world, client_id))
        raise Undone

    try:
        world.db.write(work)
    except Undone:
        return told[-1]
    except (sa.exc.SQLAlchemyError, ValueError, TypeError, AttributeError):
        return None  # no legal row: nobody can store it
    return None


def clear(world: World) -> tuple[ClientId, set[str], int]:
    client_id = world.db.read(lambda tx: tx.scalars(sa.select(t.clients.c.id)).first())
    doubtful = world.db.read(lambda tx: invariant_sieve.doubtful(tx, client_id))
    many = world.db.read(lambda tx: tx.scalar(sa.select(sa.func.count()).select_from(t.epoch_grants)))
    return client_id, doubtful, many


def test_a_world_in_order_is_cleared_whatever_it_has_been_through(world):
    client_id, doubtful, grants = clear(world)
    assert grants > 2 * AGENTS, "they were moved"
    assert doubtful == set()
    assert world.db.read(lambda tx: found(tx, world, client_id)) == [[], []]


def test_whatever_is_spoilt_the_sieve_lets_through(world):
    client_id, _, _ = clear(world)
    dice = random.Random(20261126)
    seen: Counter[str] = Counter()
    for number in range(TRIES):
        both = spoilt(world, client_id, dice)
        if both is None:
            continue
        whole, sieved = both
        assert whole == sieved, number
        seen.update({one.partition(":")[0] for one in whole})
    asked = {
        "one_primary",
        "the_agent_is_where_its_epoch_is",
        "every_epoch_ends_by_a_proof",
        "counters_equal_rows",
        "a_promoted_replica_was_granted",
    }
    assert asked <= seen.keys(), seen


LAUNCH = {
    "token": "ours",
    "kind": "launch",
    "resource_id": "i-0123456789abcdef0",
    "request": {},
    "status": "done",
    "voluntary": False,
}


@pytest.mark.parametrize("whose", ["an agent's", "nobody's"])
def test_a_machine_that_runs_for_nobody_is_found(world, whose):
    client_id, _, _ = clear(world)
    told: list[list[list[str]]] = []

    def work(tx: sa.Connection) -> None:
        agent = tx.execute(sa.select(t.agents).limit(1)).one()
        long_ago = world.started_at
        machine = {"id": "i-0123456789abcdef0", "client_id": client_id, "intention_token": "ours"}
        times = {"created_at": long_ago, "updated_at": long_ago}
        if whose == "an agent's":
            machine["agent_id"] = agent.id
            counted = {"instance_count": agent.instance_count + 1}
            tx.execute(sa.update(t.agents).where(t.agents.c.id == agent.id).values(counted))
        tx.execute(sa.insert(t.instances), machine | times)
        launched = LAUNCH | {"client_id": client_id, "agent_id": agent.id, "created_at": long_ago}
        tx.execute(sa.insert(t.intentions), launched)
        told.append(found(tx, world, client_id))
        raise Undone

    with pytest.raises(Undone):
        world.db.write(work)
    whole, sieved = told[-1]
    assert whole == sieved
    assert [one.partition(":")[0] for one in whole] == ["no_orphan"]


def test_with_very_many_in_doubt_all_are_looked_at(world, tmp_path):
    database = Database.open(f"sqlite:///{tmp_path}/doubt.sqlite3")
    t.metadata.create_all(database.engine)
    now = world.clock.now()
    client_id, _ = database.write(lambda tx: create_client(tx, now, "Acme"))
    rows = [
        {
            "id": f"agent-{number}",
            "client_id": client_id,
            "logical_agent_id": f"web-{number}",
            "risk_threshold": 0.3,
            "allowed_instance_types": [],
            "allowed_azs": [],
            "instance_count": 1,
            "created_at": now,
            "updated_at": now,
        }
        for number in range(invariant_facts.SUSPECT_AGENTS + 1)
    ]
    database.write(lambda tx: tx.execute(sa.insert(t.agents), rows))
    facts = database.read(lambda tx: invariant_facts.gather_doubtful(tx, now, client_id))
    assert len(check(facts)) == len(rows)
