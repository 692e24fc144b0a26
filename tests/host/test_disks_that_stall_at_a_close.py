"""A gate that closes asks every file system of the machine, and one of them does not answer."""

import threading
import time
from pathlib import Path

import pytest

from spotguard.domain.errors import GateFailed
from spotguard.domain.instances import GateState
from spotguard.host.gate import CommandGate, GateCommands
from spotguard.host.mounts import Mounts
from spotguard.host.write_back import ClosingWriteBack
from tests.host.roots import Root

LONG_SECONDS = 30


class Disks:
    """The root, the state's and one beside it. Those of `stalled` answer once they are let go."""

    def __init__(self, tmp_path):
        self.state, self.beside = tmp_path / "srv", tmp_path / "log"
        self.stalled, self.answers = set(), threading.Event()
        self.asked, self.refused = [], set()
        root = Root(tmp_path / "machine")
        root.write(
            "proc/self/mountinfo",
            "22 1 259:1 / / rw - ext4 /dev/nvme0n1p1 rw\n"
            f"30 22 259:2 / {self.state} rw - ext4 /dev/nvme1n1 rw\n"
            f"31 22 259:3 / {self.beside} rw - ext4 /dev/nvme2n1 rw\n"
            f"32 22 259:4 / {self.state}/web/part rw - ext4 /dev/nvme3n1 rw\n",
        )
        self.mounts = Mounts(root.path)

    def sync(self, point: Path):
        self.asked.append(point)
        if point in self.refused:
            raise OSError(5, "Input/output error")
        if point in self.stalled:
            assert self.answers.wait(LONG_SECONDS)

    def write_back(self, state, *, state_seconds=0.2, others_seconds=0.2):
        return ClosingWriteBack(
            state, self.mounts, self.sync, state_seconds=state_seconds, others_seconds=others_seconds
        )

    def gate(self, tmp_path, **seconds):
        runs = tmp_path / "runs"
        commands = GateCommands(
            start=["touch", str(runs)], stop=["rm", "-f", str(runs)], status=["test", "-e", str(runs)]
        )
        return CommandGate(commands, write_back=self.write_back(self.state / "web", **seconds))


@pytest.fixture
def disks(tmp_path):
    disks = Disks(tmp_path)
    yield disks
    disks.answers.set()


def test_one_on_which_nothing_of_the_state_lies_keeps_no_gate_from_closing(disks, tmp_path):
    disks.stalled = {disks.beside}
    gate = disks.gate(tmp_path, state_seconds=LONG_SECONDS)
    gate.open(1)
    gate.close()
    assert gate.state() is GateState.CLOSED
    assert {disks.state / "web", disks.state / "web" / "part", Path("/"), disks.beside} == set(disks.asked)


@pytest.mark.parametrize("place", ["srv/web", "srv/web/part"])
def test_the_states_own_and_its_parts_keep_it_open_until_they_have_answered(disks, tmp_path, place):
    disks.stalled = {tmp_path / place}
    gate = disks.gate(tmp_path)
    gate.open(1)
    for _ in range(3):
        with pytest.raises(GateFailed, match=f"not on its disks yet: {tmp_path / place}$"):
            gate.close()
        assert gate.runs() is False
        assert gate.state() is GateState.OPEN
    disks.answers.set()
    gate.close()
    assert gate.state() is GateState.CLOSED


def test_a_gate_whose_stop_waits_for_the_disk_opens_again(disks, tmp_path):
    disks.stalled = {disks.state / "web"}
    gate = disks.gate(tmp_path)
    gate.open(1)
    with pytest.raises(GateFailed):
        gate.close()
    gate.open(1)
    assert gate.runs()
    with pytest.raises(GateFailed):
        gate.close()


def test_where_nobody_knows_where_the_state_lies_any_disk_may_be_its_own(disks):
    disks.stalled = {disks.beside}
    with pytest.raises(GateFailed, match=str(disks.beside)):
        disks.write_back(None).run()


def test_nobody_asks_beside_one_who_hangs_and_all_of_them_are_answered_by_one_who_began_later(disks):
    disks.stalled = {disks.state}
    write_back = disks.write_back(disks.state)
    for _ in range(4):
        with pytest.raises(GateFailed):
            write_back.run()
    assert disks.asked.count(disks.state) == 1
    disks.answers.set()
    until, waiting = time.monotonic() + LONG_SECONDS, threading.Event()
    while write_back.is_owed and time.monotonic() < until:
        waiting.wait(0.01)
    assert disks.asked.count(disks.state) == 2


def test_one_that_was_waited_for_in_vain_costs_the_next_close_a_moment(disks):
    disks.stalled = {disks.state, disks.beside}
    write_back, taken = disks.write_back(disks.state, state_seconds=2.5), []
    for _ in range(3):
        begun = time.monotonic()
        with pytest.raises(GateFailed):
            write_back.run()
        taken.append(time.monotonic() - begun)
    assert taken[0] >= 2.5
    assert max(taken[1:]) < 2.4


def test_a_disk_that_refuses_is_told_and_no_reason_to_keep_the_gate_open(disks, tmp_path):
    disks.refused = {disks.state / "web", disks.beside}
    gate = disks.gate(tmp_path)
    gate.open(1)
    gate.close()
    assert gate.state() is GateState.CLOSED
