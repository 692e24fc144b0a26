"""An enrolment that cannot be read, beside a memory that says plainly that it is of another identity."""

import pytest

from spotguard.domain.instances import GateState, Mode
from tests.agent.stage import Host, Stage
from tests.cloud.scene import B


@pytest.mark.parametrize("same", [False, True], ids=["clone", "another boot"])
def test_what_a_boot_has_started_there_is_stopped_before_it_has_enrolled(same: bool):
    stage = Stage()
    primary = stage.primary(mode=Mode.ONDEMAND)
    stage.server.away = True
    other = primary.instance_id if same else stage.launch(B)
    stage.wait(10)
    if same:
        stage.ec2.controls.stop(other)
        stage.run(120)
        stage.ec2.controls.start(other)
        stage.run(60)
    second = Host(stage, other, installed_as="web")
    second.files.files.update(primary.files.files)
    second.files.files["enrolment"] = b"00000000 {}\n"
    stage.register.closed(primary.instance_id, stage.clock.now())
    second.gate.open(0)
    stage.hosts[other] = second
    stage.run(130)
    assert second.primacy.held is None
    assert second.primacy.gate_state() is GateState.CLOSED
