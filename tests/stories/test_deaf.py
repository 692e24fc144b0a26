"""A recovery's new instance registers, and no answer reaches it: it is granted nothing that it could not hear of."""

import pytest

from spotguard.domain.ids import InstanceId
from spotguard.domain.switches import Step
from tests.stories.scene import Scene


@pytest.fixture
def scene():
    stage = Scene(troubled=True)
    stage.configure(autoSwitchEnabled=False)
    yield stage
    stage.close()


def recovers_by_a_deaf_one(scene):
    """Its line, and the id of the instance."""
    scene.world.ec2.controls.fail_instance(InstanceId(scene.agent().instance_id))
    scene.until(lambda: scene.switches() and scene.switches()[-1].new_instance_id, minutes=5)
    new = scene.switches()[-1].new_instance_id
    line = scene.world.trouble_of(new).line
    line.answer_lost = 1.0
    scene.until(lambda: scene.instance(new).boot_id, minutes=5)
    return line, new


def test_once_it_hears_it_is_granted_the_epoch_and_serves_at_once(scene):
    line, new = recovers_by_a_deaf_one(scene)
    scene.wait(minutes=3)
    assert not scene.has_recorded(Step.ENROLLED)
    line.answer_lost = 0.0
    scene.until(lambda: scene.world.registers["web-1"].serving() == [new], minutes=2)
    scene.assert_no_record_lost_or_doubled()


def test_another_one_serves_where_it_stays_deaf(scene):
    _, deaf = recovers_by_a_deaf_one(scene)
    scene.until(scene.world.registers["web-1"].serving, minutes=25)
    assert scene.agent().instance_id != deaf
    assert scene.agent().epoch == 2
    scene.wait(minutes=10)
    assert deaf not in scene.active_instances()
    scene.assert_no_record_lost_or_doubled()
