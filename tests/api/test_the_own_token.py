"""A launched instance that falls back to the client's token from its image hears only with a token of its own."""

from __future__ import annotations

from typing import Any

import pytest

from spotguard.domain.ids import InstanceId, SwitchId
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.store import moves
from spotguard.store.tables import epoch_grants, switch_steps
from tests.api.world import POOL_B, Machine, Tenant, World, instance_id

NEW = instance_id(500)


@pytest.fixture
def ordered(world: World, acme: Tenant, web: Machine) -> str:
    """A move is on; its id."""
    web.prices({POOL_B: 0.03}, on_demand=0.0416)
    acme.call("POST", f"/instances/{web.id}/force-switch", {"target": "pool", "pool_id": POOL_B})
    return str(web.next_command()["payload"]["switch_id"])


def lets_go(world: World, web: Machine, switch_id: str) -> tuple[str, Any]:
    """It has launched the new one, as it says, and its gate is closed for ever."""
    done = (
        "synced_at",
        "gate_closed_at",
        "delta_sent_at",
        "ami_created_at",
        "volumes_moved_at",
        "released_at",
    )
    timing = {name: world.ago(5) for name in done}
    new = {"instance_id": NEW, "mode": "spot", "pool_id": POOL_B}
    said = {"switch_id": switch_id, "new_instance": new, "timing": timing}
    reply = web.post("switch-report", said)
    assert reply.status == 200, reply
    return reply.body["status"], reply.body["target"]


def granted(world: World) -> list[str]:
    return [row.instance_id for row in world.rows(epoch_grants)]


def test_it_is_granted_nothing_before_it_has_spoken_with_its_own(
    world: World, acme: Tenant, web: Machine, ordered: str
):
    """The answer to its registration may be lost for ever: an epoch is never taken back."""
    successor = world.register(acme, letter="b", number=500)
    for _ in range(2):
        assert lets_go(world, web, ordered) == ("preparing", None)
    assert granted(world) == [web.id]
    successor.heartbeat()
    status, target = lets_go(world, web, ordered)
    assert (status, target["instance_id"]) == ("committed", NEW)
    assert granted(world) == [web.id, NEW]


def test_registered_again_it_has_another_token_and_has_to_speak_with_that(
    world: World, acme: Tenant, web: Machine, ordered: str
):
    world.register(acme, letter="b", number=500).heartbeat()
    successor = world.register(acme, letter="b", number=500)
    assert lets_go(world, web, ordered) == ("preparing", None)
    successor.heartbeat()
    assert lets_go(world, web, ordered)[0] == "committed"


@pytest.mark.parametrize("of", ["web", "db"])
def test_one_that_was_heard_before_ec2_has_named_it_is_enrolled_once_it_is_named(
    world: World, acme: Tenant, ordered: str, of: str
):
    """Its client's token does not say what it was launched for. One of another agent is not the move's."""
    world.register(acme, of, letter="b", number=500).heartbeat()
    world.write(
        lambda tx: moves.instance_named(
            tx,
            world.clock.now(),
            SwitchId(ordered),
            instance_id=InstanceId(NEW),
            launched_at=world.clock.now(),
            pool=Pool("t3.medium", "ap-south-1b"),
            mode=Mode.SPOT,
            image_id=None,
        )
    )
    steps = {row.step for row in world.rows(switch_steps)}
    assert ("enrolled" in steps) is (of == "web")
