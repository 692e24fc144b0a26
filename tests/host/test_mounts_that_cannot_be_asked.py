"""A mount point of the state's file system that leads nowhere: another mount hides it, or a socket or a FIFO is bound
there. A gate that says that it is closed has asked that file system all the same.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from spotguard.domain.errors import GateFailed
from spotguard.host.mounts import Mounts
from spotguard.host.write_back import ClosingWriteBack, NotAsked, WriteBack, sync_file_system
from tests.host.roots import Root

LONG_SECONDS = 30
ALONE = ["unshare", "--mount", "--propagation", "private"]
SCENE = """
import json, os, socket, subprocess, sys
from pathlib import Path
from spotguard.domain.errors import GateFailed
from spotguard.host.write_back import ClosingWriteBack, WriteBack, sync_file_system
folder, second = Path(sys.argv[1]), sys.argv[2]
srv, jail = folder / "srv", folder / "jail"
def mount(*words):
    subprocess.run(["mount", *map(str, words)], check=True)
srv.mkdir()
mount("-t", "tmpfs", "of-the-state", srv)
(srv / "web").mkdir()
if second.endswith("in it"):
    jail = srv / "web" / "jail"
jail.mkdir()
if second in ("seen", "hidden"):
    (jail / "srv").mkdir()
    mount("--bind", srv, jail / "srv")
else:
    os.chdir(srv)
    if second.startswith("socket"):
        socket.socket(socket.AF_UNIX).bind("bound")
    elif second.startswith("fifo"):
        os.mkfifo("bound")
    else:
        Path("bound").touch()
    (jail / "bound").touch()
    mount("--bind", srv / "bound", jail / "bound")
if second == "hidden":
    mount("-t", "tmpfs", "over-it", jail)
asked = set()
def sync(point):
    sync_file_system(point)
    asked.add(point.stat().st_dev)
try:
    ClosingWriteBack(srv / "web", sync=sync, state_seconds=5, others_seconds=5).run()
    said = "closed"
except GateFailed as error:
    said = str(error)
print(json.dumps([said, (srv / "web").stat().st_dev in asked, WriteBack(srv / "web").carry_on(5)]), flush=True)
os._exit(0)  # a thread may hang
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("second", ["seen", "hidden", "file", "socket", "fifo", "socket in it", "fifo in it"])
def test_a_gate_that_closed_and_a_pass_have_asked_the_states_own_file_system(tmp_path, second):
    if subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no mount namespace of its own is allowed here")
    words = [*ALONE, sys.executable, "-c", SCENE, str(tmp_path), second]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == ["closed", True, True]


@pytest.mark.parametrize("there", ["nothing", "a FIFO", "below a file"])
def test_what_cannot_be_opened_has_said_nothing(tmp_path, there):
    point = tmp_path / "point"
    if there == "a FIFO":
        os.mkfifo(point)
    if there == "below a file":
        point.touch()
        point /= "inner"
    with pytest.raises(NotAsked, match="point"):
        sync_file_system(point)


def test_a_file_that_is_bound_somewhere_leads_to_its_file_system(tmp_path):
    (tmp_path / "hosts").touch()
    sync_file_system(tmp_path / "hosts")


class Disks:
    """Of the root, the state, a part of it, and one beside; each bound once more. What leads nowhere is `hidden`."""

    def __init__(self, tmp_path):
        self.state, self.part, self.beside = tmp_path / "srv", tmp_path / "srv/web/part", tmp_path / "log"
        self.asked, self.hidden = [], set()
        root = Root(tmp_path / "machine")
        root.write(
            "proc/self/mountinfo",
            "22 1 259:1 / / rw - ext4 /dev/nvme0n1p1 rw\n"
            f"30 22 259:2 / {self.state} rw - ext4 /dev/nvme1n1 rw\n"
            f"31 30 259:3 / {self.part} rw - ext4 /dev/nvme2n1 rw\n"
            f"32 22 259:4 / {self.beside} rw - ext4 /dev/nvme3n1 rw\n"
            "40 22 259:2 / /jail/srv rw - ext4 /dev/nvme1n1 rw\n"
            "41 22 259:3 / /jail/part rw - ext4 /dev/nvme2n1 rw\n",
        )
        self.mounts = Mounts(root.path)

    def sync(self, point: Path):
        if point in self.hidden:
            raise NotAsked(2, "No such file or directory", str(point))
        self.asked.append(point)

    def write_back(self, state):
        return ClosingWriteBack(state, self.mounts, self.sync, state_seconds=LONG_SECONDS)


@pytest.fixture
def disks(tmp_path):
    return Disks(tmp_path)


def test_the_state_itself_and_what_is_mounted_in_it_are_asked_first(disks):
    disks.write_back(disks.state / "web").run()
    assert set(disks.asked) == {disks.state / "web", disks.part, disks.beside, Path("/")}


def test_where_the_workloads_stop_has_unmounted_the_state_what_is_above_it_is_asked(disks):
    disks.hidden = {disks.state / "web"}
    disks.write_back(disks.state / "web").run()
    assert disks.state in disks.asked


def test_a_part_that_is_hidden_in_the_state_is_asked_elsewhere(disks):
    disks.hidden = {disks.part}
    disks.write_back(disks.state / "web").run()
    assert Path("/jail/part") in disks.asked


def test_a_part_that_can_be_asked_nowhere_keeps_the_gate_open_until_it_can(disks):
    disks.hidden = {disks.part, Path("/jail/part")}
    write_back = disks.write_back(disks.state / "web")
    for _ in range(2):
        with pytest.raises(GateFailed, match=f"not on its disks yet: {disks.part}$"):
            write_back.run()
        assert write_back.is_owed
    disks.hidden.clear()
    write_back.run()
    assert not write_back.is_owed


@pytest.mark.parametrize("known", [True, False])
def test_what_can_be_asked_nowhere_and_is_not_known_to_be_the_states_holds_no_gate_up(disks, known):
    """Nothing that lies in a folder is there."""
    disks.hidden = {disks.beside}
    write_back = disks.write_back(disks.state / "web" if known else None)
    write_back.run()
    assert not write_back.is_owed


def test_a_pass_does_not_ask_what_is_above_a_state_that_is_gone(tmp_path):
    with pytest.raises(FileNotFoundError, match="web"):
        WriteBack(tmp_path / "web").carry_on(LONG_SECONDS)
