"""When a model in shadow has beaten the present one: enough outcomes, falls and days, and a clear difference."""

import numpy as np
import pytest

from spotguard.planning.trials import LEAST_DAYS, LEAST_FALLS, LEAST_OUTCOMES, Day, judge


def days(many=20, outcomes=24, falls=2, present=4.0, shadow=2.0, spread=0.0):
    """Alternately better and worse by the spread."""
    return [
        Day(outcomes, falls, present, shadow + (spread if number % 2 else -spread)) for number in range(many)
    ]


def test_a_clear_difference_beats():
    told = judge(days(spread=0.5))
    assert told.beats
    assert "clear of zero" in told.because
    assert told.present_brier == pytest.approx(4 / 24)
    assert told.shadow_brier == pytest.approx(2 / 24)
    assert told.better_by == pytest.approx(2 / 24)
    assert 0 < told.margin < told.better_by


def test_a_difference_that_days_do_not_agree_on_does_not():
    told = judge(days(spread=5.0))
    assert not told.beats
    assert "not clear of zero" in told.because


@pytest.mark.parametrize("shadow", [4.0, 4.1, 9.0])
def test_the_same_or_worse_does_not(shadow):
    assert not judge(days(shadow=shadow)).beats


@pytest.mark.parametrize(
    ("few", "what"),
    [
        (days(many=LEAST_DAYS - 1), "days"),
        (days(falls=0), "falls"),
        (days(outcomes=(LEAST_OUTCOMES - 1) // 20), "outcomes"),
    ],
)
def test_too_little_never_does(few, what):
    told = judge(few)
    assert not told.beats
    assert "too little is known" in told.because
    assert what in told.because


def test_nothing_is_known_at_first():
    told = judge([])
    assert (told.beats, told.present_brier, told.margin) == (False, None, None)


def test_one_day_has_no_margin():
    told = judge([Day(1000, LEAST_FALLS, 10.0, 1.0)])
    assert told.margin is None
    assert not told.beats


def test_two_models_that_are_alike_are_hardly_ever_told_apart():
    """Dice: outcomes of one day fall together; of 400 trials of equals at most a few beat (2.5 % are meant to)."""
    dice = np.random.default_rng(11)
    won = 0
    for _ in range(400):
        told = []
        for _ in range(LEAST_DAYS):
            bad_day = dice.random() * 0.4
            fell = dice.random(24) < bad_day
            one, other = 0.2 + 0.1 * dice.normal(), 0.2 + 0.1 * dice.normal()
            told.append(
                Day(24, int(fell.sum()), float(((one - fell) ** 2).sum()), float(((other - fell) ** 2).sum()))
            )
        won += judge(told).beats
    assert won <= 20
