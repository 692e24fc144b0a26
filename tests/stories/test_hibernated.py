"""Somebody hibernates the serving on-demand instance: EC2 calls it stopped, and its processes may wake in the midst of
what they did. That proves no death (B4).
"""

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.ids import InstanceId
from tests.stories.scene import Scene


@pytest.fixture(params=list(Executor))
def scene(request):
    made = Scene(executor=request.param)
    yield made
    made.close()


def hibernate(scene):
    asleep = InstanceId(scene.agent().instance_id)
    scene.world.ec2.controls.configure_hibernation(asleep)
    scene.wait(minutes=1)
    scene.world.ec2.controls.hibernate(asleep)
    return asleep


def test_nobody_takes_over_from_one_that_may_wake_and_serve_on(scene):
    asleep = hibernate(scene)
    scene.wait(minutes=30)
    assert scene.switches() == []
    assert scene.agent().instance_id == asleep
    (told,) = scene.events("holder_may_resume")
    assert told.message.startswith(f"{asleep} is stopped")

    scene.world.ec2.controls.start(asleep)
    scene.wait(minutes=10)
    register = scene.world.registers["web-1"]
    assert register.serving() == [asleep]
    assert register.sessions[-1].epoch == 1, "it slept in the midst of its term"
    assert register.overlaps == []
    scene.assert_no_record_lost_or_doubled()


def test_one_that_was_put_to_sleep_in_the_midst_of_a_reboot_comes_up_when_it_is_woken(scene):
    asleep = InstanceId(scene.agent().instance_id)
    scene.world.ec2.controls.configure_hibernation(asleep)
    scene.wait(minutes=1)
    scene.world.ec2.controls.reboot(asleep)
    scene.world.ec2.controls.hibernate(asleep)
    scene.wait(minutes=5)
    scene.world.ec2.controls.start(asleep)
    scene.until(lambda: scene.world.registers["web-1"].serving() == [asleep], minutes=10)
    scene.assert_no_record_lost_or_doubled()


def test_terminated_in_its_sleep_it_is_over_and_the_workload_comes_back(scene):
    asleep = hibernate(scene)
    scene.wait(minutes=10)
    scene.world.ec2.terminate_instance(asleep)
    register = scene.world.registers["web-1"]
    scene.until(lambda: register.serving() and register.serving() != [asleep], minutes=15)
    scene.assert_no_record_lost_or_doubled()


def test_a_plain_stop_of_one_that_could_have_hibernated_proves_no_more(scene):
    stopped = InstanceId(scene.agent().instance_id)
    scene.world.ec2.controls.configure_hibernation(stopped)
    scene.wait(minutes=1)
    scene.world.ec2.controls.stop(stopped)
    scene.wait(minutes=10)
    assert scene.switches() == []
    scene.world.ec2.controls.start(stopped)
    scene.until(lambda: scene.world.registers["web-1"].serving() == [stopped], minutes=5)
    scene.assert_no_record_lost_or_doubled()
