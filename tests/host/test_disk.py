"""The folder on which an agent remembers."""

import resource
import signal
import stat
import subprocess
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from spotguard.agent.files import Journal
from spotguard.agent.outbox import Outbox, Report
from spotguard.domain.errors import InvalidInput
from spotguard.host.disk import FolderDisk, alone_in
from spotguard.host.reserve import PIECE_BYTES, PIECES

_AT = datetime(2026, 3, 1, tzinfo=UTC)
SIGNAL = Report("one", "signal", "interruption-signal", {"kind": "termination"}, _AT)
OTHER = Report("two", "signal", "interruption-signal", {"kind": "rebalance"}, _AT)


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


def test_on_one_that_has_turned_read_only_an_agent_still_starts_and_alone(small_disk):
    """What a crash has torn is cut off before anything is written behind it."""
    folder = small_disk / "agent"
    outbox = Outbox(FolderDisk(folder), lambda: None)
    outbox.put(SIGNAL)
    with (folder / Outbox.NAME).open("ab") as journal:
        journal.write(b"half a li")
    with alone_in(folder):
        pass
    turned(small_disk, "ro")
    with alone_in(folder):
        outbox = Outbox(FolderDisk(folder), lambda: None)
        assert (outbox.load(), outbox.first()) == (1, SIGNAL)
        with pytest.raises(InvalidInput, match="another agent runs here"), alone_in(folder):
            pytest.fail("there are two")
        with pytest.raises(OSError, match="Read-only"):
            outbox.acknowledged(SIGNAL)
        turned(small_disk, "rw")
        outbox.put(OTHER)
    outbox = Outbox(FolderDisk(folder), lambda: None)
    assert (outbox.load(), outbox.first(), len(outbox)) == (0, SIGNAL, 2)


def turned(place, how):
    subprocess.run(["mount", "-o", f"remount,{how}", str(place)], check=True)
