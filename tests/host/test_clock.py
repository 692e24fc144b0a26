"""The machine's clock, whatever somebody does to it."""

from datetime import UTC, datetime, timedelta

import pytest

from spotguard.host.clock import SharedClock, SystemClock, TimeAsTold

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


@pytest.mark.parametrize("seconds", [-7200, 3600])
def test_what_has_elapsed_is_told_whatever_somebody_sets(machine, clock, seconds):
    begun = clock.steady()
    machine.live(20)
    machine.set_by(seconds)
    machine.live(100)
    assert clock.steady() - begun == timedelta(seconds=120)


def test_a_time_from_outside_is_as_far_away_as_the_clock_says_that_is_set_now(machine, clock):
    machine.set_by(-7200)
    assert clock.steady_at(machine.wall + timedelta(seconds=120)) == clock.steady() + timedelta(seconds=120)


class Database:
    """What it tells, after how many seconds; nothing while it is away."""

    def __init__(self, machine, ahead=0.0):
        self.machine, self.ahead, self.away, self.takes = machine, ahead, False, 0.0

    def tell(self):
        told = NOON + timedelta(seconds=self.machine.elapsed + self.ahead + self.takes / 2)
        self.machine.live(self.takes)
        return None if self.away else told


@pytest.fixture
def database(machine):
    return Database(machine)


def shared(machine, database):
    told = TimeAsTold(database.tell, lambda: machine.wall, lambda: machine.elapsed)
    return told, SharedClock(told)


@pytest.mark.parametrize("seconds", [-7200, 300])
def test_servers_whose_own_clocks_are_wrong_share_the_databases_time(machine, database, seconds):
    machine.set_by(seconds)
    told, clock = shared(machine, database)
    assert clock.now() == NOON
    machine.live(20)
    assert told() == NOON + timedelta(seconds=20)
    machine.set_by(3600)
    assert told() == NOON + timedelta(seconds=20), "nor does a step of its own clock matter"


def test_while_the_database_is_away_its_last_word_goes_on(machine, database):
    told, _ = shared(machine, database)
    database.away = True
    machine.live(600)
    told.look()
    assert told() == NOON + timedelta(seconds=600)


def test_an_answer_that_took_long_tells_no_time(machine, database):
    told, _ = shared(machine, database)
    database.takes, database.ahead = 40, 15
    told.look()
    assert told() == NOON + timedelta(seconds=40)


def test_a_slow_line_is_halved(machine, database):
    database.takes = 0.8
    told, _ = shared(machine, database)
    assert told() == NOON + timedelta(seconds=0.8)


def test_before_it_is_told_it_is_this_machines(machine, database):
    database.away = True
    _, clock = shared(machine, database)
    assert abs(clock.now() - NOON) < timedelta(seconds=1)
