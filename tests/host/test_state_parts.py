"""A part of the state is a file system of its own: where it is not mounted nothing is served or sent without it."""

import shutil

import pytest

from spotguard.domain.errors import GateFailed, StateMissing
from spotguard.host.commands import Ran
from spotguard.host.inbox import pass_id
from spotguard.host.rsync import RsyncSync
from spotguard.host.transport import RsyncTransport
from tests.host.copying import TARGET, forge, settle, whole_pass
from tests.host.mounted import FSTAB, Machine

OWN, OTHER = ("259:4", "/dev/nvme3n1"), ("259:3", "/dev/nvme2n1")
LINE = "41 40 {number} {inside} {point} rw - {kind} {source} rw\n"

needs_rsync = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")


class Parted(Machine):
    """Its state has a part, `blobs`, on a volume of its own."""

    def __init__(self, tmp_path):
        super().__init__(tmp_path)
        self.part = self.state / "blobs"
        self.disk("nvme3n1", OWN[0], "vol0dddddddddddddddd")
        self.mount()
        self.part.mkdir()

    def mount_part(self, number=OWN[0], source=OWN[1], *, inside="/", kind="ext4"):
        self.unmount_part()
        where = str(self.part).replace(" ", "\\040")
        told = LINE.format(number=number, source=source, point=where, inside=inside, kind=kind)
        mountinfo = self.root.path / "proc/self/mountinfo"
        mountinfo.write_text(mountinfo.read_text() + told)

    def unmount_part(self):
        mountinfo = self.root.path / "proc/self/mountinfo"
        kept = [line for line in mountinfo.read_text().splitlines(keepends=True) if "blobs" not in line]
        mountinfo.write_text("".join(kept))

    def promise_part(self, options="nofail"):
        part = str(self.part).replace(" ", "\\040")
        self.fstab(f"{FSTAB}UUID=4 {part} ext4 {options} 0 2\n")

    def run(self, command, _seconds):
        self.asked.append(command)
        if command[1] == str(self.part) and self.plugged is not None:
            self.mount_part(*self.plugged)
            return Ran(0, "")
        return Ran(32, "mount: can't find UUID=4.")


@pytest.fixture(params=["plain", "with blanks"])
def machine(tmp_path, request):
    return Parted(tmp_path / request.param)


def opened(machine, tmp_path):
    sync = machine.sync(tmp_path)
    gate = machine.gate(sync)
    gate.open(1)
    settle()
    return sync, gate


@needs_rsync
@pytest.mark.parametrize("promised", [True, False])
def test_a_part_that_vanishes_does_not_prune_what_the_standby_has_of_it(machine, tmp_path, promised):
    if promised:
        machine.promise_part()
    machine.mount_part()
    (machine.part / "a").write_text("acknowledged")
    sync, gate = opened(machine, tmp_path)
    whole_pass(sync)
    machine.unmount_part()
    (machine.part / "a").unlink()  # what lies under the mount point
    with pytest.raises(
        StateMissing, match=r"mounted at .*blobs, where a part of the state .* lies: mount it"
    ):
        sync.push(TARGET)
    standby = RsyncSync(tmp_path / "theirs", tmp_path / "standby-inbox", RsyncTransport("unused"))
    standby.adopt(2)
    assert (tmp_path / "theirs" / "blobs" / "a").read_text() == "acknowledged"

    gate.close()
    with pytest.raises(GateFailed, match="blobs"):
        machine.gate(sync).open(1)
    machine.mount_part()
    machine.gate(sync).open(1)
    assert machine.workload.epochs == [1]
    settle()
    assert whole_pass(sync)


def test_without_a_memory_the_lines_of_fstab_stand_for_it(machine, tmp_path):
    machine.promise_part()
    gate = machine.gate(machine.sync(tmp_path))
    with pytest.raises(GateFailed, match=r"blobs.*can't find UUID=4"):
        gate.open(1)
    machine.plugged = OWN
    gate.open(1)
    assert machine.asked == [("mount", str(machine.part))] * 2
    assert machine.workload.epochs == [1]


def test_a_part_of_another_disk_is_not_served(machine, tmp_path):
    machine.mount_part()
    sync, gate = opened(machine, tmp_path)
    gate.close()
    machine.mount_part(*OTHER)
    with pytest.raises(
        GateFailed,
        match=r"a part of the state .* lies on vol-0bbbbbbbbbbbbbbbb, and was served from vol-0dddd",
    ):
        gate.open(1)
    with pytest.raises(StateMissing, match="no pass is sent: a part of the state"):
        sync.push(TARGET)


@needs_rsync
@pytest.mark.parametrize("unmounts", [True, False], ids=["unmounts when it stops", "leaves it mounted"])
@pytest.mark.parametrize("line", ["noauto", None], ids=["noauto", "no line"])
def test_a_workload_that_mounts_a_part_of_its_own_is_sent_and_opens_again(machine, tmp_path, unmounts, line):
    if line is not None:
        machine.promise_part(line)
    sync = machine.sync(tmp_path)
    gate = machine.gate(sync)
    machine.workload.starts = [machine.mount_part]
    machine.workload.stops = [machine.unmount_part] if unmounts else []
    for _ in range(3):
        gate.open(1)
        settle()
        assert whole_pass(sync)
        gate.close()
    machine.unmount_part()  # a reboot
    gate.open(1)
    assert machine.workload.epochs == [1]
    gate.close()
    machine.workload.starts = []  # it fails to mount it
    machine.unmount_part()
    gate.open(1)
    with pytest.raises(StateMissing, match="blobs"):
        sync.push(TARGET)


@needs_rsync
def test_a_standby_without_the_part_s_disk_serves_and_sends_what_it_received(machine, tmp_path):
    machine.promise_part()
    source = tmp_path / "primary"
    (source / "blobs").mkdir(parents=True)
    (source / "blobs" / "a").write_text("received")
    settle()
    primary = RsyncSync(source, tmp_path / "primary-inbox", RsyncTransport(str(machine.inbox)))
    primary.adopt(1)
    whole_pass(primary)
    sync = machine.sync(tmp_path)
    machine.gate(sync).open(2)
    assert (machine.part / "a").read_text() == "received"
    settle()
    assert whole_pass(sync)
    machine.gate(sync).open(2)  # after a reboot
    assert machine.workload.epochs == [2]


@pytest.mark.parametrize(
    "passing",
    [
        {"number": "0:61", "source": "overlay", "kind": "overlay"},
        {"number": "259:2", "source": "/dev/nvme1n1", "inside": "/web/elsewhere"},
    ],
    ids=["a container's layers", "a folder of the same file system, bound"],
)
def test_what_comes_and_goes_inside_a_state_is_no_part_of_it(machine, tmp_path, passing):
    machine.mount_part(**passing)
    sync, gate = opened(machine, tmp_path)
    machine.unmount_part()
    machine.guard().require_for_pass()
    gate.close()
    gate.open(1)
    assert machine.workload.epochs == [1]
    sync.close()


def test_a_pass_that_comes_late_opens_no_workload_without_a_part_of_its_state(machine, tmp_path):
    """It is not put in the place of the state, and so it is no reason to do without the part."""
    machine.mount_part()
    gate = machine.gate(machine.sync(tmp_path))
    gate.open(2)
    gate.close()
    forge(machine.inbox, pass_id(1, 5), "whole")  # of a former holder
    machine.unmount_part()  # a reboot; the volume comes late
    gate = machine.gate(machine.sync(tmp_path))
    with pytest.raises(GateFailed, match="blobs"):
        gate.open(2)
