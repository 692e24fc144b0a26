"""A standby that registers anew and never hears the answer is chosen for a recovery, and nothing else is tried."""

from spotguard.domain.agents import Executor
from spotguard.domain.instances import Mode
from spotguard.store.tables import agent_events
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


def test_where_nothing_newer_is_left_people_hear_whose_agent_to_mend_and_what_its_end_would_cost():
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(
        pool=A,
        mode=Mode.ONDEMAND,
        state_gib=None,
        manual_replica_enabled=True,
        restore_point_hours=1,
        restore_drill_days=0,
    )
    scene.run(900, until=lambda: ready(scene, agent) is not None)
    scene.run(1800, until=lambda: bool(scene.restore_points(agent)))
    old, standby = scene.serving(agent), ready(scene, agent).instance_id
    registered(scene, standby, "1")
    scene.guests.pop(standby)
    scene.mute.add(standby)
    scene.guests.pop(old)
    scene.ec2.controls.fail_instance(old)
    scene.run(3600, until=lambda: bool(told(scene, standby)))
    assert "or terminate it, and what else is left is taken, which lacks more" in told(scene, standby)[0]
    assert scene.serving(agent) == old, "the newest copy is not given up for an older one"

    scene.ec2.controls.end_by_stranger(standby)
    scene.run(3600, until=lambda: scene.serving(agent) not in (old, standby) and scene.is_open(agent))


def told(scene, standby):
    rows = scene.rows(agent_events, agent_events.c.kind == "step_late")
    return [row.message for row in rows if f"{standby} has the newest copy that is left" in row.message]
