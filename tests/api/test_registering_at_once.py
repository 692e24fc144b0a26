"""An instance that is told of twice in one moment, on a database whose transactions do not wait for one another: the
second read that there was none.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
import sqlalchemy as sa

from spotguard.domain.errors import NotFound, Refused
from spotguard.domain.ids import InstanceId
from spotguard.domain.instances import Mode
from spotguard.domain.pools import parse_pool_id
from spotguard.store import registration, report_ends
from spotguard.store.database import Database
from spotguard.store.tables import agent_tokens, agents, instances, pool_looks
from tests.api.world import POOL_B, Machine, Tenant, World, instance_id

NEW = InstanceId(instance_id(500))


def newcomer(**more: Any) -> registration.Newcomer:
    said = {
        "logical_agent_id": "web",
        "instance_id": NEW,
        "boot_id": "boot-500",
        "pool": parse_pool_id(POOL_B),
        "mode": Mode.SPOT,
        "ami_id": None,
        "agent_version": "1",
        "hostname": "host",
        "private_ip": "10.0.0.9",
        "public_ip": None,
    }
    return registration.Newcomer(**(said | more))


def written(world: World, tenant: Tenant, who: registration.Newcomer, agent_id: str) -> Any:
    """By a call that read no row of it."""

    def work(tx: sa.Connection) -> Any:
        agent = tx.execute(sa.select(agents).where(agents.c.id == agent_id)).one()
        return registration.write_instance(tx, world.clock.now(), tenant.id, agent, who, None)

    return world.write(work)


def test_the_second_of_two_registrations_goes_on_with_what_the_first_has_written(
    world: World, acme: Tenant, web: Machine
):
    web.prices({POOL_B: 0.03})
    assert written(world, acme, newcomer(), web.agent_id) is None
    former = written(world, acme, newcomer(hostname="renamed"), web.agent_id)
    assert (former.boot_id, former.hostname) == ("boot-500", "host")
    (row,) = world.rows(instances, instances.c.id == NEW)
    assert row.hostname == "renamed"


def test_it_takes_up_nobody_elses_instance_by_that(world: World, acme: Tenant, web: Machine):
    db = world.register(acme, "db", letter="b")
    with pytest.raises(Refused, match="belongs to another logical agent"):
        written(world, acme, newcomer(instance_id=InstanceId(db.id)), web.agent_id)
    stranger = world.register(world.tenant("Other"), letter="b")
    with pytest.raises(NotFound, match="no such instance of this client"):
        written(world, acme, newcomer(instance_id=InstanceId(stranger.id)), web.agent_id)


def test_a_report_that_names_an_instance_which_registers_meanwhile_leaves_that_as_it_is(
    world: World, acme: Tenant, moving: Machine
):
    new = world.register(acme, number=500, letter="b", hostname="its own")
    looks = len(world.rows(pool_looks))

    def named(tx: sa.Connection) -> None:
        move = tx.execute(sa.text("SELECT id, client_id, agent_id FROM switches")).one()
        end = report_ends.End(NEW, mode="spot", pool_id=POOL_B)
        report_ends.insert_instance(tx, world.clock.now(), move, end)

    world.write(named)
    (row,) = world.rows(instances, instances.c.id == new.id)
    assert row.hostname == "its own"
    assert len(world.rows(pool_looks)) == looks


@pytest.mark.long
def test_two_calls_at_once_are_both_answered(mariadb_database: Database):
    """The agent lost patience while its first call waited for a lock."""
    world = World(database=mariadb_database)
    acme = world.tenant()
    web = world.register(acme)
    asks, now = newcomer(), world.clock.now()
    is_written = Event()

    def first(tx: sa.Connection) -> registration.Admission:
        admitted = registration.register(tx, now, acme.id, asks)
        is_written.set()
        Event().wait(1)
        return admitted

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(world.write, first)
        assert is_written.wait(10)
        two = pool.submit(lambda: world.write(lambda tx: registration.register(tx, now, acme.id, asks)))
        answers = [one.result(), two.result()]
    assert [answer.again for answer in answers] == [False, True]
    assert {answer.agent_id for answer in answers} == {web.agent_id}
    valid = world.rows(agent_tokens, agent_tokens.c.instance_id == NEW, agent_tokens.c.revoked_at.is_(None))
    assert len(valid) == 1
