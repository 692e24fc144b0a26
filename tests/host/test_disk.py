"""The folder on which an agent remembers."""

import resource
import signal
import stat

import pytest

from spotguard.agent.files import Journal
from spotguard.domain.errors import InvalidInput
from spotguard.host.disk import FolderDisk


def test_what_is_written_is_read(tmp_path):
    disk = FolderDisk(tmp_path / "agent")
    assert disk.read("state") is None
    disk.replace("state", b"one")
    disk.replace("state", b"two")
    disk.append("journal", b"a\n")
    disk.append("journal", b"b\n")
    assert (disk.read("state"), disk.read("journal")) == (b"two", b"a\nb\n")
    disk.remove("state")
    disk.remove("state")
    assert disk.read("state") is None
    assert sorted(p.name for p in (tmp_path / "agent").iterdir()) == ["journal"]


def test_nobody_else_may_read_it(tmp_path):
    disk = FolderDisk(tmp_path / "agent")
    disk.replace("state", b"secret")
    disk.append("journal", b"secret\n")
    for path in (tmp_path / "agent").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "agent").stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["../escape", "", "/etc/passwd", "A", ".hidden"])
def test_a_name_stays_in_the_folder(tmp_path, name):
    with pytest.raises(InvalidInput):
        FolderDisk(tmp_path).replace(name, b"")


def test_a_line_for_which_there_was_no_room_does_not_spoil_the_next_one(tmp_path):
    """A disk that fills up takes the first bytes of a line: what is appended later stands on its own."""
    journal = Journal(FolderDisk(tmp_path), "journal")
    journal.append("kept")
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30, usual[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            journal.append("x" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
        signal.signal(signal.SIGXFSZ, ignored)
    journal.append("after")
    assert Journal(FolderDisk(tmp_path), "journal").read() == ["kept", "after"]
