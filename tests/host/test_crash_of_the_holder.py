"""The holder's machine dies and its disk comes back: after a panic, with the next boot, or at another instance.

What fdatasync(2) has put on the disk is there; the file's new times, which it does not write, are not.
"""

import os
import shutil
import subprocess
import threading
from contextlib import contextmanager

import pytest

from spotguard.domain.errors import SyncFailed
from spotguard.host.rsync import UNDER_WAY_NANOSECONDS, RsyncSync
from spotguard.host.sync_memory import Sent, SyncMemory, memory_of
from spotguard.host.term import Term
from spotguard.host.transport import RsyncTransport
from tests.host.copying import TARGET, machine, whole_pass
from tests.host.disks import attached, ext4_in, needs_a_disk

needs_rsync = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")


def run(*words):
    subprocess.run([str(word) for word in words], check=True, capture_output=True)


def holder(tmp_path, name="one", boot="first", program=("rsync",)):
    """Its state and what it remembers lie on its disk; the standby's inbox on another machine."""
    term = Term(held=lambda: None, runs=lambda: False, instance=lambda: f"i-{name}")
    transport = RsyncTransport(str(tmp_path / "{address}-inbox"), program=program)
    srv = tmp_path / "srv"
    return RsyncSync(srv / "web", srv / "inbox", transport, term, boot=lambda: boot)


def acknowledge(path, content):
    """As a database writes: in place, the size unchanged, fdatasync."""
    handle = os.open(path, os.O_WRONLY)
    os.pwrite(handle, content, 0)
    os.fdatasync(handle)
    os.close(handle)


class Volume:
    """A disk, and where it is mounted."""

    def __init__(self, tmp_path, device):
        self.disk, self.after, self.device = tmp_path / "disk", tmp_path / "after", device
        self.srv = tmp_path / "srv"

    @contextmanager
    def mounted(self):
        run("mount", self.device, self.srv)
        try:
            yield
        finally:
            run("umount", self.srv)

    def dies(self):
        """What is on the disk at this moment is all that is left."""
        shutil.copyfile(self.disk, self.after)

    def comes_back(self):
        """With the number that it had, as /dev/nvme1n1 has."""
        with self.device.open("r+b") as device:
            device.write(self.after.read_bytes())
            os.fsync(device.fileno())


@pytest.fixture
def volume(tmp_path):
    ext4_in(tmp_path / "disk")
    (tmp_path / "srv").mkdir()
    with attached(tmp_path / "disk") as device:
        yield Volume(tmp_path, device)


@needs_a_disk
@needs_rsync
@pytest.mark.long  # a file counts as under way for ten seconds
@pytest.mark.parametrize(
    ("served_by", "comes_back_to"),
    [
        (("one", "first"), ("one", "second")),
        (("one", "first"), ("other", "its own")),
        (("other", "its own"), ("one", "first")),
    ],
    ids=["the same machine", "another machine", "the machine that served before the one that died"],
)
def test_what_was_acknowledged_before_a_crash_of_the_holder_is_in_the_next_pass(
    tmp_path, volume, served_by, comes_back_to
):
    wal = volume.srv / "web" / "wal"
    with volume.mounted():
        wal.parent.mkdir()
        wal.write_bytes(b"balance=10")
        threading.Event().wait(UNDER_WAY_NANOSECONDS / 1e9 + 0.2)
        primary = holder(tmp_path)
        primary.adopt(1)
        assert whole_pass(primary).position == primary.position()
        if served_by[0] == "other":
            holder(tmp_path, *served_by).adopt(2)
        os.sync()  # half a minute later
        acknowledge(wal, b"balance=99")
        volume.dies()
    volume.comes_back()
    with volume.mounted():
        assert wal.read_bytes() == b"balance=99", "it was acknowledged"
        primary = holder(tmp_path, *comes_back_to)
        if comes_back_to[0] != served_by[0]:
            primary.adopt(3)
        assert whole_pass(primary).position == primary.position(), "it claims to be all of it"
    assert machine(tmp_path, "standby").adopt(4)
    assert (tmp_path / "standby" / "wal").read_bytes() == b"balance=99"


@pytest.mark.parametrize(
    ("sent_in", "boot", "since_ns"),
    [("first", "first", 1000), ("first", "second", 0), ("", "first", 0), ("", "", 0)],
)
def test_times_of_files_tell_what_has_changed_within_one_boot_alone(sent_in, boot, since_ns):
    sent = Sent("pass", since_ns=1000, clock_ns=500, boot=sent_in)
    assert sent.times_tell_since_ns(1100, 500, boot) == since_ns


@needs_rsync
def test_it_is_the_same_boot_again_once_a_pass_of_it_is_whole(tmp_path):
    """One that breaks has not read everything."""

    def sent():
        memory = SyncMemory(memory_of(tmp_path / "srv" / "web"))
        return memory.sent_to(TARGET.instance_id)

    (tmp_path / "srv" / "web").mkdir(parents=True)
    whole_pass(holder(tmp_path))
    breaks = ("sh", "-c", 'case "$*" in *--archive*) exit 12; esac; exec rsync "$@"', "rsync")
    with pytest.raises(SyncFailed):
        whole_pass(holder(tmp_path, boot="second", program=breaks))
    assert sent().broken
    assert sent().boot == "first"
    whole_pass(holder(tmp_path, boot="second"))
    assert sent().boot == "second"
