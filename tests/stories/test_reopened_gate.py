"""A holder closes its gate for a move, sends its last pass, is cut off, takes its workload back, and dies unheard.

What it wrote after that is on its volume alone: nobody who received the last pass lacks nothing.
"""

import pytest

from spotguard.domain.ids import InstanceId
from spotguard.domain.switches import Step
from tests.stories.scene import Scene

GIVES_UP_SECONDS = 180  # without the server it opens its gate again


@pytest.fixture
def scene():
    stage = Scene(troubled=True)
    yield stage
    stage.close()


def hears_nothing_once_its_last_pass_is_sent(scene):
    line = scene.world.trouble_of(scene.agent().instance_id).line
    scene.until(lambda: scene.has_recorded(Step.GATE_CLOSED), minutes=20)
    line.answer_lost = 1.0
    scene.until(lambda: scene.has_recorded(Step.DELTA_SENT), seconds=30)
    assert not scene.has_recorded(Step.RELEASED)
    return line


def dies_unheard(scene):
    dead = scene.agent().instance_id
    scene.world.ec2.controls.fail_instance(InstanceId(dead))
    scene.until(lambda: scene.agent().instance_id != dead, minutes=20)
    scene.wait(minutes=5)


def test_while_the_server_still_waits_for_its_release(scene):
    held = scene.agent().instance_id
    scene.order_move(in_its_zone=False)
    line = hears_nothing_once_its_last_pass_is_sent(scene)
    line.request_lost = 1.0
    scene.wait(minutes=30)
    assert scene.world.registers["web-1"].serving() == [held], "cut off, it serves on"
    assert scene.switches()[-1].status == "preparing"
    dies_unheard(scene)
    scene.assert_no_record_lost_or_doubled()


def test_long_after_the_move_to_its_standby_was_given_up(scene):
    held = scene.agent().instance_id
    scene.configure(manualReplicaEnabled=True)
    standby = scene.until(scene.ready_replica, minutes=20)
    scene.post(f"/api/agents/{scene.agent().id}/replicas/{standby.id}/promote", {})
    line = hears_nothing_once_its_last_pass_is_sent(scene)
    scene.wait(seconds=GIVES_UP_SECONDS)
    line.answer_lost = 0.0
    scene.until(lambda: scene.switches()[-1].status == "unwound", minutes=10)
    scene.wait(minutes=30)
    assert scene.world.registers["web-1"].serving() == [held]
    dies_unheard(scene)
    lost = sum(loss.count for loss in scene.world.registers["web-1"].losses)
    told = scene.switches()[-1].lost_seconds
    assert lost == 0 or told > 0, f"{lost} records are gone, and the move says that none is"
