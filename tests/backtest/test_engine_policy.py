"""The shipped decision in little markets: who waits, who looks, who goes."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from spotguard.backtest.engine import Engine
from spotguard.backtest.paying import PayingEngine
from spotguard.backtest.physics import Physics
from spotguard.backtest.simulator import run
from tests.backtest.little import DAY, HOUR, T0, A, B, life, world

STATELESS, CRITICAL = 10 / 60, 1000 / 60  # USD a minute, where on demand is 1 USD an hour


def played(there, minute_usd, hours, **how):
    return run(there, Engine(**how), Physics(), T0, T0 + hours * HOUR, minute_usd)


def storm(hours):
    """Down for half an hour after every five hours up, in both zones in turn."""
    return world(
        [A, B],
        [[0.4, 0.5]],
        [
            life(*((start, start + 0.5) for start in np.arange(5.0, hours, 5.5))),
            life(*((start, start + 0.5) for start in np.arange(3.0, hours, 5.5))),
        ],
    )


def vouched(there, bucket=0):
    return replace(there, advisor=((T0 - DAY, np.array([bucket] * len(there.pools))),))


def test_in_a_storm_who_cannot_be_down_stays_on_demand_and_looks_seldom():
    critical = played(storm(72), CRITICAL, 72)
    assert (critical.interruptions, critical.returns) == (0, 0)
    assert critical.j(1000) < 1.005
    assert played(storm(72), STATELESS, 72).interruptions > 3, "the stateless takes what it saves"


def test_where_an_advisor_vouches_for_a_type_the_critical_goes_at_once():
    outcome = played(vouched(world([A, B], [[0.4, 0.5]])), CRITICAL, 48)
    assert outcome.returns == 1
    assert outcome.cost_ratio < 0.45


def test_a_pool_that_nobody_vouches_for_is_taken_once_it_has_proven_itself():
    outcome = played(world([A, B], [[0.4, 0.5]]), CRITICAL, 30 * 24)
    assert outcome.returns == 1
    assert 0.4 < outcome.cost_ratio < 0.75
    assert outcome.probe_usd / outcome.ondemand_usd < 0.01


def test_where_nobody_may_look_the_critical_goes_at_once_and_a_fall_keeps_it_on_demand():
    """Waiting would prove nothing. Its single interruption takes 29 hours' worth of on-demand."""
    calm = played(world([A, B], [[0.3, 0.4]]), CRITICAL, 30 * 24, probing=False)
    assert (calm.returns, calm.probes) == (1, 0)
    assert calm.cost_ratio < 0.32
    burnt = played(storm(14 * 24), CRITICAL, 14 * 24, probing=False)
    assert (burnt.interruptions, burnt.probes) == (1, 0)


def test_without_guard_rails_a_small_saving_that_pays_is_taken_too():
    there = vouched(world([A, B], [[0.4, 0.5], [0.4, 0.385]], ticks=(0.0, 5.0)))
    assert played(there, STATELESS, 48).moves == 0, "3.75 % is below the minimum of five"
    assert played(there, STATELESS, 48, railed=False).moves == 1


def test_who_pays_for_looks_waits_for_them_and_goes_once_a_pool_has_proven_itself():
    there = world([A, B], [[0.4, 0.5]])
    paying = run(there, PayingEngine(usd_per_day=Decimal(1)), Physics(), T0, T0 + 30 * DAY, CRITICAL)
    assert paying.returns == 1
    assert 0.4 < paying.cost_ratio < 0.75
    assert 0 < paying.probes <= played(there, CRITICAL, 30 * 24).probes


def test_who_pays_too_little_to_watch_a_pool_decides_as_who_pays_nothing():
    there = world([A, B], [[0.4, 0.5]])
    paying = run(there, PayingEngine(usd_per_day=Decimal("0.1")), Physics(), T0, T0 + 10 * DAY, CRITICAL)
    unprobed = played(there, CRITICAL, 10 * 24, probing=False)
    assert paying.returns == unprobed.returns == 1
    assert paying.cost_ratio == pytest.approx(unprobed.cost_ratio, abs=0.01)


def test_a_day_of_looks_costs_no_more_than_its_budget():
    """Down in turn, so that somebody always wants to know."""
    paying = run(
        storm(10 * 24), PayingEngine(usd_per_day=Decimal("0.5")), Physics(), T0, T0 + 10 * DAY, CRITICAL
    )
    assert paying.probes > 0
    assert paying.probe_usd <= 10 * 0.5 + 1e-9
