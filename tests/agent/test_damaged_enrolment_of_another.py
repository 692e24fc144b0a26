"""An enrolment that cannot be read, beside a memory that says plainly that it is of another identity."""

import pytest

from spotguard.domain.instances import GateState
from tests.agent.test_damaged_memory import started_by_its_boot


@pytest.mark.parametrize("same", [False, True], ids=["clone", "another boot"])
def test_what_a_boot_has_started_there_is_stopped_before_it_has_enrolled(same: bool):
    stage, second = started_by_its_boot(same=same, damaged="enrolment")
    stage.run(130)
    assert second.primacy.held is None
    assert second.primacy.gate_state() is GateState.CLOSED
