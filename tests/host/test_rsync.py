"""State sync with real rsync, from folder to folder."""

import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from spotguard.domain.errors import SyncFailed
from spotguard.host.inbox import Inbox, Mark, former, pass_id
from spotguard.host.rsync import RsyncSync
from spotguard.host.sync_memory import memory_of
from spotguard.host.transport import RsyncTransport
from spotguard.ports.checked_lines import line_of
from spotguard.ports.workload import SyncTarget
from tests.host.copying import TARGET, forge, machine, pair_in, settle, whole_pass
from tests.host.namespaces import until

pytestmark = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")


@pytest.fixture
def pair(tmp_path):
    return pair_in(tmp_path)


def test_a_whole_pass_arrives_and_is_adopted(pair):
    primary, standby, state, theirs = pair
    assert standby.received().position is None
    made = whole_pass(primary)
    assert made.position == primary.position() == standby.received().position
    assert standby.received().progress_percent == 100
    assert standby.adopt(2) is not None
    assert (theirs / "sub" / "b").read_text() == "two"
    assert (state / "a").read_text() == (theirs / "a").read_text()


@pytest.fixture
def elsewhere(tmp_path):
    """A folder in another file system, directly below where that is mounted."""
    memory = Path("/dev/shm")
    if not memory.is_mount() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system here")
    folder = Path(tempfile.mkdtemp(dir=memory))
    yield folder
    shutil.rmtree(folder)


def test_a_standby_on_which_no_pass_could_take_the_place_of_the_state_is_none(tmp_path, elsewhere):
    """Found out at its promotion, it would be found out when the former holder has let go."""
    (tmp_path / "state").mkdir()
    for state, inbox in ((tmp_path / "state", elsewhere), (elsewhere.parent, elsewhere / "inbox")):
        with pytest.raises(SyncFailed, match="no pass can take the place of"):
            RsyncSync(state, inbox, RsyncTransport("unused")).received()
    assert RsyncSync(elsewhere / "a/b", elsewhere / "c", RsyncTransport("unused")).received().position is None


@pytest.mark.parametrize("bound", ["standby", "standby-inbox", "standby-inbox/passes"])
def test_a_standby_that_has_a_folder_bound_where_a_pass_is_renamed_is_none(pair, tmp_path, bound):
    """One file system, and yet the kernel renames nothing across it."""
    primary, standby, _, _ = pair
    whole_pass(primary)
    elsewhere, point = tmp_path / "elsewhere", tmp_path / bound
    elsewhere.mkdir()
    point.mkdir(exist_ok=True)
    if (
        subprocess.run(["mount", "--bind", elsewhere, point], capture_output=True, check=False).returncode
        != 0
    ):
        pytest.skip("nothing can be mounted here")
    try:
        with pytest.raises(SyncFailed, match="no pass can take the place of"):
            standby.received()
    finally:
        subprocess.run(["umount", point], check=True)
    assert standby.received().position is not None


def test_what_was_sent_is_what_rsync_counted(pair):
    primary, _, state, _ = pair
    (state / "large").write_bytes(os.urandom(200_000))
    settle()
    assert whole_pass(primary).bytes_sent > 200_000
    (state / "a").write_text("a little")
    settle()
    assert 0 < whole_pass(primary).bytes_sent < 20_000


def test_the_next_pass_brings_changes_and_deletions(pair):
    primary, standby, state, theirs = pair
    whole_pass(primary)
    (state / "a").unlink()
    (state / "c").write_text("three")
    whole_pass(primary)
    standby.adopt(2)
    assert sorted(p.name for p in theirs.iterdir()) == ["c", "sub"]


