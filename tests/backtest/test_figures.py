"""Means, gaps and intervals: two baselines whose days are known, and a policy between one of them and the optimum."""

import numpy as np
import pytest

from spotguard.backtest.account import Outcome, seconds_by_day
from spotguard.backtest.figures import Dice, days_of, interval, summary
from tests.backtest.little import DAY, T0

FIRST = int(T0 // DAY)


def outcome(cost, down=0.0, days=10, moves=0):
    """`cost` USD and `down` seconds on each day; on demand costs 10 USD a day."""
    each = np.ones(days)
    return Outcome(
        first_day=FIRST,
        day_seconds=each * DAY,
        cost_usd=each * cost,
        down_seconds=each * down,
        ondemand_usd=10.0 * days,
        seconds=DAY * days,
        moves=moves,
        returns=0,
        interruptions=0,
        refusals=0,
        probes=0,
        probe_usd=0.0,
        standby_seconds=0.0,
        standby_usd=0.0,
        waived_usd=0.0,
        worst_down_seconds=down,
    )


def told(**policies):
    measured = {name: {10.0: [one], 100.0: [one]} for name, one in policies.items()}
    return summary(measured, ["good", "bad"], seed=1, wait_hours=0.5)


def test_the_best_baseline_is_another_one_where_a_minute_weighs_more():
    found = told(good=outcome(5.0, down=86.4), bad=outcome(5.9), clairvoyant=outcome(4.0))
    assert found["best_baseline"] == {"j10": "good", "j100": "bad"}
    assert found["policies"]["good"]["j10"] == pytest.approx(0.5 + 10 * 0.001)
    assert found["policies"]["good"]["regret"] == pytest.approx(0.51 / 0.4 - 1)


def test_half_the_gap_is_half_the_gap():
    found = told(good=outcome(6.0), bad=outcome(9.0), engine=outcome(5.0), clairvoyant=outcome(4.0))
    engine = found["policies"]["engine"]
    assert engine["j10_gap_closed"] == pytest.approx(0.5)
    assert engine["j10_against_best"] == pytest.approx(-0.1)
    assert engine["j10_against_best_interval"] == pytest.approx([-0.1, -0.1]), "every day is the same"


def test_the_interval_of_the_gap_draws_the_optimum_and_the_rival_along():
    """A dear week for everybody: the share that is closed is the same on any days, and so is its interval."""
    good, engine, best = outcome(6.0), outcome(5.0), outcome(4.0)
    for one, dear in ((good, 60.0), (engine, 50.0), (best, 40.0)):
        one.cost_usd[5:] = dear
    found = told(good=good, bad=outcome(99.0), engine=engine, clairvoyant=best)
    assert found["policies"]["engine"]["j10_gap_closed_interval"] == pytest.approx([0.5, 0.5])


def test_where_there_is_no_gap_none_is_closed():
    found = told(good=outcome(4.0), bad=outcome(9.0), engine=outcome(5.0), clairvoyant=outcome(4.0))
    assert found["policies"]["engine"]["j10_gap_closed"] is None
    assert found["policies"]["engine"]["j10_gap_closed_interval"] is None


def test_moves_are_counted_in_thirty_days():
    assert (
        told(good=outcome(5.0, moves=2), clairvoyant=outcome(4.0))["policies"]["good"]["moves_per_30d"] == 6
    )


def test_a_difference_is_paired_by_day_so_that_a_dear_week_is_no_noise():
    dear = outcome(5.0)
    dear.cost_usd[5:] = 50.0
    cheaper = outcome(4.0)
    cheaper.cost_usd[5:] = 49.0
    dice = Dice(10, seed=3)
    one, other = days_of([dear], 10.0), days_of([cheaper], 10.0)
    low, high = interval(dice.means(one) - dice.means(other))
    assert (low, high) == (pytest.approx(0.1), pytest.approx(0.1))
    assert np.ptp(interval(dice.means(one))) > 1


def test_the_same_seed_draws_the_same_days():
    days = days_of([outcome(5.0)], 10.0)
    assert (Dice(10, 7).means(days) == Dice(10, 7).means(days)).all()


def test_days_of_a_window_are_those_between_its_ends():
    assert seconds_by_day(T0 + 0.75 * DAY, T0 + 2.5 * DAY).tolist() == [0.25 * DAY, DAY, 0.5 * DAY]
