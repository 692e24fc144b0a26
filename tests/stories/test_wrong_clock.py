"""A machine whose clock is hours from the server's: times from outside are judged by the server's and by AWS's."""

from datetime import timedelta

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.ids import InstanceId
from spotguard.domain.switches import Step
from tests.stories.scene import Scene

TWO_HOURS = timedelta(hours=2)


@pytest.fixture(params=[TWO_HOURS, -TWO_HOURS], ids=["ahead", "behind"])
def scene(request):
    """The clock of the user's server was wrong before its agent began, and those of its clones are right."""
    stage = Scene(executor=Executor.AGENT, troubled=True)
    stage.world.trouble_of(stage.agent().instance_id).clock_ahead = request.param
    process = stage.world.processes[InstanceId(stage.agent().instance_id)]
    process.die()
    stage.wait(minutes=20)  # prices have been reported again
    yield stage
    stage.close()


def test_a_move_that_a_user_orders_comes_through(scene):
    scene.force_to_spot()
    scene.until(lambda: scene.switches()[-1].status == "completed", minutes=60)
    assert len(scene.switches()) == 1
    assert scene.events("switch_unwound") == []
    scene.assert_no_record_lost_or_doubled()


def test_a_standby_is_launched_and_retired_by_its_errands(scene):
    scene.configure(manualReplicaEnabled=True)
    standby = scene.until(scene.ready_replica, minutes=20).instance_id
    scene.configure(manualReplicaEnabled=False)
    scene.until(lambda: not scene.instance(standby).is_active, minutes=10)
    assert scene.events("command_refused") == scene.events("command_expired") == []


def test_a_notice_is_answered_within_its_own_two_minutes(scene):
    """Neither at once nor after its end: the gate closes when its target is ready."""
    scene.force_to_spot()
    scene.until(lambda: scene.switches()[-1].status == "completed", minutes=60)
    held = scene.agent().instance_id
    scene.world.trouble_of(held).clock_ahead = scene.world.trouble_of(
        scene.switches()[0].old_instance_id
    ).clock_ahead
    scene.world.processes[InstanceId(held)].die()
    scene.wait(minutes=3)
    scene.configure(manualReplicaEnabled=True)
    scene.until(scene.ready_replica, minutes=20)
    scene.aws_gives_notice()
    scene.until(lambda: scene.agent().instance_id != held, seconds=60)
    assert scene.has_recorded(Step.DELTA_SENT), "it had the time to send the last writes"
    scene.wait(minutes=1)
    scene.assert_no_record_lost_or_doubled()


@pytest.mark.parametrize("ahead_seconds", [0, 90, 600, 3600])
@pytest.mark.parametrize("restarted", [False, True], ids=["", "restarted-in-the-midst"])
def test_two_minutes_of_notice_are_two_minutes_though_the_clock_was_put_right_just_before(
    ahead_seconds, restarted
):
    """The process catches up with a step back at half its pace: of the two minutes it would make four."""
    stage = Scene(executor=Executor.AGENT, troubled=True)
    stage.force_to_spot()
    stage.until(lambda: stage.switches()[-1].status == "completed", minutes=60)
    held = InstanceId(stage.agent().instance_id)
    trouble, process = stage.world.trouble_of(held), stage.world.processes[held]
    trouble.clock_ahead = timedelta(seconds=ahead_seconds)
    process.die()
    stage.wait(minutes=5)
    stage.world.take_server_away()
    trouble.clock_ahead = timedelta(0)
    stage.wait(seconds=20)
    stage.aws_gives_notice()
    stage.wait(seconds=80)
    assert process.register.serving() == [held], "as long as there is time, it serves"
    if restarted:
        process.die()
    stage.wait(seconds=35)
    assert process.register.serving() == [], "closed before AWS takes it"
    stage.wait(minutes=2)
    stage.world.bring_server_back()
    stage.wait(minutes=30)
    stage.assert_no_record_lost_or_doubled()
    stage.close()
