"""The server is away from right after a promotion on: what it says of the holder when it is back, before anybody could
speak to it.
"""

from datetime import timedelta

from spotguard.domain.agents import Executor
from spotguard.domain.instances import Mode
from spotguard.store.tables import agent_events
from tests.coordinator.scene import Scene
from tests.coordinator.test_another_boot import registered
from tests.coordinator.test_newly_registered_standbys import with_a_standby


def test_it_does_not_advise_to_terminate_who_serves():
    scene = Scene(executor=Executor.SERVER)
    agent, replica = with_a_standby(scene, mode=Mode.ONDEMAND, state_gib=None, manual_replica_enabled=True)
    old, standby = scene.serving(agent), replica.instance_id
    scene.guests.pop(old)
    scene.ec2.controls.fail_instance(old)
    for _ in range(60):
        scene.clock.time += timedelta(seconds=5)
        scene.coordinator.run_pass()
        if scene.serving(agent) == standby:
            break
        scene.live()
    assert scene.serving(agent) == standby
    # it hears of its epoch, opens and serves; its report of that, and every heartbeat, find no server
    scene.clock.time += timedelta(minutes=20)
    scene.coordinator.ctx.waits_since = scene.now  # as `coordinator.runner` notes it
    scene.coordinator.run_pass()  # as it comes up; a heartbeat comes every half minute
    scene.run(120)
    assert scene.is_open(agent)
    late = [e.message for e in scene.rows(agent_events, agent_events.c.kind == "step_late")]
    assert not [message for message in late if "or terminate it" in message], late


def test_it_does_not_advise_to_terminate_a_standby_that_it_could_not_hear():
    """It had registered in the server's last second; its primary died in the absence."""
    scene = Scene(executor=Executor.SERVER)
    agent, replica = with_a_standby(scene, mode=Mode.ONDEMAND, state_gib=None, manual_replica_enabled=True)
    old, standby = scene.serving(agent), replica.instance_id
    token = registered(scene, standby, "1")
    scene.guests.pop(old)
    scene.ec2.controls.fail_instance(old)
    scene.clock.time += timedelta(minutes=20)
    scene.coordinator.ctx.waits_since = scene.now
    for _ in range(3):
        scene.coordinator.run_pass()
        scene.clock.time += timedelta(seconds=5)
    scene.guests[standby].token_hash = token  # it calls again, as it has all the time
    scene.run(300, until=scene.serves_elsewhere(agent, old))
    assert scene.serving(agent) == standby
    told = [e.message for e in scene.rows(agent_events, agent_events.c.kind == "instance_ended")]
    assert not [message for message in told if "or terminate it" in message], told
