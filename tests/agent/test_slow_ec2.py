"""EC2 keeps every question waiting, and the agent has errands there when its notice comes."""

from datetime import timedelta

import pytest

from spotguard.domain.errors import Doubtful
from tests.agent.stage import Stage
from tests.agent.test_notices import NOTICE
from tests.cloud.scene import B

NO_ANSWER = timedelta(seconds=45)


class SilentEc2:
    """Answers nothing. A look of the errands is given up after its time: so long the thread of the signals goes on;
    what other threads ask for keeps nobody.
    """

    def __init__(self, host):
        self._host = host

    def __getattr__(self, name):
        def call(*_arguments, **_named):
            if name == "describe_instances":
                self._host.stage.wait(NO_ANSWER.total_seconds())
                self._host.run("signals")
            raise Doubtful("ReadTimeout", name)

        return call


@pytest.mark.parametrize("before", range(0, 60, 15))
def test_the_gate_closes_in_time_whatever_it_has_still_to_do_there(before):
    stage = Stage()
    old = stage.primary()
    for _ in range(4):
        other = stage.launch(B)
        stage.server.order(old.instance_id, "retire_replica", {"replica_id": "r", "instance_id": other})
    old.cloud = SilentEc2(old)
    old.restart()
    stage.run(60 + before)
    stage.ec2.controls.interrupt(old.instance_id)
    begun = stage.clock.now()
    stage.run(118)
    closed = stage.register.sessions[-1].closed_at
    assert closed is not None
    assert begun + NOTICE - closed >= timedelta(seconds=10), "the margin is kept"
    assert old.primacy.released == 1


def test_an_errand_that_hears_nothing_keeps_no_other_from_its_turn():
    stage = Stage()
    old = stage.primary()
    others = [stage.launch(B) for _ in range(3)]
    for other in others:
        stage.server.order(old.instance_id, "retire_replica", {"replica_id": "r", "instance_id": other})
    stage.run(300)
    shown = stage.ec2.describe_instances(others)
    assert {view.state.value for view in shown} == {"terminated"}
