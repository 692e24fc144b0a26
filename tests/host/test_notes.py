"""Notes between instances with real rsync, from folder to folder."""

import shutil

import pytest

from spotguard.domain.errors import SyncFailed
from spotguard.host.inbox import LARGEST_LAID
from spotguard.host.notes import Notes
from spotguard.host.transport import RsyncTransport
from spotguard.ports.workload import SyncTarget

pytestmark = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")

TARGET = SyncTarget("i-0123456789abcdef0", "standby")


@pytest.fixture
def pair(tmp_path):
    """Who delivers, and who is delivered to."""
    transport = RsyncTransport(str(tmp_path / "{address}-inbox"))
    return Notes(tmp_path / "own-inbox", transport), Notes(tmp_path / "standby-inbox", transport)


def test_the_newest_note_of_a_name_is_there_whole(pair):
    giver, taker = pair
    assert taker.delivered("ticket") is None
    giver.deliver(TARGET, "ticket", b"one")
    assert taker.delivered("ticket") == b"one"
    giver.deliver(TARGET, "ticket", b"two")  # of the same second and size
    assert taker.delivered("ticket") == b"two"
    assert taker.delivered("another") is None


@pytest.mark.skipif(shutil.which("rrsync") is None, reason="rrsync is not installed")
def test_a_further_note_of_a_name_goes_through_a_door_that_replaces_no_file(tmp_path):
    """rrsync 3.5.0: else an instance gets one ticket in its life."""
    inbox, door = tmp_path / "inbox", tmp_path / "door"
    inbox.mkdir()
    door.write_text(f'#!/bin/sh\nshift\nSSH_ORIGINAL_COMMAND="$*" exec rrsync -wo -no-lock {inbox}\n')
    door.chmod(0o755)
    giver = Notes(tmp_path / "own", RsyncTransport("door:/", program=("rsync", "--rsh", str(door))))
    taker = Notes(inbox, RsyncTransport("unused"))
    for content in (b"one", b"two", b"two", b"the third"):
        giver.deliver(TARGET, "ticket", content)
        assert taker.delivered("ticket") == content


def test_nobody_but_its_owner_reads_a_note(pair, tmp_path):
    """Whatever mask the agent runs with: it may carry what hands an epoch over."""
    giver, _ = pair
    giver.deliver(TARGET, "ticket", b"one")
    (note,) = tmp_path.rglob("notes/ticket")
    assert note.stat().st_mode & 0o077 == 0


def test_a_way_that_does_not_work_is_told(tmp_path):
    giver = Notes(tmp_path / "own", RsyncTransport("nowhere-at-all::{address}"))
    with pytest.raises(SyncFailed):
        giver.deliver(TARGET, "ticket", b"one")
    without_rsync = Notes(tmp_path / "own", RsyncTransport(str(tmp_path), program=("no-such-program",)))
    with pytest.raises(SyncFailed):
        without_rsync.deliver(TARGET, "ticket", b"one")


def test_what_is_no_note_counts_as_none(pair, tmp_path):
    _, taker = pair
    folder = tmp_path / "standby-inbox" / "notes"
    folder.mkdir(parents=True)
    (folder / "large").write_bytes(b"x" * (LARGEST_LAID + 1))
    (folder / "folder").mkdir()
    (tmp_path / "secret").write_text("of this machine")
    (folder / "link").symlink_to(tmp_path / "secret")
    assert [taker.delivered(name) for name in ("large", "folder", "link")] == [None] * 3
