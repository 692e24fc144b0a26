"""The age-hazard decision process: in where it is calm, out where it flickers, by what a minute is worth."""

from spotguard.backtest.hindsight import hindsight
from spotguard.backtest.physics import Physics
from spotguard.backtest.simulator import run
from tests.backtest.little import DAY, T0, A, life, world

MINUTE_USD = 10 / 60
FLICKERING = [(hour + 0.5, hour + 1.0) for hour in range(240)]
RARELY = [(100.0, 101.0), (200.0, 201.0)]


def outcome(spells, minute_usd=MINUTE_USD, usd=0.4):
    there = world([A], [[usd]], [life(*spells)])
    policy = hindsight(there, Physics(), T0, T0 + 10 * DAY, minute_usd)
    return run(there, policy, Physics(), T0, T0 + 10 * DAY, minute_usd)


def test_in_a_calm_pool_it_stays():
    assert outcome(RARELY).returns == 3
    assert outcome(RARELY).cost_ratio < 0.45


def test_a_pool_that_falls_every_half_hour_is_left_alone():
    assert outcome(FLICKERING).returns == 0


def test_what_a_minute_is_worth_decides():
    assert outcome(RARELY, minute_usd=1000 / 60, usd=0.9).returns == 0
    assert outcome(RARELY, minute_usd=1 / 60, usd=0.9).returns > 0
