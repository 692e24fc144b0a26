"""A process that SIGKILL does not end; here it is one that nobody has killed yet."""

import subprocess
import time

import pytest

from spotguard.domain.errors import GateFailed
from spotguard.host import survey
from spotguard.host.children import Child
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


def test_what_the_survey_asks_is_not_asked_beside_one_that_goes_on(process):
    assert not has_ended(process, words_of(COMMAND), 0.1)
    with pytest.raises(OSError, match=f"killed and goes on: process {process.pid}"):
        survey.run(COMMAND)


def test_a_helper_that_goes_on_holds_nobody_up():
    class Deaf(subprocess.Popen):
        """As one that waits for a disk."""

        def kill(self):
            pass

    started = []

    def start(*words, **how):
        started.append(Deaf(*words, **how))
        return started[0]

    begun = time.monotonic()
    child = Child(COMMAND, start)
    child.kill(seconds=0.1)
    assert child.lives
    assert time.monotonic() - begun < 5
    subprocess.Popen.kill(started[0])
    started[0].wait()
