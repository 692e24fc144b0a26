"""A standby registers anew and hears nothing, after the move to it has begun: that ends, and the old one serves."""

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.instances import Mode
from spotguard.domain.switches import Step
from spotguard.store.tables import switches
from tests.coordinator.scene import Scene
from tests.coordinator.test_another_boot import registered
from tests.coordinator.test_newly_registered_standbys import with_a_standby


@pytest.mark.parametrize("why", ["a click", "a notice"])
def test_nothing_is_granted_to_it_before_it_has_spoken_with_its_token(why):
    scene = Scene(executor=Executor.SERVER)
    agent, replica = with_a_standby(scene, mode=Mode.SPOT, manual_replica_enabled=True)
    old = scene.serving(agent)
    if why == "a click":
        scene.promote(agent, replica.id)
    else:
        scene.ec2.controls.interrupt(old, notice_seconds=120)
        scene._signal(old)
    assert Step.ENROLLED in scene.steps(scene.last_move(agent).id)
    registered(scene, replica.instance_id, "1")
    scene.guests.pop(replica.instance_id)
    scene.mute.add(replica.instance_id)
    scene.run(900)
    (moved,) = [move for move in scene.rows(switches) if move.replica_id == replica.id]
    assert moved.ended_because == f"{replica.instance_id} hears nothing of the server"
    assert scene.serving(agent) != replica.instance_id
    assert scene.is_open(agent)
