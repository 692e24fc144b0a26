"""Passes of a holder whose memory is lost stay newer than those that it made before, also by a clock stepped back."""

import shutil
import time

import pytest

from spotguard.host.sync_memory import SyncMemory, memory_of
from tests.host.copying import machine, pair_in, settle, whole_pass

pytestmark = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")

AN_HOUR = 3_600_000_000


@pytest.mark.parametrize("lost", ["damaged", "gone"])
def test_the_last_pass_of_a_holder_that_lost_its_memory_is_adopted_although_its_clock_was_stepped_back(
    tmp_path, lost
):
    """An hour ahead the clock numbered passes that those of now must not come behind."""
    primary, standby, state, theirs = pair_in(tmp_path)
    SyncMemory(memory_of(tmp_path / "primary")).keep(epoch=1, last=time.time_ns() // 1000 + AN_HOUR)
    primary = machine(tmp_path, "primary")
    whole_pass(primary)
    memory = memory_of(tmp_path / "primary") / "memory.json"
    if lost == "gone":
        memory.unlink()
    else:
        memory.write_bytes(b"0" + memory.read_bytes()[1:-9])
    restarted = machine(tmp_path, "primary")
    (state / "a").write_text("acknowledged since")
    settle()
    last = whole_pass(restarted)
    assert last.position >= restarted.position(), "it counts as the last pass of a move"
    assert standby.adopt(2) is not None
    assert (theirs / "a").read_text() == "acknowledged since"
