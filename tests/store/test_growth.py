"""Questions about the whole fleet grow with it, and not with its square: steps of SQLite are counted, not seconds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from spotguard.store import leftover_rows, views_health
from spotguard.store import tables as t
from spotguard.store.database import Database
from tests.store import rows

FEW, MANY = 50, 400
GRAIN = 100  # steps between two calls of the handler
Question = Callable[[sa.Connection], Any]


def machine_id(number: int, role: int) -> str:
    return f"i-{role:07x}{number:010x}"


def fleet(database: Database, size: int) -> None:
    """Agents whose primary SpotGuard launched, each with a standby that is ready."""
    client_id = rows.client(database)
    told = [(f"agent-{n}", f"standby-{n}", machine_id(n, 1), machine_id(n, 2), f"t-{n}") for n in range(size)]
    counted = {"epoch": 1, "instance_count": 2, "replica_count": 1}
    of_agents = [
        rows.agent(
            client_id,
            id=name,
            logical_agent_id=name,
            instance_id=serving,
            current_replica_id=standby,
            **counted,
        )
        for name, standby, serving, *_ in told
    ]
    of_grants = [rows.grant(agent_id=name, instance_id=serving) for name, _, serving, *_ in told]
    machines = [
        rows.instance(client_id, id=one, agent_id=name, intention_token=f"{token}-{role}", replica_id=standby)
        for name, standby, *both, token in told
        for role, one in enumerate(both)
    ]
    ready = {"status": "ready", "sync_status": "synced"}
    replicas = [
        rows.replica(id=standby, agent_id=name, instance_id=waiting, **ready)
        for name, standby, _, waiting, _ in told
    ]
    every = (
        (t.agents, of_agents),
        (t.instances, machines),
        (t.epoch_grants, of_grants),
        (t.replica_instances, replicas),
    )

    def fill(tx: sa.Connection) -> None:
        for table, some in every:
            tx.execute(sa.insert(table), some)

    database.write(fill)


def steps(database: Database, ask: Question) -> int:
    """How many steps of SQLite's machine an answer takes."""
    counted = 0

    def tick() -> int:
        nonlocal counted
        counted += GRAIN
        return 0

    def work(tx: sa.Connection) -> None:
        driver: Any = tx.connection.driver_connection
        driver.set_progress_handler(tick, GRAIN)
        try:
            ask(tx)
        finally:
            driver.set_progress_handler(None, 0)

    database.read(work)
    return counted


def broken_invariants(tx: sa.Connection) -> None:
    client_id = tx.scalars(sa.select(t.clients.c.id)).one()
    assert views_health.broken_invariants(tx, rows.NOW, client_id) == []


QUESTIONS: tuple[Question, ...] = (leftover_rows.orphan_machines, broken_invariants)


@pytest.mark.parametrize("ask", QUESTIONS, ids=lambda ask: ask.__name__)
def test_it_grows_with_the_fleet_and_not_with_its_square(tmp_path, ask):
    counts = []
    for size in (FEW, MANY):
        database = Database.open(f"sqlite:///{tmp_path}/{size}.sqlite3")
        t.metadata.create_all(database.engine)
        fleet(database, size)
        counts.append(steps(database, ask))
    assert 0 < counts[1] <= 1.5 * MANY / FEW * counts[0]


def test_when_a_whole_fleet_is_silent_its_count_is_told_and_the_longest_silent_of_it(sqlite_database):
    fleet(sqlite_database, MANY)
    heard = {machine_id(n, 1): rows.NOW - timedelta(hours=1, seconds=n) for n in range(MANY - 1)}

    def hear(tx: sa.Connection) -> None:
        for machine, at in heard.items():
            tx.execute(sa.update(t.instances).where(t.instances.c.id == machine).values(last_heartbeat_at=at))

    sqlite_database.write(hear)
    client_id = sqlite_database.read(lambda tx: tx.scalars(sa.select(t.clients.c.id)).one())
    silent = sqlite_database.read(lambda tx: views_health.agents_behind(tx, rows.NOW, client_id))
    assert (silent.count, len(silent.first)) == (MANY, views_health.TOLD)
    never, longest = silent.first[:2]
    assert (never.logical_agent_id, never.last_heartbeat_at) == (f"agent-{MANY - 1}", None)
    assert longest.last_heartbeat_at == min(heard.values())
