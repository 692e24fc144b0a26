"""The optimum of who knows the future: no downtime, no standby, no probes, only planned moves in time.

`V_t(j) = p_j(t)·dt + min(V_{t−1}(j), min_i[V_{t−1}(i) + overlap·p_i(t−1)])`, `V_0` = on demand, infinite where pool j
is not up. Steps run from one change of any price or state to the next, so that nothing is lost between.
"""

from __future__ import annotations

import numpy as np

from spotguard.backtest.account import Outcome, seconds_by_day
from spotguard.backtest.physics import DAY, HOUR, Physics
from spotguard.backtest.policy import Flags, Floats, Numbers
from spotguard.backtest.world import World


def optimum(world: World, physics: Physics, start: float, end: float) -> Outcome:
    """The cheapest plan for one window."""
    edges = _edges(world, start, end)
    rates, up = _rates(world, edges[:-1])
    costs = rates * np.diff(edges)[:, None] / HOUR
    moving = physics.overlap_hours * rates
    path = _cheapest_path(np.where(up, costs, np.inf), moving)
    return _outcome(edges, costs, moving, path, (start, end), world.ondemand_usd)


def _cheapest_path(costs: Floats, moving: Floats) -> Numbers:
    """The column of each step. `costs` and `moving` (of leaving) are steps × pools; the last column is the start."""
    steps, columns = costs.shape
    value = np.full(columns, np.inf)
    value[-1] = 0.0
    came = np.empty((steps, columns), dtype=np.int32)
    every = np.arange(columns, dtype=np.int32)
    for step in range(steps):
        with_move = value + moving[max(step - 1, 0)]
        best = int(with_move.argmin())
        came[step] = np.where(with_move[best] < value, best, every)
        np.minimum(value, with_move[best], out=value)
        value += costs[step]
    path = np.empty(steps, dtype=np.int64)
    path[-1] = int(value.argmin())
    for step in range(steps - 1, 0, -1):
        path[step - 1] = came[step, path[step]]
    return path


def _outcome(
    edges: Floats,
    costs: Floats,
    moving: Floats,
    path: Numbers,
    window: tuple[float, float],
    ondemand_usd: float,
) -> Outcome:
    steps = np.arange(len(path))
    before = np.concatenate([[costs.shape[1] - 1], path[:-1]])
    paid = costs[steps, path] + np.where(before != path, moving[np.maximum(steps - 1, 0), before], 0.0)
    start, end = window
    first_day = int(start // DAY)
    day_seconds = seconds_by_day(start, end)
    by_day = np.zeros(len(day_seconds))
    np.add.at(by_day, (edges[:-1] // DAY).astype(int) - first_day, paid)
    moved = before != path
    returns = int((moved & (before == costs.shape[1] - 1)).sum())
    return Outcome(
        first_day=first_day,
        day_seconds=day_seconds,
        cost_usd=by_day,
        down_seconds=np.zeros(len(day_seconds)),
        ondemand_usd=ondemand_usd * (end - start) / HOUR,
        seconds=end - start,
        moves=int(moved.sum()) - returns,
        returns=returns,
        interruptions=0,
        refusals=0,
        probes=0,
        probe_usd=0.0,
        standby_seconds=0.0,
        standby_usd=0.0,
        waived_usd=0.0,
        worst_down_seconds=0.0,
    )


def _edges(world: World, start: float, end: float) -> Floats:
    """The window's ends, every change between them, and midnights, so that days can be told apart."""
    days = np.arange(start // DAY + 1, np.ceil(end / DAY)) * DAY
    moments = [days, world.ticks, *(life.flips for life in world.lives)]
    inside = [times[(times > start) & (times < end)] for times in moments]
    return np.unique(np.concatenate([[start], *inside, [end]]))


def _rates(world: World, moments: Floats) -> tuple[Floats, Flags]:
    """USD per hour and whether it is up, at each moment, of each pool and, last, of on-demand."""
    ticks = np.maximum(np.searchsorted(world.ticks, moments, "right") - 1, 0)
    usd = world.usd[ticks]
    odd = [np.searchsorted(life.flips, moments, "right") % 2 == 1 for life in world.lives]
    up = np.stack([life.up_first ^ flipped for life, flipped in zip(world.lives, odd, strict=True)], axis=1)
    up &= ~np.isnan(usd)
    always = np.ones(len(moments), dtype=np.bool_)
    rates = np.column_stack([np.nan_to_num(usd), np.full(len(moments), world.ondemand_usd)])
    return rates, np.column_stack([up, always])
