"""A mount point may have any name that the kernel takes: whoever may mount a folder of his own chooses it."""

import subprocess
import sys

import pytest

from spotguard.host.inbox import delete_former
from spotguard.host.mounts import Mounts, fstab
from tests.host.mounted import Machine

WIDE, LINES = "disk\u3000one", "a\rb\u2028c\x0cd\x85e"  # what Unicode calls a blank, and ends of lines
ODD = pytest.mark.parametrize("name", [WIDE, LINES])

CLOSE = """
mount --make-rprivate / && mkdir "$1" && mount -t tmpfs none "$1" || exit 77
exec "$2" -c '
from spotguard.host.gate import CommandGate, GateCommands
CommandGate(GateCommands(start=["true"], stop=["true"], status=["false"])).close()
'
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
    machine.root.path.joinpath("etc/fstab").write_bytes(text.encode())
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