def test_everything_of_a_file_arrives(pair):
    primary, standby, state, theirs = pair
    odd = [b"-rf", b"new\nline", b"\xff\xfe", b"a b", b"*", b"$(touch x)", "ä".encode()]
    for name in odd:
        (state / os.fsdecode(name)).write_text(repr(name))
    os.link(state / "a", state / "sub" / "linked")
    (state / "symbolic").symlink_to("nowhere\n-at-all")
    (state / "a").chmod(0o4750)
    attributes = {"user.colour": b"green", "user.rsync.%stat": b"104750 0,0 1234:1234"}
    for name, value in attributes.items():
        os.setxattr(state / "a", name, value)
    os.mkfifo(state / "pipe")
    if os.geteuid() == 0:
        os.chown(state / "a", 12345, 54321)
        (state / "a").chmod(0o4750)
    whole_pass(primary)
    standby.adopt(2)
    assert set(odd) <= {os.fsencode(path.name) for path in theirs.iterdir()}
    assert (theirs / "a").samefile(theirs / "sub" / "linked")
    assert (theirs / "symbolic").readlink() == Path("nowhere\n-at-all")
    assert stat.S_ISFIFO((theirs / "pipe").lstat().st_mode)
    assert {name: os.getxattr(theirs / "a", name) for name in os.listxattr(theirs / "a")} == attributes
    mine, arrived = (state / "a").stat(), (theirs / "a").stat()
    for what in ("st_mode", "st_uid", "st_gid", "st_mtime_ns", "st_nlink"):
        assert getattr(arrived, what) == getattr(mine, what), what


def test_holes_of_a_file_take_no_room_on_the_standby(pair):
    """Else a database that maps a terabyte and holds a little of it never has a standby."""
    primary, standby, state, theirs = pair
    with (state / "mapped").open("wb") as file:
        file.truncate(64 << 20)
        file.seek(32 << 20)
        file.write(b"a little")
    settle()
    whole_pass(primary)
    with (state / "mapped").open("r+b") as file:
        file.seek(48 << 20)
        file.write(b"and more")
    settle()
    whole_pass(primary)
    standby.adopt(2)
    arrived = theirs / "mapped"
    assert arrived.read_bytes() == (state / "mapped").read_bytes()
    assert arrived.stat().st_blocks * 512 < 4 << 20


def test_half_a_pass_is_never_taken(pair, tmp_path):
    primary, standby, _, theirs = pair
    whole_pass(primary)
    before = standby.received().position
    forge(tmp_path / "standby-inbox", pass_id(1, 99999999999999999), "begun")
    assert standby.received().position == before
    standby.adopt(2)
    assert (theirs / "a").read_text() == "one"


def test_a_crash_while_a_pass_takes_the_place_of_the_state_leaves_nothing_behind(pair, tmp_path):
    primary, standby, _, theirs = pair
    theirs.mkdir()
    (theirs / "a").write_text("older")
    whole_pass(primary)
    newest = standby.received()
    name = next((tmp_path / "standby-inbox" / "passes").iterdir()).name
    left, other = tmp_path / f".standby.before-{name}", tmp_path / ".standby.before-the-flood"
    other.mkdir()

    theirs.rename(left)  # killed between the two renames
    standby = machine(tmp_path, "standby")
    assert standby.adopt(2) == name
    assert (theirs / "a").read_text() == "one"
    until(lambda: not left.exists())

    left.mkdir()  # killed while the former state was deleted
    (left / "a").write_text("older")
    assert machine(tmp_path, "standby").adopt(2) is None
    until(lambda: not left.exists())
    assert other.exists(), "what is not named by us is not ours"
    assert (theirs / "a").read_text() == "one"
    assert newest.position is not None


def test_what_is_mounted_in_a_state_that_goes_aside_is_not_deleted_with_it(pair, tmp_path):
    """A share that all instances have there, of which the pass brings a copy."""
    primary, standby, _, theirs = pair
    share, there = tmp_path / "share", theirs / "uploads"
    share.mkdir()
    there.mkdir(parents=True)
    (share / "everybody's").write_text("1")
    if subprocess.run(["mount", "--bind", share, there], capture_output=True, check=False).returncode != 0:
        pytest.skip("nothing can be mounted here")
    whole_pass(primary)
    name = standby.adopt(2)
    aside = tmp_path / f".standby.before-{name}"
    subprocess.run(["umount", aside / "uploads"], check=True)
    assert (share / "everybody's").read_text() == "1"
    assert (theirs / "a").read_text() == "one"
    assert machine(tmp_path, "standby").adopt(2) is None
    until(lambda: not aside.exists())


