"""A workload that has stopped, and whose last bytes are not on the state's disk yet: its gate counts as open."""

import pytest

from spotguard.agent.primacy import Primacy
from spotguard.agent.serving import Serving
from spotguard.domain.errors import GateFailed
from spotguard.domain.instances import GateState
from spotguard.simulation.machine import Files, SimulatedDisk
from tests.agent.test_serving import ME
from tests.cloud.scene import StoryClock


class Gate:
    """`answers`: the state's disk does."""

    def __init__(self):
        self.runs, self.owed, self.answers = False, False, True

    def state(self):
        return GateState.OPEN if self.runs or self.owed else GateState.CLOSED

    def open(self, epoch, before=None):
        if before is not None and not self.runs:
            before()
        self.runs, self.owed = True, False

    def close(self):
        self.runs, self.owed = False, not self.answers
        if self.owed:
            raise GateFailed("what it wrote is not on its disks yet")

    def healthy(self):
        return self.runs


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def primacy(gate):
    clock = StoryClock()
    primacy = Primacy(SimulatedDisk(Files()), gate, clock, 5.0, Serving(clock), lambda: None)
    primacy.load(ME)
    primacy.told(1)
    primacy.ensure_open()
    gate.answers = False
    with pytest.raises(GateFailed):
        primacy.pause()
    return primacy


def test_a_move_that_is_given_up_for_that_starts_it_again(gate, primacy):
    primacy.resume()
    assert gate.runs
    assert not primacy.paused


def test_nothing_is_let_go_of_before_the_disk_answers(gate, primacy):
    with pytest.raises(GateFailed):
        primacy.release(1)
    assert primacy.released == 0
    gate.answers = True
    primacy.pause()
    assert primacy.release(1)
    assert primacy.released == 1
