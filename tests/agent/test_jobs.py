"""What one job of a duty raises is the duty's failure, and no other job's."""

from datetime import timedelta

import pytest

from spotguard.agent.jobs import Jobs
from spotguard.domain.clock import parse_time

NOW = parse_time("2026-01-05T00:00:00Z")


class Failing:
    def run(self, now):
        raise OSError("no space left on device")


class Waiting:
    def __init__(self, seconds=None):
        self.turns, self._seconds = [], seconds

    def run(self, now):
        self.turns.append(now)
        return None if self._seconds is None else now + timedelta(seconds=self._seconds)


def test_the_earliest_wish_counts():
    assert Jobs((Waiting(), Waiting(5), Waiting(3))).run(NOW) == NOW + timedelta(seconds=3)
    assert Jobs((Waiting(),)).run(NOW) is None


def test_a_job_that_fails_keeps_no_other_from_its_turn():
    before, after = Waiting(1), Waiting(1)
    with pytest.raises(OSError, match="no space"):
        Jobs((before, Failing(), after)).run(NOW)
    assert before.turns == after.turns == [NOW]
