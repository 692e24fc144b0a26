"""The lag that the recipe for PostgreSQL tells where a clock was wrong; the cluster is two small programs."""

import json
import os
import subprocess
import sys
import time

import pytest

from spotguard.host.recipes import postgresql

CUT_OFF, IN_STEP = "5000||", "5000|5000|{silent}"


class Standby:
    """A cluster that stands by, and what it answers."""

    def __init__(self, folder):
        self.data, self.answer, programs = folder / "data", folder / "answer", folder / "bin"
        for made in (self.data, programs):
            made.mkdir()
        (self.data / "standby.signal").touch()
        for name, does in (("pg_ctl", "exit 0"), ("psql", f"cat {self.answer}")):
            (programs / name).write_text(f"#!/bin/sh\n{does}\n")
            (programs / name).chmod(0o755)
        self.environment = {**os.environ, "PGDATA": str(self.data), "SPOTGUARD_PG_BIN": str(programs)}

    def lag(self, answer):
        self.answer.write_text(answer)
        command = [sys.executable, postgresql.__file__, "received"]
        ran = subprocess.run(command, env=self.environment, check=True, capture_output=True)
        return json.loads(ran.stdout)["lag_seconds"]

    def was_in_step(self, seconds_ago):
        """As its clock said then."""
        (self.data / postgresql.CAUGHT_UP).write_text(json.dumps({"at": time.time() - seconds_ago}))


@pytest.fixture
def standby(tmp_path):
    return Standby(tmp_path)


def test_the_lag_is_counted_from_the_last_moment_in_step(standby):
    assert standby.lag(CUT_OFF) is None
    assert standby.lag(IN_STEP.format(silent=3)) == pytest.approx(3, abs=2)
    standby.was_in_step(90)
    assert standby.lag(CUT_OFF) == pytest.approx(90, abs=5)


def test_a_standby_that_was_in_step_by_a_clock_that_is_ahead_no_more_does_not_know_its_lag(standby):
    """It would be told as in step for as long as the clock was ahead, and once more from then on."""
    standby.was_in_step(-3600)
    assert standby.lag(CUT_OFF) is None
    assert not (standby.data / postgresql.CAUGHT_UP).exists(), "nor does it when that time has come"
    assert standby.lag(CUT_OFF) is None


def test_a_message_that_came_by_a_clock_that_is_ahead_no_more_says_nothing_and_the_next_one_does(standby):
    assert standby.lag(IN_STEP.format(silent=-3600)) is None
    assert standby.lag(IN_STEP.format(silent=0.5)) == pytest.approx(0.5, abs=2)


def test_clocks_are_not_finer_than_a_second(standby):
    standby.was_in_step(-0.9)
    assert standby.lag(CUT_OFF) == pytest.approx(0, abs=5)
