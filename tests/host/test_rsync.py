"""State sync with real rsync, from folder to folder."""

import os
import shutil
import threading

import pytest

from spotguard.domain.errors import SyncFailed
from spotguard.host.rsync import RsyncSync
from spotguard.host.transport import RsyncTransport
from spotguard.ports.workload import SyncTarget

pytestmark = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")

TARGET = SyncTarget("i-0123456789abcdef0", "standby")


@pytest.fixture
def pair(tmp_path):
    """A primary with some state, and the standby that it pushes to."""
    state = tmp_path / "primary"
    state.mkdir()
    (state / "a").write_text("one")
    (state / "sub").mkdir()
    (state / "sub" / "b").write_text("two")
    age(state)
    theirs = tmp_path / "standby"
    primary = RsyncSync(state, tmp_path / "none", RsyncTransport(str(tmp_path / "{address}-inbox")))
    standby = RsyncSync(theirs, tmp_path / "standby-inbox", RsyncTransport("unused"))
    return primary, standby, state, theirs


def age(folder, seconds=1_700_000_000):
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, (seconds, seconds))


def whole_pass(sync, target=TARGET):
    waiting = threading.Event()
    for _ in range(500):
        made = sync.push(target)
        if made is not None:
            return made
        waiting.wait(0.01)
    raise AssertionError("the pass never ended")


def test_a_whole_pass_arrives_and_is_adopted(pair):
    primary, standby, state, theirs = pair
    assert standby.received().position is None
    made = whole_pass(primary)
    assert made.position == primary.position() == standby.received().position
    assert standby.received().progress_percent == 100
    assert standby.adopt() is not None
    assert (theirs / "sub" / "b").read_text() == "two"
    assert (state / "a").read_text() == (theirs / "a").read_text()


def test_the_next_pass_brings_changes_and_deletions(pair):
    primary, standby, state, theirs = pair
    whole_pass(primary)
    (state / "a").unlink()
    (state / "c").write_text("three")
    age(state, 1_700_000_100)
    whole_pass(primary)
    standby.adopt()
    assert sorted(p.name for p in theirs.iterdir()) == ["c", "sub"]


def test_half_a_pass_is_never_taken(pair, tmp_path):
    primary, standby, _, theirs = pair
    whole_pass(primary)
    inbox = tmp_path / "standby-inbox"
    before = standby.received().position
    begun = min((inbox / "marks").glob("*.begun")).read_text().replace('"id": "', '"id": "9')
    (inbox / "marks" / "99999999999999999.begun").write_text(begun)
    (inbox / "passes" / "99999999999999999").mkdir()
    assert standby.received().position == before
    standby.adopt()
    assert (theirs / "a").read_text() == "one"


def test_a_state_that_still_changes_is_not_called_complete(pair):
    primary, _, state, _ = pair
    (state / "a").write_text("written this very moment")
    assert whole_pass(primary).position < primary.position()


def test_a_mark_that_does_not_read_counts_as_none(pair, tmp_path):
    primary, standby, _, _ = pair
    whole_pass(primary)
    (tmp_path / "standby-inbox" / "marks" / "99999999999999999.whole").write_text("{")
    assert standby.received().position == primary.position()


def test_old_passes_are_cleared_away(pair, tmp_path):
    primary, standby, _, _ = pair
    for _ in range(4):
        whole_pass(primary)
    standby.received()
    assert len(list((tmp_path / "standby-inbox" / "passes").iterdir())) == 2


def test_a_serving_state_is_not_overwritten_by_what_was_adopted_before(pair):
    primary, standby, _, theirs = pair
    whole_pass(primary)
    standby.adopt()
    (theirs / "a").write_text("written since")
    standby.adopt()
    assert (theirs / "a").read_text() == "written since"


def test_a_broken_pass_is_told_and_the_next_one_begins_anew(tmp_path, pair):
    primary, _, state, _ = pair
    broken = RsyncSync(state, tmp_path / "none", RsyncTransport("/proc/no-such-folder"))
    with pytest.raises(SyncFailed):
        whole_pass(broken)
    with pytest.raises(SyncFailed):
        whole_pass(RsyncSync(tmp_path / "absent", tmp_path / "none", RsyncTransport(str(tmp_path / "x"))))
    assert whole_pass(primary).bytes_sent > 0


def test_a_file_rewritten_within_one_second_is_not_taken_for_the_former_one(pair):
    primary, standby, state, theirs = pair
    os.utime(state / "a", ns=(0, 1_700_000_000_100_000_000))
    whole_pass(primary)
    (state / "a").write_text("two")
    os.utime(state / "a", ns=(0, 1_700_000_000_600_000_000))
    whole_pass(primary)
    standby.adopt()
    assert (theirs / "a").read_text() == "two"


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
