"""The kill switch at voluntary: no new standby for as long as it stands, whoever wished for it; a signal gets one."""

import pytest

from spotguard.domain.agents import KillLevel
from spotguard.domain.replicas import ReplicaStatus
from spotguard.store import prices
from spotguard.store.tables import commands, replica_instances
from tests.coordinator.scene import A, B, Scene
from tests.coordinator.test_standbys import ready


def alone(scene, agent):
    return scene.running() == {scene.serving(agent)}


@pytest.fixture
def scene():
    return Scene()


def test_nothing_is_launched_for_a_toggle_and_the_standby_comes_when_the_switch_is_taken_back(scene):
    agent = scene.protect(pool=A)
    scene.turn(KillLevel.VOLUNTARY)
    scene.config(agent, manual_replica_enabled=True)
    scene.run(900)
    assert scene.rows(replica_instances) == []
    assert alone(scene, agent)
    scene.turn(KillLevel.NONE)
    ready(scene, agent)


@pytest.mark.parametrize("level", [KillLevel.VOLUNTARY, KillLevel.ALL])
def test_a_wish_whose_machine_nobody_has_asked_for_yet_is_given_up(scene, level):
    agent = scene.protect(pool=A)
    scene.run(60)  # prices are known
    scene.config(agent, manual_replica_enabled=True)
    scene.turn(level)
    scene.run(300)
    assert alone(scene, agent)
    [wish] = scene.rows(replica_instances)
    assert (wish.status, wish.instance_id) == (ReplicaStatus.TERMINATED, None)
    scene.turn(KillLevel.NONE)
    ready(scene, agent)
    assert scene.breaches() == []


def test_an_order_that_its_agent_has_not_fetched_is_taken_back(scene):
    scene = Scene(has_cloud=False)
    agent = scene.protect(pool=A)
    scene.db.write(lambda tx: prices.record_report(tx, scene.now, scene.client_id, scene.now, [(B.id, 1)]))
    scene.config(agent, manual_replica_enabled=True)
    scene.coordinator.run_pass()
    scene.turn(KillLevel.VOLUNTARY)
    scene.coordinator.run_pass()
    order = scene.row(commands, commands.c.command_type == "launch_replica")
    assert (order.status, "the kill switch stands at voluntary" in order.message) == ("cancelled", True)
    assert scene.live_replicas(agent) == []


def test_a_standby_that_is_lost_is_followed_by_none_and_one_that_stands_is_kept(scene):
    agent = scene.protect(pool=A, manual_replica_enabled=True)
    first = ready(scene, agent)
    scene.turn(KillLevel.VOLUNTARY)
    scene.run(300)
    assert [r.id for r in scene.live_replicas(agent)] == [first.id]
    scene.ec2.controls.fail_instance(first.instance_id)
    scene.run(900)
    assert scene.live_replicas(agent) == []
    assert alone(scene, agent)
    assert scene.breaches() == []


def test_who_waits_for_a_manual_replica_is_given_an_emergency_one_at_a_recommendation(scene):
    agent = scene.protect(pool=A)
    scene.turn(KillLevel.VOLUNTARY)
    scene.config(agent, manual_replica_enabled=True)
    scene.ec2.controls.signal_rebalance(scene.serving(agent))
    assert ready(scene, agent).replica_type == "automatic-rebalance"
    scene.turn(KillLevel.NONE)
    scene.run(900)
    assert len(scene.live_replicas(agent)) == 1, "it does the manual one's work"
    assert scene.breaches() == []


def test_a_notice_is_served(scene):
    agent = scene.protect(pool=A)
    scene.turn(KillLevel.VOLUNTARY)
    scene.config(agent, manual_replica_enabled=True)
    old = scene.serving(agent)
    scene.ec2.controls.interrupt(old)
    scene.run(600, until=lambda: scene.serving(agent) != old and scene.is_open(agent))
    assert scene.breaches() == []
