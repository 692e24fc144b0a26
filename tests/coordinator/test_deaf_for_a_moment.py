"""A ready standby has registered, and its first word takes a moment; meanwhile its primary gets its notice."""

from spotguard.domain.agents import Executor
from tests.coordinator.scene import A, Scene
from tests.coordinator.test_another_boot import ready, registered


def test_a_notice_between_its_registration_and_its_first_word_still_goes_to_it():
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(pool=A, manual_replica_enabled=True)
    scene.run(900, until=lambda: ready(scene, agent) is not None)
    scene.run(120)
    old, replica = scene.serving(agent), ready(scene, agent)
    scene.guests[replica.instance_id].token_hash = registered(scene, replica.instance_id, "1")
    scene.ec2.controls.interrupt(old, notice_seconds=120)
    scene._signal(old)
    scene.run(600, until=lambda: scene.serving(agent) != old and scene.is_open(agent))
    assert scene.last_move(agent).replica_id == replica.id
    assert scene.serving(agent) == replica.instance_id
