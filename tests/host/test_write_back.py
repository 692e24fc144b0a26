"""What the kernel holds of a state is brought to its disks, and to no others."""

import subprocess

import pytest

from spotguard.host.mounts import Mounts
from spotguard.host.write_back import WriteBack
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
