"""Real disks that stall: a gate that closes, and a command that cannot be killed."""

import json
import shutil
import subprocess
import sys

import pytest

from tests.host.disks import needs_a_disk

pytestmark = [
    pytest.mark.long,
    needs_a_disk,
    pytest.mark.skipif(shutil.which("fsfreeze") is None, reason="fsfreeze is not installed"),
]
ALONE = ["unshare", "--mount", "--propagation", "private"]


def scene(tmp_path, name):
    """Not killed when it lasts: what it has frozen it thaws."""
    if subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no mount namespace of its own is allowed here")
    words = [*ALONE, sys.executable, "-m", "tests.host.frozen", str(tmp_path), name]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_disk_beside_the_state_is_told_and_the_gate_closes(tmp_path):
    told = scene(tmp_path, "beside")
    assert told["stalled"]["said"] == "closed"
    assert told["stalled"]["state"] == "closed"
    assert told["stalled"]["seconds"] < 10
    assert told["answering"]["said"] == "closed"


def test_the_states_own_disk_keeps_the_gate_open_until_it_answers(tmp_path):
    told = scene(tmp_path, "state")
    assert "not on its disks yet" in told["stalled"]["said"]
    assert told["stalled"]["state"] == "open"
    assert told["stalled"]["seconds"] < 12
    assert (told["answering"]["said"], told["answering"]["state"]) == ("closed", "closed")


def test_a_command_that_cannot_be_killed_is_waited_for_no_longer_than_its_time(tmp_path):
    told = scene(tmp_path, "command")
    (first, said, seconds), (second, refused, at_once) = told["stalled"]
    assert (first, second) == (None, None)
    assert "no end within 1 s, and it could not be killed" in said
    assert seconds < 15
    assert "not begun beside a former one" in refused
    assert at_once < 1
    assert told["answering"] == 0
