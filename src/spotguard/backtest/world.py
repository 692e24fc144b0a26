"""One workload's market as arrays: prices, what is up when, when instances fall. Only the simulator sees the future."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from spotguard.backtest.physics import HOUR
from spotguard.backtest.policy import ONDEMAND, Floats, Numbers
from spotguard.domain.pools import Pool

_NONE: Floats = np.empty(0)


@dataclass(frozen=True)
class Life:
    """One pool. `flips`: when it changes between up and down, ascending; `up_first`: its state before the first.

    `strikes`: when whatever runs there is interrupted; `signals`: when it gets a rebalance recommendation.
    """

    up_first: bool = True
    flips: Floats = field(default_factory=lambda: _NONE)
    strikes: Floats = field(default_factory=lambda: _NONE)
    signals: Floats = field(default_factory=lambda: _NONE)

    def is_up(self, at: float) -> bool:
        return self.up_first ^ bool(np.searchsorted(self.flips, at, "right") % 2)

    def up_since(self, at: float) -> float:
        """When it rose, -inf where it has been up from the beginning, NaN where it is down."""
        number = int(np.searchsorted(self.flips, at, "right"))
        if not self.up_first ^ bool(number % 2):
            return float("nan")
        return float(self.flips[number - 1]) if number else float("-inf")

    def next_strike(self, after: float) -> float:
        return _next(self.strikes, after)

    def next_signal(self, after: float) -> float:
        return _next(self.signals, after)


@dataclass(frozen=True)
class World:
    """`ticks`: seconds at which any price changes, ascending; `usd[tick, pool]`: the price from then on, NaN unknown.

    `advisor`: (date in seconds, buckets over pools), ascending. `span`: between which moments the files tell.
    """

    home: Pool
    pools: tuple[Pool, ...]
    ondemand_usd: float
    ticks: Floats
    usd: Floats
    lives: tuple[Life, ...]
    advisor: Sequence[tuple[float, Numbers]] = ()
    span: tuple[float, float] = (0.0, 0.0)

    @cached_property
    def spent(self) -> Floats:
        """USD that each pool cost from the first tick until each tick."""
        hours = np.diff(self.ticks)[:, None] / HOUR
        paid = np.cumsum(np.nan_to_num(self.usd[:-1]) * hours, axis=0)
        spent: Floats = np.vstack([np.zeros((1, self.usd.shape[1])), paid])
        return spent

    def tick(self, at: float) -> int:
        """The last tick not after `at`; the first one before any."""
        return max(0, int(np.searchsorted(self.ticks, at, "right")) - 1)

    def prices(self, at: float) -> Floats:
        usd: Floats = self.usd[self.tick(at)].copy()
        return usd

    def price(self, pool: int, at: float) -> float:
        return self.ondemand_usd if pool == ONDEMAND else float(self.usd[self.tick(at), pool])

    def cost(self, pool: int, edges: Floats) -> Floats:
        """USD between each two of the moments `edges`."""
        if pool == ONDEMAND:
            return np.diff(edges) * (self.ondemand_usd / HOUR)
        at = np.maximum(np.searchsorted(self.ticks, edges, "right") - 1, 0)
        last = np.nan_to_num(self.usd[at, pool]) * (edges - self.ticks[at]) / HOUR
        return np.diff(self.spent[at, pool] + last)

    def buckets(self, at: float) -> Numbers:
        """The newest snapshot's; read-only."""
        known = self._unknown
        for dated, buckets in self.advisor:
            if dated > at:
                break
            known = buckets
        return known

    @cached_property
    def _unknown(self) -> Numbers:
        return np.full(len(self.pools), -1)

    def can_launch(self, pool: int, at: float) -> bool:
        if pool == ONDEMAND:
            return True
        return self.lives[pool].is_up(at) and not np.isnan(self.price(pool, at))

    def next_strike(self, pool: int, after: float) -> float:
        return float("inf") if pool == ONDEMAND else self.lives[pool].next_strike(after)

    def zone(self, pool: int) -> str | None:
        """None of on-demand, which can be had in any zone."""
        return None if pool == ONDEMAND else self.pools[pool].az


def _next(times: Floats, after: float) -> float:
    at = int(np.searchsorted(times, after, "right"))
    return float(times[at]) if at < len(times) else float("inf")
