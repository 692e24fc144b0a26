"""What lies on a disk at the moment of a crash: the kernel writes names down when it likes, or when it is told to."""

import os
import shutil
from dataclasses import dataclass, field

import msgspec
import pytest

from spotguard.host.inbox import Inbox, Mark, pass_id
from spotguard.host.notes import Notes
from spotguard.host.rsync import RsyncSync
from spotguard.host.transport import RsyncTransport
from tests.host.copying import TARGET, settle, whole_pass
from tests.host.disks import ext4_in, mounted, needs_a_disk

needs_rsync = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")


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


@dataclass(frozen=True)
class Noting(RsyncTransport):
    """`laid`: the places of files that were laid one by one, each with whether it was synced."""

    laid: list = field(default_factory=list)

    def start(self, arguments, *streams):
        if "--copy-links" in arguments:
            self.laid.append((arguments[-1], "--fsync" in arguments))
        return super().start(arguments, *streams)


class Sender:
    """A primary whose passes and notes go to `inbox`."""

    def __init__(self, folder, inbox):
        self.state = folder / "primary"
        self.state.mkdir()
        self.transport = Noting(str(inbox))
        self.sync = RsyncSync(self.state, folder / "primary-inbox", self.transport)
        self.sync.adopt(1)
        self.send(b"of yesterday")

    def send(self, log):
        (self.state / "log").write_bytes(log)
        settle()
        whole_pass(self.sync)

    def deliver(self, content):
        Notes(self.state, self.transport).deliver(TARGET, "ticket", content)


@needs_rsync
def test_after_a_mark_or_a_note_one_more_file_is_synced_so_that_its_name_is_on_the_disk(tmp_path):
    inbox = tmp_path / "inbox"
    sender = Sender(tmp_path, inbox)
    (mark,) = (inbox / "marks").glob("*.whole")
    sender.deliver(b"the ticket")
    assert sender.transport.laid[1:] == [
        (str(place), True) for place in (mark, f"{inbox}/marks/", inbox / "notes/ticket", f"{inbox}/notes/")
    ]


@needs_rsync
@needs_a_disk
def test_a_last_pass_and_a_ticket_that_were_sent_are_there_after_a_power_cut_of_the_standby(tmp_path):
    """The holder has let go by then, and sends neither again."""
    disk, after, folder = tmp_path / "disk", tmp_path / "after", tmp_path / "srv"
    ext4_in(disk)
    folder.mkdir()
    with mounted(disk, folder):
        sender = Sender(tmp_path, folder / "inbox")
        os.sync()
        sender.send(b"acknowledged last")
        shutil.copyfile(disk, after)
    with mounted(after, folder):
        assert Inbox(folder / "inbox").adopt(folder / "web", since=0, before=2) is not None
        assert (folder / "web" / "log").read_text() == "acknowledged last"
    with mounted(disk, folder):
        os.sync()
        sender.deliver(b"the ticket")
        shutil.copyfile(disk, after)
    with mounted(after, folder):
        assert Notes(folder / "inbox", sender.transport).delivered("ticket") == b"the ticket"
