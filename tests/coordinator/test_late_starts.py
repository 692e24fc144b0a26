"""EC2 shows a start late: a look that begins after the next boot has registered shows that it is stopped still."""

from datetime import timedelta

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.clock import rfc3339
from spotguard.domain.instances import InstanceState, Mode
from spotguard.store import agents as agent_rows
from spotguard.store.tables import epoch_grants
from tests.coordinator.scene import A, Scene
from tests.coordinator.test_another_boot import ready, registered


class Late:
    """EC2 that goes on showing what it showed of one instance before its start (eventual consistency)."""

    def __init__(self, scene, machine):
        self._ec2, self._machine = scene.ec2, machine
        (self._stale,) = scene.ec2.describe_instances([machine])
        assert self._stale.state is InstanceState.STOPPED

    def describe_instances(self, *asked, **more):
        shown = self._ec2.describe_instances(*asked, **more)
        return tuple(self._stale if v.instance_id == self._machine else v for v in shown)

    def __getattr__(self, name):
        return getattr(self._ec2, name)


@pytest.mark.parametrize("who_looks", ["the same coordinator", "another one, after a failover"])
def test_a_start_that_ec2_shows_late_is_no_death_of_the_boot_that_has_registered(who_looks):
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(pool=A, mode=Mode.ONDEMAND, manual_replica_enabled=True)
    scene.run(600, until=lambda: ready(scene, agent) is not None)
    scene.run(60)
    old = scene.serving(agent)
    scene.guests.pop(old)
    scene.mute.add(old)
    scene.clock.time += timedelta(seconds=10)
    scene.ec2.controls.stop(old)
    scene.clock.time += timedelta(seconds=30)
    late = Late(scene, old)
    begun = scene.now
    scene.ec2.controls.start(old)
    scene.clock.time += timedelta(seconds=30)
    token = registered(scene, old, rfc3339(begun))
    caller = scene.db.read(lambda tx: agent_rows.caller_of_token(tx, scene.now, token))
    assert (agent_rows.role_of(caller), caller.epoch) == ("primary", 2), "it is told to serve, and opens"
    scene.clock.time += timedelta(seconds=5)

    coordinator = scene.coordinator if who_looks.startswith("the same") else scene.new_coordinator("two")
    coordinator.ctx.clouds = lambda _client: late
    coordinator.run_pass()
    for _ in range(3):
        scene.clock.time += timedelta(seconds=5)
        coordinator.run_pass()
    grants = [(g.epoch, g.instance_id, g.proof) for g in scene.rows(epoch_grants)]
    assert scene.ec2.describe_instances([old])[0].state == "running"
    assert scene.serving(agent) == old, grants