def test_what_was_the_state_is_deleted_when_nobody_waits_for_it(pair, tmp_path):
    """Of a large one that takes longer than a workload may be away."""
    primary, _, _, theirs = pair
    theirs.mkdir()
    (theirs / "a").write_text("older")
    whole_pass(primary)
    arrived = Inbox(tmp_path / "standby-inbox").adopt(theirs, since=0, before=2)
    (aside,) = former(theirs)
    assert aside.name == f".standby.before-{arrived.id}"
    assert (aside / "a").read_text() == "older"
    assert (theirs / "a").read_text() == "one"


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="no other file system here")
def test_a_pass_that_cannot_take_the_place_of_the_state_leaves_it_there(pair, tmp_path):
    """Mended by another inbox, which is empty, the workload would open without any."""
    primary, _, _, theirs = pair
    theirs.mkdir()
    (theirs / "a").write_text("older")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        (tmp_path / "standby-inbox").symlink_to(other)
        whole_pass(primary)
        with pytest.raises(OSError, match="cross-device"):
            machine(tmp_path, "standby").adopt(2)
    assert (theirs / "a").read_text() == "older"


def test_a_mark_that_does_not_read_counts_as_none(pair, tmp_path):
    primary, standby, _, _ = pair
    whole_pass(primary)
    marks = tmp_path / "standby-inbox" / "marks"
    (marks / f"{pass_id(9, 9)}.whole").write_text("{")
    (marks / f"{pass_id(9, 8)}.whole").write_text('{"position": "much", "bytes": 1}')
    (marks / "99999999999999999..whole").write_bytes(msgspec.json.encode(Mark(1, 1)))
    assert standby.received().position == primary.position()


def test_a_serving_state_is_not_overwritten_by_what_was_adopted_before(pair):
    primary, standby, _, theirs = pair
    whole_pass(primary)
    standby.adopt(2)
    (theirs / "a").write_text("written since")
    standby.adopt(2)
    assert (theirs / "a").read_text() == "written since"


def test_a_pass_of_a_former_holder_that_comes_late_replaces_nothing(pair, tmp_path):
    primary, standby, state, theirs = pair
    whole_pass(primary)
    standby.adopt(2)
    (theirs / "a").write_text("acknowledged since")
    (state / "a").write_text("of the past")
    whole_pass(primary)
    for epoch in (2, 3):  # a reboot; and after it went elsewhere and came back
        assert machine(tmp_path, "standby").adopt(epoch) is None
        assert (theirs / "a").read_text() == "acknowledged since"


def test_the_new_holder_brings_its_state_back_to_the_old_one(pair, tmp_path):
    primary, standby, state, theirs = pair
    whole_pass(primary)
    standby.adopt(2)
    before = primary.position()
    (theirs / "a").write_text("written on the new one")
    settle()
    made = whole_pass(standby, SyncTarget("i-0123456789abcdef1", "primary"))
    assert primary.received().position == made.position == standby.position() > before
    assert primary.adopt(3) is not None
    assert (state / "a").read_text() == "written on the new one"


def test_a_pass_under_way_to_a_target_that_goes_is_ended_and_counts_for_nothing(pair, tmp_path):
    """The run of rsync is one that hangs, in place of a line that is slow."""
    _, _, state, _ = pair
    hangs = Hanging(str(tmp_path / "{address}-inbox"))
    sync = RsyncSync(state, tmp_path / "own-inbox", hangs)
    other = SyncTarget("i-0fedcba9876543210", "other")
    for number, target in enumerate((TARGET, other), 1):
        while len(hangs.runs) < number:
            assert sync.push(target) is None
    sync.keep_only([TARGET.instance_id])
    kept, ended = hangs.runs
    assert (kept.poll(), ended.poll()) == (None, -signal.SIGKILL)
    sync.close()
    assert kept.poll() == -signal.SIGKILL
    assert machine(tmp_path, "other").received().position is None


@dataclass(frozen=True)
class Hanging(RsyncTransport):
    runs: list = field(default_factory=list)

    def start(self, arguments, *streams):
        self.runs.append(subprocess.Popen(["sleep", "60"]))
        return self.runs[-1]


def test_a_broken_pass_is_told_and_the_next_one_begins_anew(tmp_path, pair):
    primary, _, state, _ = pair
    broken = RsyncSync(state, tmp_path / "none", RsyncTransport("/proc/no-such-folder"))
    with pytest.raises(SyncFailed):
        whole_pass(broken)
    with pytest.raises(SyncFailed):
        whole_pass(RsyncSync(tmp_path / "absent", tmp_path / "none", RsyncTransport(str(tmp_path / "x"))))
    assert whole_pass(primary).bytes_sent > 0


