"""The optimum against every plan of small worlds, and against what policies reach."""

from itertools import product

import numpy as np
import pytest

from spotguard.backtest.clairvoyant import optimum
from spotguard.backtest.physics import Physics
from tests.backtest.little import HOUR, ONDEMAND, T0, A, B, Scripted, go, life, played, world


def every_plan(there, physics, hours):
    """The least cost over all ways to be somewhere in each hour, worked out one by one."""
    places = [ONDEMAND, *range(len(there.pools))]
    least = np.inf
    for plan in product(places, repeat=hours):
        cost, before = 0.0, ONDEMAND
        for hour, place in enumerate(plan):
            now = T0 + hour * HOUR
            if place != ONDEMAND and not there.lives[place].is_up(now):
                cost = np.inf
                break
            if place != before:
                cost += physics.overlap_hours * there.price(before, max(now - HOUR, T0))
            cost += there.price(place, now)
            before = place
        least = min(least, cost)
    return least


@pytest.mark.parametrize("seed", range(12))
def test_it_is_the_cheapest_of_all_plans(seed):
    dice = np.random.default_rng(seed)
    hours = 6
    prices = dice.choice([0.2, 0.3, 0.5, 0.9], size=(hours, 2))
    spells = [sorted(dice.choice(hours, 2, replace=False).tolist()) for _ in range(2)]
    there = world([A, B], prices, [life(tuple(spell)) for spell in spells], ticks=range(hours))
    physics = Physics(terminate_wait=float(dice.choice([0.0, 1800.0])))
    found = optimum(there, physics, T0, T0 + hours * HOUR)
    assert found.cost_usd.sum() == pytest.approx(every_plan(there, physics, hours))
    assert found.down_seconds.sum() == 0


def test_one_move_by_hand():
    found = optimum(world([A]), Physics(), T0, T0 + 24 * HOUR)
    assert found.cost_usd.sum() == pytest.approx((210 + 1800) / HOUR * 1.0 + 24 * 0.4)
    assert (found.returns, found.moves) == (1, 0)


def test_where_a_move_never_pays_it_stays_on_demand():
    found = optimum(world([A], [[0.9]]), Physics(), T0, T0 + 5 * HOUR)
    assert found.cost_usd.sum() == pytest.approx(5.0), "0.56 h of double running, at most 0.5 saved"


def test_no_policy_that_stays_up_is_cheaper():
    there = world(lives=[life((10.0, 12.0)), life((3.0, 4.0)), life()])
    played_out = played(there, Scripted({0.0: go(0), 9.0: go(1), 13.0: go(0)}))
    assert optimum(there, Physics(), T0, T0 + 24 * HOUR).cost_usd.sum() <= played_out.cost_usd.sum()
