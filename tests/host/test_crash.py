"""What lies on a disk at the moment of a crash: the kernel writes names down when it likes, or when it is told to."""

import shutil

import msgspec

from spotguard.host.inbox import Inbox, Mark, pass_id
from tests.host.disks import ext4_in, mounted, needs_a_disk


def received(inbox, name):
    (inbox / "passes" / name).mkdir(parents=True)
    (inbox / "passes" / name / "log").write_text("acknowledged\n")
    (inbox / "marks").mkdir()
    (inbox / "marks" / f"{name}.whole").write_bytes(msgspec.json.encode(Mark(position=1, bytes=13)))


@needs_a_disk
def test_a_pass_that_became_the_state_is_the_state_after_a_crash(tmp_path):
    """Else the machine comes back with the former state, and what was acknowledged since lies where nobody looks."""
    disk, after, folder = tmp_path / "disk", tmp_path / "after", tmp_path / "srv"
    ext4_in(disk)
    folder.mkdir()
    with mounted(disk, folder):
        (folder / "web").mkdir()
        (folder / "web" / "log").write_text("of the image\n")
        received(folder / "inbox", pass_id(1, 1))
    with mounted(disk, folder):
        assert Inbox(folder / "inbox").adopt(folder / "web", since=0, before=2) is not None
        shutil.copyfile(disk, after)
    with mounted(after, folder):
        assert (folder / "web" / "log").read_text() == "acknowledged\n"
