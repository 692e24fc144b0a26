"""A promotion that was ordered long ago, and reaches its instance after somebody else was granted a newer epoch."""

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.ids import InstanceId
from spotguard.domain.switches import Step
from tests.stories.scene import Scene


@pytest.fixture(params=list(Executor))
def scene(request):
    made = Scene(executor=request.param, troubled=True)
    made.configure(autoSwitchEnabled=False)
    yield made
    made.close()


def moves_on_demand_unheard(scene):
    """Its new instance is granted the epoch and does not hear of it: whose it is."""
    scene.force_to_spot()
    scene.wait(minutes=3)
    row = scene.agent()
    wish = {"target": "ondemand"}
    scene.post(f"/api/client/instances/{row.instance_id}/force-switch", wish, expect=202)
    scene.until(lambda: scene.has_recorded(Step.GATE_CLOSED), minutes=30)
    new = InstanceId(scene.switches()[-1].new_instance_id)
    scene.world.trouble_of(new).line.request_lost = 1.0
    scene.until(lambda: scene.has_recorded(Step.GRANTED), minutes=10)
    return new


def test_one_that_was_stopped_before_it_heard_of_its_epoch_opens_nothing_when_it_is_started(scene):
    stopped = moves_on_demand_unheard(scene)
    scene.world.ec2.controls.stop(stopped)
    scene.until(lambda: scene.agent().instance_id != stopped, minutes=20)
    serving = [scene.agent().instance_id]
    scene.until(lambda: scene.world.registers["web-1"].serving() == serving, minutes=10)

    scene.world.trouble_of(stopped).line.request_lost = 0.0
    scene.world.ec2.controls.start(stopped)
    scene.wait(minutes=10)
    assert scene.world.registers["web-1"].serving() == serving
    scene.assert_no_record_lost_or_doubled()
