"""A holder that sleeps serves no more than a dead one: its standby may hold what is left of the state."""

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.errors import Refused
from spotguard.domain.ids import ReplicaId
from spotguard.domain.instances import Mode
from spotguard.store import plans
from spotguard.store.tables import instances
from tests.coordinator.scene import A, Scene
from tests.coordinator.test_another_boot import ready


def test_the_standby_of_one_that_sleeps_is_not_ended_by_a_click():
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(pool=A, mode=Mode.ONDEMAND, manual_replica_enabled=True)
    scene.run(900, until=lambda: ready(scene, agent) is not None)
    scene.run(120)
    old, replica = scene.serving(agent), ready(scene, agent)
    scene.guests.pop(old)
    scene.ec2.controls.configure_hibernation(old)
    scene.run(60)
    scene.ec2.controls.hibernate(old)
    scene.run(120)
    assert scene.row(instances, instances.c.id == old).ec2_state == "stopped"
    assert scene.serving(agent) == old, "nobody takes over from one that sleeps"

    with pytest.raises(Refused, match="nobody serves"):
        scene.db.write(
            lambda tx: plans.end_replica(
                tx, scene.now, client_id=scene.client_id, agent_id=agent, replica_id=ReplicaId(replica.id)
            )
        )
    scene.run(900)
    assert replica.instance_id in scene.running()
