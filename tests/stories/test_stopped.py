"""Somebody stops the serving on-demand instance: EC2's word is a proof of death, and yet it may come back (B4)."""

from datetime import timedelta

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.ids import InstanceId
from spotguard.store import sightings
from tests.stories.scene import Scene


@pytest.fixture(params=list(Executor))
def scene(request):
    made = Scene(executor=request.param)
    yield made
    made.close()


def stop(scene):
    stopped = InstanceId(scene.agent().instance_id)
    scene.world.ec2.controls.stop(stopped)
    return stopped


def test_the_workload_comes_back_from_a_snapshot_and_the_stopped_one_is_passive_when_started(scene):
    stopped = stop(scene)
    scene.until(lambda: scene.agent().instance_id != stopped, minutes=10)
    assert scene.switches()[-1].kind == "snapshot"
    scene.until(lambda: scene.world.registers["web-1"].serving() == [scene.agent().instance_id], minutes=5)

    scene.world.ec2.controls.start(stopped)
    scene.wait(minutes=10)
    assert scene.world.registers["web-1"].serving() == [scene.agent().instance_id]
    scene.assert_no_record_lost_or_doubled()


def test_started_again_before_another_serves_it_serves_on_and_the_recovery_makes_room(scene):
    stopped = stop(scene)
    scene.until(lambda: scene.switches() and scene.switches()[-1].is_recovery, minutes=5)
    scene.world.ec2.controls.start(stopped)
    scene.until(lambda: scene.world.registers["web-1"].serving() == [stopped], minutes=5)
    scene.wait(minutes=20)
    assert scene.agent().instance_id == stopped
    assert scene.switches()[-1].status == "unwound"
    scene.assert_no_record_lost_or_doubled()


@pytest.fixture
def untouched():
    """It has a standby, and nobody acts when it is stopped."""
    made = Scene(executor=Executor.SERVER)
    made.configure(manualReplicaEnabled=True)
    made.until(made.ready_replica, minutes=20)
    made.put("/api/client/kill-switch", {"level": "all", "reason": "it is stopped for a while"})
    made.wait(minutes=3)
    yield made
    made.close()


def start(scene, stopped):
    former = scene.instance(stopped).boot_id
    scene.world.ec2.controls.start(stopped)
    scene.until(lambda: scene.instance(stopped).boot_id != former, minutes=5)
    assert scene.world.registers["web-1"].serving() == []
    scene.put("/api/client/kill-switch", {"level": "none", "reason": "it may serve again"})
    scene.until(lambda: scene.world.registers["web-1"].serving() == [stopped], minutes=5)
    scene.until(scene.ready_replica, minutes=5)


def test_what_was_seen_before_its_start_proves_nothing_of_the_boot_that_serves(untouched):
    stopped = stop(untouched)
    untouched.until(lambda: untouched.instance(stopped).ec2_state == "stopped", minutes=5)
    untouched.world.ec2.faults.sometimes("describe_instances", 1.0)  # EC2 cannot be asked any more
    start(untouched, stopped)
    untouched.wait(minutes=5)
    assert untouched.agent().instance_id == stopped
    untouched.assert_no_record_lost_or_doubled()


@pytest.mark.parametrize("ahead", [0, 10], ids=["of the right time", "whose clock is ahead"])
def test_nor_does_the_look_of_a_coordinator_that_is_held_up_before_it_writes_it_down(untouched, ahead):
    stopped = stop(untouched)
    untouched.until(lambda: untouched.instance(stopped).ec2_state == "stopped", minutes=5)
    looked_at, client = untouched.world.clock.now() + timedelta(minutes=ahead), untouched.agent().client_id
    boots = {stopped: untouched.instance(stopped).boot_id}
    shown = untouched.world.ec2.describe_instances([stopped])
    start(untouched, stopped)
    untouched.world.db.write(lambda tx: sightings.saw(tx, looked_at, client, shown, boots))
    untouched.wait(minutes=5)
    assert untouched.agent().instance_id == stopped
    untouched.assert_no_record_lost_or_doubled()
