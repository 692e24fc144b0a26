"""The machine's clock, whatever somebody does to it."""

from datetime import UTC, datetime, timedelta

import pytest

from spotguard.host.clock import SystemClock

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


class Machine:
    """Its wall clock can be set; what has elapsed cannot."""

    def __init__(self):
        self.wall, self.elapsed = NOON, 0.0

    def live(self, seconds):
        self.wall += timedelta(seconds=seconds)
        self.elapsed += seconds

    def set_by(self, seconds):
        self.wall += timedelta(seconds=seconds)


@pytest.fixture
def machine():
    return Machine()


@pytest.fixture
def clock(machine):
    return SystemClock(lambda: machine.wall, lambda: machine.elapsed)


def test_it_tells_the_machines_time(machine, clock):
    for _ in range(3):
        machine.live(10)
        assert clock.now() == machine.wall


def test_a_step_ahead_is_followed(machine, clock):
    machine.set_by(3600)
    assert clock.now() == NOON + timedelta(hours=1)


def test_a_step_back_is_caught_up_with_while_time_goes_on(machine, clock):
    machine.set_by(-7200)
    last = clock.now()
    assert last == NOON
    for _ in range(3):
        machine.live(60)
        assert clock.now() == last + timedelta(seconds=30)
        last = clock.now()
    machine.live(4 * 3600)
    assert clock.now() == machine.wall
