"""A standby that registers anew and never hears the answer is chosen for a recovery, and nothing else is tried."""

from spotguard.domain.agents import Executor
from spotguard.domain.instances import Mode
from tests.coordinator.scene import A, Scene
from tests.coordinator.test_another_boot import ready, registered


def test_a_recovery_does_not_wait_for_ever_for_a_standby_that_hears_nothing():
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(pool=A, mode=Mode.ONDEMAND, manual_replica_enabled=True)
    scene.run(900, until=lambda: ready(scene, agent) is not None)
    scene.run(120)
    old, standby = scene.serving(agent), ready(scene, agent).instance_id
    registered(scene, standby, "1")  # its agent was started anew; the answer is lost with all that follows
    scene.guests.pop(standby)
    scene.mute.add(standby)
    scene.guests.pop(old)
    scene.ec2.controls.fail_instance(old)
    scene.run(4 * 3600, until=lambda: scene.serving(agent) not in (old, standby) and scene.is_open(agent))
