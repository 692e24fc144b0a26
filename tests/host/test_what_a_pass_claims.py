"""What a pass claims to be, and what is told of one that was received, is never more than it is."""

import os
import threading
import time

import pytest

from spotguard.agent.primacy import Primacy
from spotguard.agent.sync import status_of
from spotguard.domain.errors import GateFailed, SyncFailed
from spotguard.domain.instances import GateState
from spotguard.domain.replicas import SyncStatus
from spotguard.host.adopting import AdoptingGate
from spotguard.host.clock import SystemClock
from spotguard.host.disk import FolderDisk
from spotguard.host.inbox import pass_id
from spotguard.host.rsync import RsyncSync
from spotguard.host.term import Term
from spotguard.host.transport import RsyncTransport
from spotguard.ports.workload import SyncTarget
from tests.host.copying import TARGET, forge, machine, pair_in, settle, whole_pass
from tests.host.test_state_parts import Parted


@pytest.fixture
def pair(tmp_path):
    return pair_in(tmp_path)


class Stray:
    """A workload that something else has started. Its stop takes time, in which `meanwhile` happens."""

    def __init__(self, meanwhile):
        self.runs, self.meanwhile = True, meanwhile

    def state(self):
        return GateState.OPEN if self.runs else GateState.CLOSED

    def open(self, epoch):
        self.runs = True

    def close(self):
        if self.runs:
            self.meanwhile()
        self.runs = False

    def healthy(self):
        return self.runs


class Nothing:
    """Nobody else forbids or allows."""

    def forbid(self): ...

    def allow(self): ...


class Me:
    instance_id, boot_id = TARGET.instance_id, "boot"


def test_a_stray_workload_on_a_promoted_standby_does_not_cost_the_received_state(pair, tmp_path):
    """While the gate stops it, the duty of syncing feeds another standby."""
    primary, _, _, theirs = pair
    whole_pass(primary)
    theirs.mkdir()
    (theirs / "a").write_text("of the image")
    refused = []

    def sync_duty():
        try:
            sync.push(SyncTarget("i-0000000000000000c", "other"))
        except SyncFailed as error:
            refused.append(str(error))

    stray = Stray(sync_duty)
    term = Term(
        held=lambda: primacy.held,
        runs=lambda: stray.runs,
        instance=lambda: TARGET.instance_id,
        has_opened=lambda: primacy.has_opened,
    )
    sync = machine(tmp_path, "standby", term)
    gate = AdoptingGate(stray, sync.adopt)
    primacy = Primacy(FolderDisk(tmp_path / "agent"), gate, SystemClock(), 1.0, Nothing(), lambda: None)
    primacy.load(Me())
    primacy.learn(1)
    assert primacy.told(2)
    primacy.ensure_open()
    assert (theirs / "a").read_text() == "one"
    assert "no pass until the workload is open" in refused[0]


def test_a_pass_that_begins_while_nobody_can_tell_whether_it_runs_is_not_its_last_one(pair, tmp_path):
    sync = machine(tmp_path, "primary", Term(held=lambda: 1, runs=lambda: None))
    assert whole_pass(sync).position < sync.position()


def test_what_could_not_take_the_place_of_the_state_is_not_told_as_in_sync(pair, tmp_path):
    primary, _, _, _ = pair
    whole_pass(primary)
    term = Term(held=lambda: None, runs=lambda: False, instance=lambda: TARGET.instance_id)
    standby = machine(tmp_path, "standby", term)
    assert standby.adopt(2)
    is_cleared(tmp_path / "standby-inbox" / "passes")
    whole_pass(primary)  # late, from the former holder
    assert standby.adopt(4) is None
    assert status_of(standby.received(), 60.0) is not SyncStatus.SYNCED


def is_cleared(passes):
    """Nobody waits for that, but a test."""
    deadline = time.monotonic() + 10
    while any(passes.iterdir()):
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)


def test_a_late_pass_does_not_open_the_workload_without_a_part_of_its_state(tmp_path):
    here = Parted(tmp_path)
    here.mount_part()
    gate = here.gate(here.sync(tmp_path))
    gate.open(2)
    gate.close()
    forge(here.inbox, pass_id(1, 5), "whole")  # late, of a former holder
    here.unmount_part()  # as after a reboot, when the volume comes late
    gate = here.gate(here.sync(tmp_path))
    with pytest.raises(GateFailed):
        gate.open(2)


def test_progress_is_told_of_a_first_pass_to_one_that_was_fed_before(pair, tmp_path):
    """The first feeds the second, the second the first, and now the first feeds the second again."""
    primary, _, state, _ = pair
    (state / "bulk").write_bytes(os.urandom(3_000_000))
    settle()
    whole_pass(primary)
    standby = machine(tmp_path, "standby")
    standby.adopt(2)
    is_cleared(tmp_path / "standby-inbox" / "passes")
    whole_pass(standby, SyncTarget("i-0000000000000000a", "primary"))
    transport = RsyncTransport(str(tmp_path / "{address}-inbox"), program=("rsync", "--bwlimit=1M"))
    slow = RsyncSync(state, tmp_path / "primary-inbox", transport)
    assert slow.adopt(3)
    (state / "new").write_bytes(os.urandom(3_000_000))
    seen, made = [], None
    while made is None:
        made = slow.push(TARGET)
        seen.append(status_of(standby.received(), 60.0))
    slow.close()
    assert SyncStatus.SYNCING in seen
