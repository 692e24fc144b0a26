"""Agents that call EC2 alone: the server has no account, and nothing of ours is lost from sight all the same."""

import pytest

from spotguard.cloud.simulated.faults import lost_answer
from spotguard.domain.agents import Executor
from spotguard.domain.ids import InstanceId
from spotguard.simulation.audit import orphans_of
from spotguard.simulation.world import Reach
from tests.stories.scene import Scene


@pytest.fixture
def scene():
    stage = Scene(executor=Executor.AGENT, reach=lambda ec2: Reach(None, ec2))
    stage.wait(minutes=3)
    yield stage
    stage.close()


@pytest.mark.parametrize("kind", ["synced", "volume"])
def test_the_volumes_of_the_old_instance_go_with_it(scene, kind):
    """The first one is its owner's, whose volumes stay his; the next one is ours."""
    scene.force_to_spot()
    scene.until(lambda: scene.switches()[-1].status == "completed", minutes=60)
    wish = {"target": "ondemand", "kind": kind}
    scene.post(f"/api/client/instances/{scene.agent().instance_id}/force-switch", wish, expect=202)
    scene.until(lambda: scene.switches()[-1].status == "completed", minutes=60)
    assert [move.status for move in scene.switches()] == ["completed"] * 2
    assert scene.switches()[-1].kind == kind
    scene.wait(minutes=30)
    assert orphans_of(scene.world) == []
    assert len(scene.state_volumes(scene.agent().instance_id)) == 1
    scene.assert_no_record_lost_or_doubled()


def test_a_standby_that_was_retired_is_over_and_nobody_asks_for_it_again(scene):
    scene.configure(manualReplicaEnabled=True)
    standby = scene.until(scene.ready_replica, minutes=20).instance_id
    scene.configure(manualReplicaEnabled=False)
    scene.wait(hours=3)
    assert scene.active_instances() == {scene.agent().instance_id}
    assert not scene.instance(standby).is_active
    assert scene.events("command_expired") == scene.events("command_refused") == []
    assert orphans_of(scene.world) == []


def test_a_launch_whose_answer_was_lost_while_its_move_was_given_up_is_ended(scene):
    ec2, held = scene.world.ec2, scene.agent().instance_id
    ec2.faults.next("run_instance", lost_answer(), after_effect=True)
    scene.order_move(in_its_zone=False)
    scene.until(lambda: ec2.faults.injected["run_instance:RequestTimeout"], minutes=1)
    scene.put("/api/client/kill-switch", {"level": "voluntary", "reason": "before anybody could look it up"})
    ec2.faults.sometimes("describe_instances", 1.0)
    scene.wait(minutes=1)
    ec2.faults.clear()
    assert scene.switches()[-1].status == "unwound"
    stray = next(view.instance_id for view in ec2.describe_instances() if view.instance_id != held)

    scene.wait(minutes=30)
    assert ec2.describe_instances([InstanceId(stray)])[0].state == "terminated"
    assert scene.active_instances() == {held}
    assert orphans_of(scene.world) == []


def test_an_old_instance_that_ec2_shows_no_more_has_ended(scene):
    """AWS took it during a waiting time that is longer than EC2 remembers it."""
    scene.force_to_spot()
    scene.until(lambda: scene.switches()[-1].status == "completed", minutes=60)
    scene.configure(terminateWaitSeconds=3 * 3600)
    old = scene.agent().instance_id
    scene.aws_gives_notice()
    scene.until(lambda: scene.agent().instance_id != old, minutes=5)
    scene.until(lambda: scene.switches()[-1].status == "completed", minutes=3 * 60 + 30)
    assert not scene.world.ec2.describe_instances([InstanceId(old)])
    assert scene.active_instances() == {scene.agent().instance_id}
    assert scene.events("command_expired") == []
    scene.assert_no_record_lost_or_doubled()
