"""What the kernel holds of a state is brought to its disks, and to no others."""

import subprocess

import pytest

from spotguard.host.mounts import Mounts
from spotguard.host.write_back import ClosingWriteBack, WriteBack
from tests.host.mounted import Machine

LONG_SECONDS = 30


def test_a_mount_inside_a_state_is_among_its_file_systems_and_one_beside_it_is_not(tmp_path):
    machine = Machine(tmp_path)
    machine.mount()
    assert machine.mounts.inside(machine.srv) == [machine.srv]
    assert machine.mounts.inside(machine.state) == []
    assert machine.mounts.inside(tmp_path) == [machine.srv]


def test_a_state_with_a_file_system_of_its_own_inside_is_written_back(tmp_path):
    share = tmp_path / "web" / "share"
    share.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "none", str(share)], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("nothing may be mounted here")
    try:
        assert Mounts().inside(tmp_path / "web") == [share]
        (tmp_path / "web" / "a").write_text("one")
        assert WriteBack(tmp_path / "web").carry_on(LONG_SECONDS)
        assert WriteBack(tmp_path / "web").carry_on(LONG_SECONDS), "each look asks anew"
    finally:
        subprocess.run(["umount", str(share)], check=True)


def test_a_state_that_cannot_be_written_back_is_told_each_time_it_is_asked(tmp_path):
    write_back = WriteBack(tmp_path / "web")
    for _ in range(2):
        with pytest.raises(FileNotFoundError, match="web"):
            write_back.carry_on(LONG_SECONDS)
    (tmp_path / "web").mkdir()
    assert WriteBack(tmp_path / "web").carry_on(LONG_SECONDS)


def test_a_share_that_may_hang_is_not_asked_when_a_gate_closes(tmp_path):
    machine = Machine(tmp_path)
    machine.root.write(
        "proc/self/mountinfo",
        "22 1 259:1 / / rw - ext4 /dev/nvme0n1p1 rw\n"
        "30 22 259:1 /x /bound rw - ext4 /dev/nvme0n1p1 rw\n"
        "31 22 0:50 / /srv/share rw - nfs4 10.0.0.9:/ rw\n"
        "32 22 0:51 / /srv/bucket rw - fuse.s3fs s3fs rw\n"
        "33 22 0:52 / /srv/pool\\040a rw shared:1 - zfs pool/a rw\n"
        "34 22 259:3 / /srv/disk rw - fuseblk /dev/nvme1n1 rw\n",
    )
    assert machine.mounts.of_this_machine() == {
        "259:1": ["/bound", "/"],
        "259:3": ["/srv/disk"],
        "0:52": ["/srv/pool a"],
    }


def test_what_this_machine_answers_for_is_written_back_with_the_root_among_it():
    known = Mounts()
    assert "/" in known.of_this_machine()[known.now()["/"].number]
    ClosingWriteBack(None).run()