def test_a_restarted_agent_goes_on_where_it_was(pair, tmp_path):
    primary, standby, state, _ = pair
    (state / "large").write_bytes(os.urandom(200_000))
    settle()
    first = whole_pass(primary)
    primary = machine(tmp_path, "primary")
    assert primary.position() == first.position, "nothing was written"
    assert whole_pass(primary).bytes_sent < 20_000, "what has not changed is not sent again"
    assert standby.received().position == first.position


def test_the_position_grows_with_every_change_whatever_the_clock_said(pair, tmp_path):
    primary, _, state, _ = pair
    (memory_of(tmp_path / "primary") / "memory.json").unlink()
    memory = {"epoch": 1, "fingerprint": "of the future", "position": 9_000_000_000_000_000, "last": 9}
    (memory_of(tmp_path / "primary") / "memory.json").write_bytes(line_of(memory))
    primary = machine(tmp_path, "primary")  # whose clock was ahead by centuries and has been put right
    seen = [primary.position()]
    (state / "a").write_text("more")
    seen.append(primary.position())
    (state / "a").chmod(0o600)
    seen.append(primary.position())
    (state / "sub" / "b").unlink()
    seen.append(primary.position())
    assert seen == [memory["position"] + change for change in (1, 2, 3, 4)]


def test_passes_are_in_order_although_the_next_holder_s_clock_is_behind(pair, tmp_path):
    primary, standby, _, theirs = pair
    third = machine(tmp_path, "third")
    to_third = SyncTarget("i-0123456789abcdef2", "third")
    memory = memory_of(tmp_path / "primary") / "memory.json"
    memory.write_bytes(line_of({"epoch": 1, "last": 99_999_999_999_999_990}))
    primary = machine(tmp_path, "primary")
    whole_pass(primary)
    whole_pass(primary, to_third)
    standby.adopt(2)
    (theirs / "a").write_text("the newer state")
    settle()
    whole_pass(standby, to_third)
    third.adopt(3)
    assert (tmp_path / "third" / "a").read_text() == "the newer state"


def test_progress_never_goes_back_within_a_pass(tmp_path):
    standby, inbox = machine(tmp_path, "standby"), tmp_path / "standby-inbox"
    name = pass_id(1, 1)
    forge(inbox, name, "begun")
    (inbox / "passes" / name / "file").write_bytes(b"x" * 50)
    first = standby.received().progress_percent
    assert 0 < first < 100
    (inbox / "passes" / name / "file").write_bytes(b"x")
    assert standby.received().progress_percent == first


@pytest.mark.parametrize(
    ("destination", "inner"),
    [
        ("root@{address}:/var/inbox", "/var/inbox"),
        ("root@{address}:/", ""),
        ("/srv/{instance_id}", "/srv/i-0123456789abcdef0"),
        ("/srv/a:b", "/srv/a:b"),
        ("{address}::module", ""),
        ("{address}::module/inbox", "/inbox"),
        ("rsync://{address}:873/module/inbox", "/inbox"),
    ],
)
def test_an_inbox_has_a_name_on_its_own_machine(destination, inner):
    assert RsyncTransport(destination).inner(TARGET) == inner


@pytest.mark.parametrize(("seconds_ahead", "known"), [(0.5, True), (5, False), (3600, False)])
def test_after_a_restart_with_a_clock_that_was_stepped_back_the_age_of_a_pass_is_not_known(
    pair, tmp_path, seconds_ahead, known
):
    """It would count as made this moment, however old it is."""
    primary, standby, _, _ = pair
    whole_pass(primary)
    assert standby.received().lag_seconds is not None
    (mark,) = (tmp_path / "standby-inbox" / "marks").glob("*.whole")
    os.utime(mark, (time.time() + seconds_ahead,) * 2)
    assert standby.received().lag_seconds is not None, "it has seen it arrive"
    again = machine(tmp_path, "standby").received()
    assert (again.progress_percent, again.lag_seconds is not None) == (100, known)
