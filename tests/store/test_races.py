"""What two do in the same moment, on both databases: the second decides by what the first has left."""

import threading
from collections import Counter

import pytest

from spotguard.domain.commands import CreatedBy, Priority
from spotguard.domain.errors import Refused
from spotguard.domain.instances import Mode
from spotguard.domain.pools import parse_pool_id
from spotguard.domain.switches import Trigger
from spotguard.store import deletions, moves
from spotguard.store.tables import agents, switches
from tests.api.world import POOL_A, POOL_B, POOL_C, World

CLICKS = 6


@pytest.fixture
def world(database):
    return World(database=database)


def serving(world, tenant, name):
    machine = world.register(tenant, name)
    machine.heartbeat(epoch=1, gate="open")
    machine.prices({POOL_A: 0.02, POOL_B: 0.01, POOL_C: 0.012})
    return machine


def at_once(world, works):
    """Every work in a thread and a transaction of its own, begun together; what became of each."""
    barrier, ends = threading.Barrier(len(works)), []

    def one(work):
        barrier.wait()
        try:
            world.db.write(work)
            ends.append("done")
        except Refused:
            ends.append("refused")

    threads = [threading.Thread(target=one, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Counter(ends)


def moving(world, tenant, machine):
    return lambda tx: moves.open_move(
        tx,
        world.clock.now(),
        client_id=tenant.id,
        agent_id=machine.agent_id,
        trigger=Trigger.MANUAL,
        created_by=CreatedBy.USER,
        priority=Priority.USER,
        target_pool=parse_pool_id(POOL_B),
        target_mode=Mode.SPOT,
        reason="clicked",
    )


def test_an_agent_is_deleted_or_moved_never_both(world):
    tenant = world.tenant()
    for number in range(5):
        machine = serving(world, tenant, f"web-{number}")

        def delete(tx, machine=machine):
            deletions.delete(tx, world.clock.now(), tenant.id, machine.agent_id)

        assert at_once(world, [delete, moving(world, tenant, machine)]) == {"done": 1, "refused": 1}
        row = world.rows(agents, agents.c.id == machine.agent_id)[0]
        open_moves = world.rows(switches, switches.c.agent_id == machine.agent_id)
        assert (row.status == "deleted") is (open_moves == [])


def test_a_cap_with_room_for_one_lets_one_in_however_many_ask_at_once(world):
    tenant = world.tenant()
    machines = [serving(world, tenant, f"web-{number}") for number in range(CLICKS)]
    assert tenant.call("PUT", "/limits", {"maxInstances": CLICKS + 1}).status == 200
    ends = at_once(world, [moving(world, tenant, machine) for machine in machines])
    assert ends == {"done": 1, "refused": CLICKS - 1}
