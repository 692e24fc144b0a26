"""What a standby has measured reaches the server late: its state is no younger for that."""

from datetime import timedelta

import pytest

from spotguard.domain.ids import InstanceId
from tests.stories.scene import Scene


@pytest.fixture
def scene():
    stage = Scene(troubled=True)
    yield stage
    stage.close()


def test_what_the_loss_is_told_to_be_does_not_shrink_on_a_slow_line(scene):
    scene.configure(manualReplicaEnabled=True)
    standby = scene.until(scene.ready_replica, minutes=20)
    scene.wait(minutes=5)
    line = scene.world.trouble_of(standby.instance_id).line
    line.delayed, line.latest_seconds = 1.0, 40.0
    scene.wait(minutes=1)  # its next report is due, and goes out again and again
    scene.world.fabric.cut_off.add(InstanceId(standby.instance_id))  # no pass arrives any more
    scene.world.ec2.controls.fail_instance(InstanceId(scene.agent().instance_id))
    scene.until(scene.switches, minutes=2)
    line.delayed = 0.0
    scene.wait(minutes=4)
    register = scene.world.registers["web-1"]
    lost = timedelta(seconds=register.losses[-1].count * register.seconds_per_record)
    assert lost > timedelta(seconds=30)
    assert timedelta(seconds=float(scene.switches()[-1].lost_seconds)) >= lost
