"""A state that goes to another instance and comes back: what each of the two knows of the other is of before."""

import os
import shutil

import pytest

from spotguard.agent.sync import status_of
from spotguard.domain.replicas import SyncStatus
from spotguard.host.inbox import Inbox
from spotguard.host.rsync import RsyncSync
from spotguard.host.sync_memory import SyncMemory, memory_of
from spotguard.host.term import Term
from spotguard.host.transport import RsyncTransport
from spotguard.ports.workload import SyncTarget
from tests.host.copying import TARGET, machine, pair_in, settle, whole_pass
from tests.host.namespaces import until

pytestmark = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")

BACK = SyncTarget("i-0000000000000000a", "primary")


@pytest.fixture
def pair(tmp_path):
    return pair_in(tmp_path)


def slowly(tmp_path):
    """The primary, with a link that takes seconds for a pass."""
    transport = RsyncTransport(str(tmp_path / "{address}-inbox"), program=("rsync", "--bwlimit=1M"))
    return RsyncSync(tmp_path / "primary", tmp_path / "primary-inbox", transport)


def test_who_is_fed_anew_after_it_served_is_told_as_under_way_and_not_as_empty(pair, tmp_path):
    """It has deleted the passes that it was sent before it served."""
    primary, standby, state, _ = pair
    (state / "bulk").write_bytes(os.urandom(3_000_000))
    settle()
    whole_pass(primary)
    standby.adopt(2)
    assert until(lambda: not list((tmp_path / "standby-inbox" / "passes").iterdir()))
    whole_pass(standby, BACK)
    back = slowly(tmp_path)
    assert back.adopt(3)
    (state / "new").write_bytes(os.urandom(3_000_000))
    seen = []
    while back.push(TARGET) is None:
        seen.append(status_of(standby.received(), 60.0))
    back.close()
    assert SyncStatus.SYNCING in seen


def test_who_takes_its_epoch_back_without_a_pass_goes_on_from_what_its_standby_has(pair, tmp_path):
    """Else each move that is given up has the whole state sent again."""
    term = Term(held=lambda: None, runs=lambda: False, instance=lambda: BACK.instance_id)
    primary = machine(tmp_path, "primary", term)
    primary.adopt(2)
    whole_pass(primary)
    sent = SyncMemory(memory_of(tmp_path / "primary")).sent_to(TARGET.instance_id)
    assert machine(tmp_path, "primary", term).adopt(3) is None
    assert SyncMemory(memory_of(tmp_path / "primary")).sent_to(TARGET.instance_id) == sent


def test_what_could_not_take_the_place_of_the_state_is_not_told_as_in_sync(pair, tmp_path):
    """A former holder's last word comes late: whoever were promoted with it would lose all that was served since."""
    primary, _, _, _ = pair
    whole_pass(primary)
    own = Term(held=lambda: None, runs=lambda: False, instance=lambda: TARGET.instance_id)
    standby = machine(tmp_path, "standby", own)
    assert standby.adopt(2)
    for _ in range(4):
        whole_pass(primary)
    assert status_of(standby.received(), 60.0) is SyncStatus.INITIALIZING
    assert not standby.arrives(4)
    passes = tmp_path / "standby-inbox" / "passes"
    assert len(list(passes.iterdir())) <= 2, "nor does it fill the disk"
    later = machine(tmp_path, "primary")
    later.adopt(3)
    whole_pass(later)
    assert status_of(standby.received(), 60.0) is SyncStatus.SYNCED
    assert standby.adopt(4)


def test_what_a_killed_agent_had_not_deleted_is_deleted_by_the_next_one(pair, tmp_path):
    primary, _, state, theirs = pair
    for content in ("more", "the last"):
        whole_pass(primary)
        (state / "a").write_text(content)
        settle()
    whole_pass(primary)
    inbox = Inbox(tmp_path / "standby-inbox")
    assert inbox.adopt(theirs, since=0, before=2)  # killed right after that
    SyncMemory(memory_of(tmp_path / "standby")).keep(epoch=2)
    assert list((inbox.folder / "passes").iterdir())
    assert machine(tmp_path, "standby").adopt(2) is None
    for folder in ("passes", "marks"):
        assert until(lambda folder=folder: not list((inbox.folder / folder).glob("*-*")))
    assert (theirs / "a").read_text() == "the last"


@pytest.mark.parametrize("content", [b"", b'{"position":1', b"\x00" * 80], ids=["empty", "torn", "zeroes"])
def test_the_last_pass_of_a_move_takes_its_place_although_its_mark_is_damaged(pair, tmp_path, content):
    """The holder has let go with it: the pass before lacks what was acknowledged since."""
    primary, standby, state, theirs = pair
    whole_pass(primary)
    (state / "a").write_text("acknowledged last")
    settle()
    whole_pass(primary)
    newest = max((tmp_path / "standby-inbox" / "marks").glob("*.whole"))
    newest.write_bytes(content)
    assert standby.adopt(2) == newest.stem
    assert (theirs / "a").read_text() == "acknowledged last"


def test_a_pass_whose_mark_is_damaged_is_not_told_as_received(pair, tmp_path):
    """How far it goes nobody knows, nor how old it is."""
    primary, standby, _, _ = pair
    whole_pass(primary)
    (mark,) = (tmp_path / "standby-inbox" / "marks").glob("*.whole")
    mark.write_bytes(b"")
    assert standby.received().position is None
