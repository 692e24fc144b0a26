"""The optimum of who knows the future: no downtime, no standby, no probes, only planned moves in time.

`V_t(j) = p_j(t)·dt + min(V_{t−1}(j), min_i[V_{t−1}(i) + overlap·p_i(t−1)])`, `V_0` = on demand, infinite where pool j
is not up. Steps run from one change of any price or state to the next, so that nothing is lost between.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spotguard.backtest.physics import HOUR, Physics
from spotguard.backtest.policy import Floats
from spotguard.backtest.world import World


def least_costs(world: World, physics: Physics, windows: Sequence[tuple[float, float]]) -> list[float]:
    """USD of the cheapest plan in each window."""
    return [_least_cost(world, physics, start, end) for start, end in windows]


def _least_cost(world: World, physics: Physics, start: float, end: float) -> float:
    edges = _edges(world, start, end)
    rates, up = _rates(world, edges[:-1])
    hours = np.diff(edges) / HOUR
    value = np.full(rates.shape[1], np.inf)
    value[-1] = 0.0  # on demand
    overlap = physics.overlap_hours
    for step in range(len(hours)):
        before = rates[step - 1] if step else rates[0]
        best = (value + overlap * before).min()
        np.minimum(value, best, out=value)
        value += rates[step] * hours[step]
        value[~up[step]] = np.inf
    return float(value.min())


def _edges(world: World, start: float, end: float) -> Floats:
    """The window's ends and every change between them."""
    moments = [world.ticks, *(life.flips for life in world.lives)]
    inside = [times[(times > start) & (times < end)] for times in moments]
    return np.unique(np.concatenate([[start], *inside, [end]]))


def _rates(world: World, moments: Floats) -> tuple[Floats, np.ndarray[tuple[int, int], np.dtype[np.bool_]]]:
    """USD per hour and whether it is up, at each moment, of each pool and, last, of on-demand."""
    ticks = np.maximum(np.searchsorted(world.ticks, moments, "right") - 1, 0)
    usd = world.usd[ticks]
    numbers = [np.searchsorted(life.flips, moments, "right") % 2 == 1 for life in world.lives]
    up = np.stack([life.up_first ^ odd for life, odd in zip(world.lives, numbers, strict=True)], axis=1)
    up &= ~np.isnan(usd)
    rates = np.column_stack([np.nan_to_num(usd), np.full(len(moments), world.ondemand_usd)])
    return rates, np.column_stack([up, np.ones(len(moments), dtype=np.bool_)])
