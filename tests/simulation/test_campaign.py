"""A short sample of the campaign; the whole of it is `spotguard simulate --seeds 10000`."""

import json
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from spotguard.cli.main import app
from spotguard.simulation import campaign, crowd
from spotguard.simulation.campaign import run
from spotguard.simulation.drawing import HARSH, ORDINARY, schedule_of
from spotguard.simulation.fault_kinds import Fault, FaultKind, Scene
from spotguard.simulation.faults import begin
from spotguard.simulation.recorded import revision

pytestmark = pytest.mark.long


NAMES = ("web-1", "db-1", "queue-1", "build-1")
HOURS = 0.5


@pytest.mark.parametrize("seed", [1, 2])
def test_no_schedule_breaks_a_promise(seed):
    assert run(seed, hours=HOURS).violations == ()


def test_the_same_seed_is_the_same_run_bit_for_bit():
    first, again = run(5, hours=HOURS), run(5, hours=HOURS)
    assert (first.fingerprint, first.faults_reached) == (again.fingerprint, again.faults_reached)


@pytest.mark.parametrize("seed", [3, 8])
def test_what_is_left_out_would_have_changed_nothing(seed):
    """The same moves, grants and violations; a duty of a slow rhythm may take its turn a few seconds sooner."""
    left_out, whole = run(seed, hours=1.0), run(seed, hours=1.0, elides=False)
    assert (left_out.steps_reached, left_out.faults_reached) == (whole.steps_reached, whole.faults_reached)
    assert left_out.violations == whole.violations


def test_schedules_hold_at_least_eight_faults_in_order_and_all_kinds_turn_up():
    schedules = [schedule_of(seed, NAMES) for seed in range(300)]
    assert min(map(len, schedules)) >= ORDINARY.fewest - 3  # one that would come after the end is left out
    assert all(list(s) == sorted(s, key=lambda fault: fault.at_seconds) for s in schedules)
    assert {fault.kind for s in schedules for fault in s} == set(FaultKind)


def test_harsh_ones_are_denser_and_hold_nothing_mild():
    schedules = [schedule_of(seed, NAMES, 1.0, temper=HARSH) for seed in range(300)]
    assert sum(map(len, schedules)) > 1.5 * sum(len(schedule_of(seed, NAMES, 1.0)) for seed in range(300))
    kinds = {fault.kind for s in schedules for fault in s}
    assert kinds >= {FaultKind.SERVER_AWAY, FaultKind.NOTICE, FaultKind.HIBERNATES}
    assert not kinds & {FaultKind.EC2_THROTTLES, FaultKind.POISONED_PRICES}


@pytest.mark.parametrize("seed", [1, 2])
def test_harsh_ones_break_nothing(seed):
    assert run(seed, hours=1.0, temper=HARSH).violations == ()


def test_every_kind_of_fault_finds_its_target_sooner_or_later():
    made = campaign._Campaign(7, 3.0, ())
    world, left = made.world, set(FaultKind)
    try:
        while left and world.clock.now() < world.started_at + timedelta(hours=4):
            world.run_for(seconds=40)
            for kind in sorted(left):
                fault = Fault(0, kind, made.dice.choice(NAMES), 20)
                if begin(Scene(world, fault, made.dice)):
                    left.discard(kind)
                    break
            else:
                crowd.forced_move(world, made.dice.choice(NAMES), made.dice)
        assert not left
    finally:
        world.close()


def test_two_who_serve_at_once_are_a_violation():
    made = campaign._Campaign(1, HOURS, ())
    try:
        register = made.world.registers["web-1"]
        ((another, content),) = made.world.registers["db-1"].written_by().items()
        register.opened(another, 1, made.world.clock.now(), content)
        made._check()
        assert any(f"{another} opened while" in what for what in made.violations)
    finally:
        made.world.close()


def test_the_command_prints_one_object_and_says_by_its_exit_code_whether_a_promise_broke():
    result = CliRunner().invoke(
        app, ["simulate", "--seeds", "2", "--workers", "2", "--hours", "0.3", "--json"]
    )
    summary = json.loads(result.stdout)
    assert {
        "schedules",
        "violations",
        "faults_reached",
        "steps_reached",
        "schedules_per_second",
        "failing_seeds",
    } <= set(summary)
    assert result.exit_code == (1 if summary["violations"] else 0)


def test_the_command_tells_of_which_code_its_figures_are():
    said = CliRunner().invoke(app, ["simulate", "--seeds", "1", "--hours", "0.1"]).stdout
    assert f"revision               {revision()}\n" in said
