"""What stays in an inbox of what real rsync brings there, and what counts for nothing."""

import os
import shutil

import msgspec
import pytest

from spotguard.domain.errors import SyncFailed
from spotguard.host.inbox import LARGEST_LAID, Mark, pass_id
from spotguard.host.term import Term
from tests.host.copying import forge, machine, pair_in, whole_pass
from tests.host.namespaces import until

pytestmark = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")


@pytest.fixture
def pair(tmp_path):
    return pair_in(tmp_path)


@pytest.mark.parametrize("their_epoch", [1, 7])
def test_what_another_agent_sends_to_an_address_that_was_its_standby_s_is_no_state_here(
    tmp_path, pair, their_epoch
):
    """The image is shared, and with it the key. Put in place, it would be served as this workload's state; of a later
    epoch, it would keep this workload's own passes from being seen.
    """
    _, _, state, theirs = pair
    own = Term(held=lambda: 1, runs=lambda: False, agent=lambda: "own")
    primary, standby = machine(tmp_path, "primary", own), machine(tmp_path, "standby", own)
    other = machine(tmp_path, "other", Term(lambda: their_epoch, lambda: False, agent=lambda: "another's"))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a").write_text("a stranger's")
    other.adopt(their_epoch)
    whole_pass(other)
    assert standby.received().position is None
    made = whole_pass(primary)
    whole_pass(other)
    assert standby.received().position == made.position
    assert len(list((tmp_path / "standby-inbox" / "passes").iterdir())) == 1, "the stranger's are deleted"
    assert standby.adopt(2) is not None
    assert (theirs / "a").read_text() == (state / "a").read_text()


def test_old_passes_are_cleared_away(pair, tmp_path):
    primary, standby, _, _ = pair
    for _ in range(4):
        whole_pass(primary)
    standby.received()
    assert len(list((tmp_path / "standby-inbox" / "passes").iterdir())) == 2


def test_who_serves_keeps_no_pass_of_a_former_holder(pair, tmp_path):
    """Its files would stay beside those that the workload puts in their place, until the disk is full."""
    primary, standby, _, _ = pair
    for _ in range(2):
        whole_pass(primary)
    forge(tmp_path / "standby-inbox", pass_id(1, 99999999999999999), "begun")
    forge(tmp_path / "standby-inbox", pass_id(2, 1), "begun")
    standby.adopt(2)
    inbox = tmp_path / "standby-inbox"
    assert until(lambda: [path.name for path in (inbox / "passes").iterdir()] == [pass_id(2, 1)])
    assert until(lambda: [path.name for path in (inbox / "marks").glob("*.*")] == [f"{pass_id(2, 1)}.begun"])


def beyond_every_figure(mark):
    mark.write_text('{"position": 9223372036854775808, "bytes": 1}')


def below_every_figure(mark):
    mark.write_text('{"position": -1, "bytes": 1}')


def larger_than_any_mark(mark):
    mark.write_bytes(msgspec.json.encode(Mark(1, 1)) + b" " * LARGEST_LAID)


@pytest.mark.parametrize(
    "lay",
    [beyond_every_figure, below_every_figure, larger_than_any_mark, os.mkfifo],
    ids=lambda f: f.__name__,
)
def test_what_no_sender_of_passes_writes_counts_as_no_mark(pair, tmp_path, lay):
    """Whoever has the key may lay anything there. Read, it would keep the standby from telling what it has."""
    primary, standby, _, _ = pair
    made, inbox = whole_pass(primary), tmp_path / "standby-inbox"
    (inbox / "passes" / pass_id(9, 9)).mkdir()
    lay(inbox / "marks" / f"{pass_id(9, 9)}.whole")
    assert standby.received().position == made.position


def test_an_inbox_that_cannot_be_read_is_a_failed_measurement(pair, tmp_path):
    """Nothing told, what was told last would go on counting."""
    primary, standby, _, _ = pair
    whole_pass(primary)
    whole_pass(primary)
    whole_pass(primary)
    oldest = min((tmp_path / "standby-inbox" / "marks").glob("*-*"))
    oldest.unlink()
    oldest.mkdir()
    with pytest.raises(SyncFailed):
        standby.received()


def test_of_a_state_that_is_a_link_the_folder_is_to_be_named(pair, tmp_path):
    """The link would go aside, and whoever goes by the folder's own name would serve what was there before."""
    primary, standby, _, theirs = pair
    folder = tmp_path / "disk"
    folder.mkdir()
    theirs.symlink_to(folder)
    whole_pass(primary)
    with pytest.raises(
        SyncFailed, match=f"is a symbolic link: state_path is to name the folder itself, {folder}"
    ):
        standby.received()
    with pytest.raises(OSError, match="is a symbolic link"):
        standby.adopt(2)
    assert theirs.is_symlink()
    theirs.unlink()
    assert standby.adopt(2) is not None
