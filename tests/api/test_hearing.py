"""A server that slept, was paused or had no database calls nobody silent on its pages before it has listened again."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from spotguard.api.hearing import LONGEST, LOOK_SECONDS, Hearing
from spotguard.domain.clock import rfc3339
from spotguard.store.tables import agents
from tests.api.world import HandClock, Machine, Tenant, World

SLEPT = 30 * 60.0


@pytest.fixture
def db_machine(world: World, acme: Tenant) -> Machine:
    return world.register(acme, "db")


def awake(world: World, seconds: float) -> None:
    for _ in range(int(seconds / LOOK_SECONDS)):
        world.clock.pass_seconds(LOOK_SECONDS)
        world.app.hearing.look()


def health(acme: Tenant) -> dict[str, str]:
    return {one["logicalAgentId"]: one["health"] for one in acme.get("/agents")["items"]}


def test_after_the_servers_sleep_it_is_unknown_who_speaks_until_it_has_listened(
    world: World, acme: Tenant, web: Machine, db_machine: Machine
):
    world.app.hearing.look()
    for machine in (web, db_machine):
        machine.heartbeat(gate="open", workload_healthy=True)
    awake(world, 60)
    assert health(acme) == {"web": "healthy", "db": "healthy"}
    world.clock.pass_seconds(SLEPT)
    assert health(acme) == {"web": "unknown", "db": "unknown"}, "before anybody has looked"
    world.app.hearing.look()
    told = acme.agent(web)
    assert told["nextAction"].startswith("listen: it was last in")
    assert "the server was away itself" in told["why"]
    page = acme.get("/health")
    assert (page["agentsBehind"], page["agentsBehindCount"]) == ([], 0)
    assert page["listeningUntil"] == rfc3339(world.clock.now() + timedelta(seconds=120))
    awake(world, 60)
    web.heartbeat(gate="open", workload_healthy=True)
    awake(world, 60)
    assert health(acme) == {"web": "healthy", "db": "unknown"}
    awake(world, LOOK_SECONDS)
    assert health(acme) == {"web": "healthy", "db": "silent"}
    page = acme.get("/health")
    assert (page["agentsBehindCount"], page["listeningUntil"]) == (1, None)


def test_who_was_silent_before_it_slept_is_so_after_it(world: World, acme: Tenant, web: Machine):
    world.app.hearing.look()
    web.heartbeat()
    awake(world, 150)
    world.write(lambda tx: tx.execute(sa.update(agents).values(status="offline")))
    world.clock.pass_seconds(SLEPT)
    assert health(acme) == {"web": "silent"}
    assert acme.get("/health")["agentsBehindCount"] == 1


def test_where_nobody_looks_the_server_was_never_away(world: World, acme: Tenant, web: Machine):
    web.heartbeat()
    world.clock.pass_seconds(SLEPT)
    assert health(acme) == {"web": "silent"}
    assert acme.get("/health")["listeningUntil"] is None


def test_a_look_that_the_database_does_not_answer_is_none():
    clock, is_away = HandClock(), False

    def ask() -> None:
        if is_away:
            raise OperationalError("select 1", {}, OSError("connection refused"))

    hearing = Hearing(ask, clock)
    hearing.look()
    began = clock.now()
    clock.pass_seconds(LONGEST.total_seconds())
    assert hearing.since(clock.now()) == began
    hearing.look()
    is_away = True
    for _ in range(int(LONGEST.total_seconds() / LOOK_SECONDS) + 1):
        clock.pass_seconds(LOOK_SECONDS)
        hearing.look()
    assert hearing.since(clock.now()) == clock.now(), "whoever spoke meanwhile was not heard"
