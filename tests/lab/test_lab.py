"""The lab's commands, a little of each; the whole of each is a `make` target of its own."""

import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.switches import PLANNED_STEPS
from tests.lab import faults, lab
from tests.lab.crash_matrix import grouped
from tests.lab.points import all_points, effects_of

ROOT = Path(__file__).parents[2]


def last_line(*words):
    """(exit code, the JSON object that the command ends with)."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, "-m", "tests.lab", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


def test_every_step_of_every_kind_has_effects_with_either_executor():
    for executor, steps in product(Executor, PLANNED_STEPS.values()):
        assert all(effects_of(step, executor) for step in steps)


@pytest.mark.parametrize("points", [all_points(), faults.all_points()], ids=["crashes", "faults"])
def test_points_have_names_of_their_own_by_which_they_are_replayed(points):
    assert len({point.name for point in points}) == len(points)


def test_every_error_meets_every_step_that_the_table_has():
    for kind, steps in PLANNED_STEPS.items():
        met = {(point.step, point.trouble) for point in faults.all_points() if point.kind is kind}
        assert met == set(product(steps[1:], faults.TROUBLES))


def test_points_that_share_a_move_are_of_one_kind_and_of_different_steps():
    for group in grouped(all_points(), 4):
        assert len({(point.kind, point.executor) for point in group}) == 1
        assert len({point.label for point in group}) == len(group)


@pytest.mark.long
def test_processes_die_at_points_of_a_move_and_nothing_is_lost():
    code, told = last_line(
        "crash-matrix", "--kind", "volume", "--executor", "agent", "--sample", "4", "--together", "4"
    )
    assert (code, told) == (0, {"points": 4, "reached": 4, "failures": {}})


@pytest.mark.long
def test_an_error_and_a_lost_answer_at_calls_of_a_move_lose_nothing():
    where = ["--only", "volume/server/volumes_moved/AttachVolume/answer lost"]
    code, told = last_line("fault-matrix", *where, "--only", "volume/server/launched/RunInstances/Request")
    assert (code, told) == (0, {"points": 2, "reached": 2, "failures": {}})


def test_the_lab_lends_its_credentials_to_no_test_beside_it():
    assert not any(os.environ.get(name) == value for name, value in lab.CREDENTIALS.items() if "KEY" in name)
    name, known = "SPOTGUARD_TEST_OF_THE_LAB", dict(os.environ)
    with lab.lent({name: "lent", "PATH": "elsewhere"}):
        assert (os.environ[name], os.environ["PATH"]) == ("lent", "elsewhere")
    assert dict(os.environ) == known
