"""A standby that is to be replaced is all that there is of the state until a whole pass has reached its successor."""

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.replicas import ReplicaStatus
from tests.coordinator.scene import A, Scene


@pytest.fixture
def scene():
    return Scene(executor=Executor.SERVER)


@pytest.fixture
def agent(scene):
    """Its state lies on the root: no volume outlives its machine."""
    agent = scene.protect(pool=A, terminate_wait_seconds=0, manual_replica_enabled=True, state_gib=None)
    scene.run(400, until=lambda: [r.status for r in scene.live_replicas(agent)] == [ReplicaStatus.READY])
    scene.run(300)
    return agent


def test_the_holder_dies_while_the_successor_boots(scene, agent):
    (first,) = scene.live_replicas(agent)
    old = scene.serving(agent)
    scene.ec2.controls.signal_rebalance(first.instance_id)
    scene.run(40)
    scene.ec2.terminate_instance(old)
    scene.run(900)
    assert scene.serving(agent) == first.instance_id


class Cut(Scene):
    """A holder that nobody hears feeds nobody either."""

    def _standby(self, guest):
        holder = self.guests.get(self.serving(guest.agent_id))
        if holder is not None and not holder.silent:
            super()._standby(guest)


def test_a_holder_that_cannot_feed_the_successor_dies():
    scene = Cut(executor=Executor.SERVER)
    agent = scene.protect(pool=A, terminate_wait_seconds=0, manual_replica_enabled=True, state_gib=None)
    scene.run(400, until=lambda: [r.status for r in scene.live_replicas(agent)] == [ReplicaStatus.READY])
    scene.run(300)
    (first,) = scene.live_replicas(agent)
    old = scene.serving(agent)
    scene.guests[old].silent = True
    scene.run(150)
    scene.ec2.controls.signal_rebalance(first.instance_id)
    scene.run(300)
    scene.ec2.terminate_instance(old)
    scene.run(1200)
    assert scene.serving(agent) == first.instance_id
