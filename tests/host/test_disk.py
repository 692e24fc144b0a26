"""The folder on which an agent remembers."""

import resource
import signal
import stat
import subprocess
from contextlib import suppress

import pytest

from spotguard.agent.files import Journal
from spotguard.domain.errors import InvalidInput
from spotguard.host.disk import FolderDisk
from spotguard.host.reserve import PIECE_BYTES, PIECES


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
    assert seen_in(tmp_path / "agent") == ["journal"]


def seen_in(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith(".reserve-"))


@pytest.fixture
def small_disk(tmp_path):
    """A file system of two MiB."""
    place = tmp_path / "small"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2M", "none", str(place)], check=False)
    if made.returncode != 0:
        pytest.skip("nothing may be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill_up(place):
    with suppress(OSError), (place / "heap").open("ab", buffering=0) as heap:
        while True:
            heap.write(b"x" * 4096)


def test_on_a_disk_that_somebody_fills_again_and_again_a_release_is_still_written(small_disk):
    disk = FolderDisk(small_disk / "agent")
    disk.replace("primacy", b"held")
    journal = Journal(disk, "outbox")
    for number in range(3):
        fill_up(small_disk)
        with pytest.raises(OSError, match="No space"):
            (small_disk / "other").write_bytes(b"x" * 4096)
        disk.replace("primacy", b"released" * 1000)
        fill_up(small_disk)
        journal.append({"number": number, "of": "x" * 5000})
    assert disk.read("primacy") == b"released" * 1000
    assert [line["number"] for line in Journal(FolderDisk(small_disk / "agent"), "outbox").read()] == [
        0,
        1,
        2,
    ]


def test_the_room_that_was_given_up_is_kept_anew_when_there_is_some(small_disk):
    disk = FolderDisk(small_disk / "agent")
    disk.replace("primacy", b"held")
    for _ in range(2):
        fill_up(small_disk)
        disk.replace("primacy", b"x" * (PIECES - 1) * PIECE_BYTES)
        with pytest.raises(OSError, match="No space"):
            disk.replace("primacy", b"x" * 2 * PIECES * PIECE_BYTES)
        (small_disk / "heap").unlink()
        disk.replace("primacy", b"held")
    assert disk.read("primacy") == b"held"


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
