"""The state's volume is mounted by the gate itself: what was remembered before belongs to the folder below."""

import shutil

import pytest

from spotguard.host.rsync import RsyncSync
from spotguard.host.sync_memory import SyncMemory, memory_of
from spotguard.host.transport import RsyncTransport
from tests.host.copying import settle, whole_pass
from tests.host.mounted import LIVE, Machine

needs_rsync = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")


class Rebooting(Machine):
    """`volume` is the folder of its volume while that is not mounted."""

    def __init__(self, tmp_path):
        super().__init__(tmp_path)
        self.volume, self.bare = tmp_path / "volume", tmp_path / "bare"
        self.mount()
        settle()

    def reboot(self):
        self.unmount()
        self.srv.rename(self.volume)
        self.srv.mkdir()
        self.plugged = ("259:2", f"/dev/{LIVE}")

    def run(self, command, seconds):
        self.srv.rename(self.bare)
        self.volume.rename(self.srv)
        return super().run(command, seconds)


@pytest.fixture
def machine(tmp_path):
    return Rebooting(tmp_path)


@needs_rsync
def test_a_late_pass_does_not_replace_a_state_that_is_mounted_after_the_agent_came(machine, tmp_path):
    """Else a reboot of a promoted standby loses what was acknowledged on it."""
    former = RsyncSync(tmp_path / "former", tmp_path / "none", RsyncTransport(str(machine.inbox)))
    (tmp_path / "former").mkdir()
    (tmp_path / "former" / "a").write_text("of the past")
    former.adopt(1)
    whole_pass(former)
    machine.gate(machine.sync(tmp_path)).open(2)
    (machine.state / "a").write_text("acknowledged since")
    whole_pass(former)
    machine.reboot()
    machine.gate(machine.sync(tmp_path)).open(2)
    assert (machine.state / "a").read_text() == "acknowledged since"


@needs_rsync
def test_a_holder_whose_state_is_mounted_after_the_agent_came_goes_on_where_it_was(machine, tmp_path):
    (machine.state / "a").write_bytes(b"acknowledged" * 10_000)
    settle()
    sync = machine.sync(tmp_path)
    machine.gate(sync).open(1)
    before = whole_pass(sync)
    known = SyncMemory(memory_of(machine.state)).known
    machine.reboot()
    sync = machine.sync(tmp_path)
    assert sync.received().position is None, "asked below the mount point"
    machine.gate(sync).open(1)
    assert SyncMemory(memory_of(machine.state)).known == known
    again = whole_pass(sync)
    assert again.position == before.position
    assert again.bytes_sent < 20_000, "what has not changed is not sent again"


def test_a_gate_to_which_no_pass_has_come_makes_nothing_below_the_mount_point(machine, tmp_path):
    machine.reboot()
    machine.gate(machine.sync(tmp_path)).open(1)
    assert list(machine.bare.iterdir()) == []


def test_of_a_state_that_is_unmounted_the_position_does_not_go_back(machine, tmp_path):
    """Else a pass from before its last writes would count as the last one of a move."""
    sync = machine.sync(tmp_path)
    machine.gate(sync).open(1)
    (machine.state / "a").write_text("acknowledged")
    before = sync.position()
    machine.reboot()
    assert sync.position() > before
