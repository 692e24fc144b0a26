"""The alarm finds what a walk tick by tick would find."""

from itertools import product

import numpy as np
import pytest

from spotguard.backtest.alarm import Alarm
from spotguard.backtest.policy import ONDEMAND, Wake
from tests.backtest.little import HOUR, T0, A, B, world

TICKS = 30


def walked(there, wake, now, at):
    """By looking at each tick in turn."""
    for number, tick in enumerate(there.ticks):
        if tick <= now:
            continue
        usd = there.usd[number]
        own = 1.0 if at == ONDEMAND else usd[at]
        others = [price for pool, price in enumerate(usd) if pool != at]
        if (
            wake.any_change
            or (wake.cheaper is not None and min(others) <= wake.cheaper * own)
            or (wake.below_usd is not None and min(usd) <= wake.below_usd)
            or (wake.above_usd is not None and own >= wake.above_usd)
        ):
            return min(tick, wake.at)
    return wake.at


@pytest.mark.parametrize("seed", range(5))
def test_it_equals_the_walk(seed):
    dice = np.random.default_rng(seed)
    there = world([A, B], dice.uniform(0.1, 1.0, (TICKS, 2)), ticks=range(TICKS))
    alarm = Alarm(there)
    wakes = [
        Wake(cheaper=0.5),
        Wake(below_usd=0.2),
        Wake(above_usd=0.9),
        Wake(any_change=True),
        Wake(at=T0 + 7.5 * HOUR, cheaper=0.3, above_usd=0.95),
    ]
    for wake, at, hour in product(wakes, [ONDEMAND, 0, 1], [0.0, 3.2, 7.0]):
        now = T0 + hour * HOUR
        assert alarm.next(wake, now, at) == walked(there, wake, now, at)
