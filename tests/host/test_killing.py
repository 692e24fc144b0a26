"""A process that SIGKILL does not end; here it is one that nobody has killed yet."""

import subprocess
import time

import pytest

from spotguard.domain.errors import GateFailed
from spotguard.host.commands import run
from spotguard.host.gate import require_success, run_quietly
from spotguard.host.killing import Left, has_ended, words_of

COMMAND = ["sleep", "86"]


@pytest.fixture
def process():
    process = subprocess.Popen(COMMAND)
    yield process
    process.kill()
    process.wait()


def test_it_is_waited_for_no_longer_than_told(process):
    begun = time.monotonic()
    assert not has_ended(process, seconds=0.1)
    assert time.monotonic() - begun < 5
    process.kill()
    assert has_ended(process)


def test_nothing_is_started_beside_it_by_the_same_words_until_it_has_ended(process):
    assert not has_ended(process, words_of(COMMAND), 0.1)
    ran = run(COMMAND, 0.1)
    assert ran.status is None
    assert f"killed and goes on: process {process.pid}" in ran.output
    with pytest.raises(GateFailed, match="not begun beside a former one"):
        require_success(run_quietly, COMMAND, 0.1, {})
    assert "no end within" in run(COMMAND, 0.1, {"EPOCH": "8"}).output, "other words"
    process.kill()
    process.wait()
    assert run(COMMAND, 0.1).output == "no end within 0.1 s"


def test_one_is_known_once_however_often_it_is_left(process):
    left = Left()
    for _ in range(3):
        left.add(process, ("a",))
    with pytest.raises(OSError, match="goes on"):
        left.require_none(("a",))
    left.require_none(("b",))
    process.kill()
    process.wait()
    left.require_none(("a",))
