"""A standby that EC2 shows on its way down, or stopped, is waited for by nobody: its primary's volume is fetched."""

from dataclasses import replace

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.instances import Mode
from spotguard.domain.replicas import ReplicaStatus
from spotguard.domain.switches import MoveKind
from spotguard.store.tables import switches
from tests.coordinator.scene import A, B, C, Scene


@pytest.fixture
def scene():
    return Scene(executor=Executor.SERVER)


@pytest.fixture
def agent(scene):
    """With a standby on demand, which can be stopped."""
    for pool in (A, B, C):
        scene.ec2.controls.make_dry(pool)
    agent = scene.protect(pool=A, mode=Mode.ONDEMAND, terminate_wait_seconds=0, auto_switch_enabled=False)
    scene.config(agent, manual_replica_enabled=True)
    scene.run(900, until=lambda: [row.status for row in scene.live_replicas(agent)] == [ReplicaStatus.READY])
    return agent


@pytest.mark.parametrize("seconds", [20, 1800], ids=["stopped", "stopping"])
def test_the_holder_of_one_that_somebody_has_stopped_is_recovered_from_its_volume(scene, agent, seconds):
    """EC2 goes on stopping one that hangs."""
    old, (standby,) = scene.serving(agent), scene.live_replicas(agent)
    ec2 = scene.ec2.world
    ec2.physics = replace(ec2.physics, stop_seconds=(seconds, seconds))
    scene.ec2.controls.stop(standby.instance_id)
    scene.ec2.controls.fail_instance(old)
    scene.run(900, until=scene.serves_elsewhere(agent, old))
    moves = scene.rows(switches, switches.c.agent_id == agent)
    assert [(move.kind, move.lost_seconds) for move in moves] == [(MoveKind.VOLUME, 0)]
    assert scene.breaches() == []
