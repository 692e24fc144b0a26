"""What the times of a file do not tell, with real rsync from folder to folder."""

import mmap
import os
import shutil
import tempfile
import time
import tracemalloc
from pathlib import Path

import pytest
from msgspec.structs import replace

from spotguard.host.known_folders import NO_FOLDERS
from spotguard.host.state_folder import Linked, folders_of, look_at
from spotguard.host.sync_memory import Sent, SyncMemory, memory_of
from spotguard.host.term import Term
from tests.host.copying import TARGET, machine, opened, pair_in, settle, whole_pass

pytestmark = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")


@pytest.fixture
def pair(tmp_path):
    return pair_in(tmp_path)


def test_a_file_rewritten_within_one_second_is_not_taken_for_the_former_one(pair):
    primary, standby, state, theirs = pair
    os.utime(state / "a", ns=(0, 1_700_000_000_100_000_000))
    whole_pass(primary)
    (state / "a").write_text("two")
    os.utime(state / "a", ns=(0, 1_700_000_000_600_000_000))
    whole_pass(primary)
    standby.adopt(2)
    assert (theirs / "a").read_text() == "two"


@pytest.mark.parametrize("name", ["a", "#a", ";a", "-a", " a", "./a\n#"])
def test_a_file_whose_time_was_set_back_is_not_taken_for_the_former_one(pair, name):
    primary, standby, state, theirs = pair
    long_ago = (1_700_000_000, 1_700_000_000)
    (state / name).write_text("one")
    os.utime(state / name, long_ago)
    settle()
    whole_pass(primary)
    with (state / name).open("r+") as file:
        file.write("six")
    os.utime(state / name, long_ago)
    settle()
    assert whole_pass(primary).position == primary.position()
    standby.adopt(2)
    assert (theirs / name).read_text() == "six"


def test_a_file_that_is_rewritten_after_the_clock_was_stepped_back_is_sent(pair, tmp_path):
    """Its time is before the last pass, whose clock was an hour ahead; its size and the time that can be set are as
    they were.
    """
    primary, standby, state, theirs = pair
    told, hour = (state / "a").stat(), 3600 * 10**9
    whole_pass(primary)
    memory = SyncMemory(memory_of(tmp_path / "primary"))
    sent = memory.sent_to(TARGET.instance_id)
    ahead = replace(sent, since_ns=sent.since_ns + hour, clock_ns=sent.clock_ns + hour)
    memory.keep_sent(TARGET.instance_id, ahead, memory.folders_of(sent))
    (state / "a").write_text("two")
    os.utime(state / "a", ns=(told.st_atime_ns, told.st_mtime_ns))
    settle()
    primary = machine(tmp_path, "primary")
    assert whole_pass(primary).position == primary.position()
    standby.adopt(2)
    assert (theirs / "a").read_text() == "two"


@pytest.mark.parametrize(
    ("now", "clock", "stepped"),
    [
        (1100, 500, False),
        (1100, 700, False),  # forward, or another boot
        (900, 300, True),
        (1100, 300, True),  # back, and by now it is later than the last pass all the same
        (1100, 499.5, False),  # two readings
    ],
)
def test_a_clock_was_stepped_back_if_it_has_gone_less_than_the_time(now, clock, stepped):
    sent = Sent("pass", since_ns=1000 * 10**9, clock_ns=500 * 10**9)
    assert sent.stepped_back(now * 10**9, int(clock * 10**9)) is stepped
    of_before = Sent("pass", since_ns=1000 * 10**9)
    assert of_before.stepped_back(now * 10**9, int(clock * 10**9)) is (now < 1000)


@pytest.mark.parametrize("memory", [False, True])
def test_what_is_stored_through_a_mapping_after_a_pass_is_in_the_next_one(tmp_path, memory):
    """The page is dirty already, so that no time of the file tells of it. In memory nothing is ever written back: the
    time there is that of the first store, as it is for a write whose bytes come late.
    """
    if memory and not os.access("/dev/shm", os.W_OK):
        pytest.skip("no file system in memory here")
    with tempfile.TemporaryDirectory(dir="/dev/shm" if memory else tmp_path) as folder:
        state = Path(folder) / "primary"
        state.mkdir()
        (state / "a").write_text("one")
        primary, standby = opened(Path(folder)), machine(Path(folder), "standby")
        with (state / "a").open("r+b") as file, mmap.mmap(file.fileno(), 0) as stored:
            stored[:] = b"two"
            settle()
            whole_pass(primary)
            stored[:] = b"six"
        settle()
        assert whole_pass(primary).position == primary.position()
        standby.adopt(2)
        assert (Path(folder) / "standby" / "a").read_text() == "six"


@pytest.mark.parametrize("before", [True, None], ids=["it runs", "nobody can tell"])
def test_a_pass_that_begins_while_the_workload_may_run_is_not_its_last_one(pair, tmp_path, before):
    """A write has its time when it begins, and its bytes when the disk has taken them."""
    runs = [before]
    sync = machine(tmp_path, "primary", Term(held=lambda: 1, runs=lambda: runs[-1]))
    assert whole_pass(sync).position < sync.position()
    runs.append(False)
    assert whole_pass(sync).position == sync.position()


def test_a_state_that_still_changes_is_not_called_complete(tmp_path):
    (tmp_path / "a").write_text("written this very moment")
    assert not look_at(tmp_path).settled
    settle()
    assert look_at(tmp_path).settled


def test_one_look_tells_the_position_and_everything_that_changed_for_it(tmp_path):
    """Of two looks the second may see, and claim, what the first did not list."""
    (tmp_path / "before").write_text("1")
    settle()
    linked = Linked(time.time_ns(), folders_of(tmp_path, look_at(tmp_path)))
    settle()
    (tmp_path / "after").write_text("2")
    settle()
    seen = look_at(tmp_path, linked)
    assert seen.changed == b"./after\0"
    assert seen.newest_microseconds == (tmp_path / "after").stat().st_ctime_ns // 1000
    assert look_at(tmp_path).changed == b""


def test_of_a_file_that_has_changed_its_name_alone_is_kept(tmp_path):
    """After `chown -R`, or a clock that was stepped back, that is all of them: millions."""
    names = [f"document-{number:04d}" for number in range(2000)]
    for name in names:
        (tmp_path / name).touch()
    linked = Linked(0, NO_FOLDERS)
    look_at(tmp_path, linked)
    tracemalloc.start()
    try:
        seen = look_at(tmp_path, linked)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert seen.changed.count(b"\0") == len(names)
    assert held < 1.1 * len(seen.changed) + 5_000
