"""A mount point may have any name that the kernel takes: whoever may mount a folder of his own chooses it."""

import os
import subprocess
import sys

import pytest

from spotguard.domain.errors import GateFailed
from spotguard.host.inbox import delete_former
from spotguard.host.mounts import Mounts, fstab
from spotguard.host.write_back import ClosingWriteBack, NotAsked
from tests.host.mounted import SRV_LINE, Machine

WIDE, LINES = "disk\u3000one", "a\rb\u2028c\x0cd\x85e"  # what Unicode calls a blank, and ends of lines
MOUNTINFO = "proc/self/mountinfo"
NO_TEXT = os.fsdecode(b"caf\xe9")  # in Latin-1
ODD = pytest.mark.parametrize("name", [WIDE, LINES, NO_TEXT])

CLOSE = """
mount --make-rprivate / && mkdir "$1" && mount -t tmpfs none "$1" || exit 77
exec "$2" -c '
from spotguard.host.gate import CommandGate, GateCommands
CommandGate(GateCommands(start=["true"], stop=["true"], status=["false"])).close()
'
"""

PARTED = """
import os, subprocess, sys
from pathlib import Path
from spotguard.host.write_back import ClosingWriteBack, WriteBack
state = Path(sys.argv[1])
for folder in (state, state / sys.argv[2]):
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)
ClosingWriteBack(state, state_seconds=5, others_seconds=5).run()
assert WriteBack(state).carry_on(5)
os._exit(0)  # a thread may hang
"""


@ODD
def test_what_is_mounted_is_found_by_its_name(tmp_path, name):
    machine = Machine(tmp_path)
    machine.srv = tmp_path / name
    machine.mount()
    assert machine.mounts.inside(machine.srv) == [machine.srv]
    assert machine.mounts.point_of(machine.srv / "web") == str(machine.srv)
    assert [str(machine.srv)] in machine.mounts.of_this_machine().values()
    assert [disk.name for disk in machine.mounts.disks_of(str(machine.srv))] == ["nvme1n1"]


@ODD
def test_what_fstab_promises_is_found_by_its_name(tmp_path, name):
    machine = Machine(tmp_path)
    machine.srv = tmp_path / name
    machine.root.path.joinpath("etc").mkdir(parents=True, exist_ok=True)
    text = f"# of {name} /none\n UUID=2\t{machine.srv}  ext4 defaults,noauto\n\n"
    machine.root.path.joinpath("etc/fstab").write_bytes(os.fsencode(text))
    assert [(one.path, one.at_boot) for one in fstab(machine.root.path)] == [(str(machine.srv), False)]
    assert machine.mounts.promised_at(machine.srv / "web", at_boot=False) == str(machine.srv)


@ODD
def test_a_mount_of_somebody_else_keeps_no_gate_from_closing(tmp_path, name):
    """In a namespace of its own: nobody else on this machine sees it."""
    closed = subprocess.run(
        ["unshare", "--mount", "sh", "-c", CLOSE, "sh", str(tmp_path / name), sys.executable],
        capture_output=True,
        text=True,
        check=False,
    )
    if closed.returncode == 77 or "unshare failed" in closed.stderr:
        pytest.skip("nothing may be mounted here")
    assert closed.returncode == 0, closed.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@ODD
def test_a_part_of_the_state_of_any_name_keeps_no_gate_from_closing(tmp_path, name):
    alone = ["unshare", "--mount", "--propagation", "private"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no mount namespace of its own is allowed here")
    words = [*alone, sys.executable, "-c", PARTED, str(tmp_path / "srv"), name]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Parted(Machine):
    """A part of its state is mounted where a name is no text."""

    def __init__(self, tmp_path):
        super().__init__(tmp_path)
        self.disk("nvme3n1", "259:4", "vol0dddddddddddddddd")
        self.mount()
        self.without = (self.root.path / MOUNTINFO).read_text()
        part = SRV_LINE.format(number="259:4", point=self.state / NO_TEXT, source="/dev/nvme3n1")
        self.root.write(MOUNTINFO, self.without + part)

    def unmount_part(self):
        self.root.write(MOUNTINFO, self.without)


def test_a_part_whose_name_is_no_text_is_remembered_and_told_as_text(tmp_path):
    machine = Parted(tmp_path)
    machine.guard().opens(arrived=False)
    machine.guard().opened()
    assert machine.guard().why_missing() is None
    machine.unmount_part()
    because = machine.guard().why_missing()
    assert f"nothing is mounted at {machine.state}/caf\\xe9, where a part of the state" in because
    with pytest.raises(GateFailed, match=r"caf\\xe9"):
        machine.guard().require_to_open(lambda: False)
    assert ("mount", str(machine.state / NO_TEXT)) in machine.asked


def test_a_part_whose_name_is_no_text_and_that_cannot_be_asked_is_told_as_text(tmp_path):
    machine = Parted(tmp_path)

    def sync(point):
        if point.name == NO_TEXT:
            raise NotAsked(2, "No such file or directory", str(point))

    with pytest.raises(GateFailed, match=r"not on its disks yet: .*/caf\\xe9$"):
        ClosingWriteBack(machine.state, machine.mounts, sync, state_seconds=5).run()


def test_where_the_state_is_mounted_is_told_as_text(tmp_path):
    """It is named by a link that leads there."""
    machine, place = Machine(tmp_path), tmp_path / NO_TEXT
    place.mkdir()
    (tmp_path / "link").symlink_to(place)
    machine.srv, machine.state = place, tmp_path / "link" / "web"
    machine.mount()
    assert machine.guard().seen().mounted_at == f"{tmp_path}/caf\\xe9"
    machine.guard().opens(arrived=False)
    machine.unmount()
    assert f"mounted at {tmp_path}/caf\\xe9, where the state" in machine.guard().why_missing()


def test_a_share_in_a_former_state_of_any_name_is_not_deleted_with_it(tmp_path):
    former = tmp_path / f".{WIDE}.before-000000001-00000000000000001"
    share = former / "share"
    share.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "none", str(share)], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("nothing may be mounted here")
    try:
        (share / "everybodys").write_text("data")
        delete_former([former])
        assert (share / "everybodys").read_text() == "data"
        assert Mounts().inside(former) == [share]
    finally:
        subprocess.run(["umount", str(share)], check=True)
