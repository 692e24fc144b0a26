"""A workload that something else starts on a standby costs it nothing of what it has received."""

import shutil
from contextlib import suppress

import pytest

from spotguard.agent.primacy import Primacy
from spotguard.agent.serving import Serving
from spotguard.domain.errors import SyncFailed
from spotguard.domain.ids import ImageId, InstanceId
from spotguard.domain.instances import GateState, Mode
from spotguard.host.adopting import AdoptingGate
from spotguard.host.clock import SystemClock
from spotguard.host.disk import FolderDisk
from spotguard.host.term import Term
from spotguard.ports.metadata import Identity
from spotguard.ports.workload import SyncTarget
from tests.host.copying import TARGET, machine, pair_in, whole_pass

pytestmark = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")

OTHER_STANDBY = SyncTarget("i-0000000000000000c", "other")


class Stray:
    """It runs already. Its stop takes a while, in which other duties of the agent go on."""

    def __init__(self, meanwhile):
        self.runs, self._meanwhile = True, meanwhile

    def state(self):
        return GateState.OPEN if self.runs else GateState.CLOSED

    def open(self, epoch, before=None):
        if before is not None and not self.runs:
            before()
        self.runs = True

    def close(self):
        if self.runs:
            self._meanwhile()
        self.runs = False

    def healthy(self):
        return self.runs


ME = Identity(
    InstanceId(TARGET.instance_id),
    "boot",
    "t3.small",
    "eu-a",
    "az1",
    ImageId("ami-1"),
    Mode.SPOT,
    "standby",
    "10.0.0.1",
)


def test_a_stray_workload_on_a_promoted_standby_does_not_cost_the_received_state(tmp_path):
    """A pass that begins before the stray is stopped must not say that its state is the new epoch's."""
    primary, _, _, theirs = pair_in(tmp_path)
    whole_pass(primary)
    theirs.mkdir()
    (theirs / "a").write_text("of the image")  # on which the stray runs

    def sync_duty():
        with suppress(SyncFailed):
            sync.push(OTHER_STANDBY)

    stray, clock = Stray(sync_duty), SystemClock()
    term = Term(
        held=lambda: primacy.held,
        runs=lambda: stray.runs,
        instance=lambda: TARGET.instance_id,
        has_opened=lambda: primacy.has_opened,
    )
    sync = machine(tmp_path, "standby", term)
    gate = AdoptingGate(stray, sync.adopt)
    primacy = Primacy(FolderDisk(tmp_path / "agent"), gate, clock, 1.0, Serving(clock), lambda: None)
    primacy.load(ME)
    primacy.learn(1)
    assert primacy.told(2)
    primacy.ensure_open()
    assert (theirs / "a").read_text() == "one"
    sync.close()
