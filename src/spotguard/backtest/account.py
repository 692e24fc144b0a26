"""What one run cost and how long it was down, day by day, so that days can be drawn again for intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spotguard.backtest.physics import DAY, HOUR, Physics
from spotguard.backtest.policy import ONDEMAND, Floats
from spotguard.backtest.world import World


@dataclass(frozen=True)
class Outcome:
    """One policy in one window. `cost_usd` and `down_seconds` by calendar day (UTC) from `first_day` on, of which
    `day_seconds` belong to the window.

    `moves`: planned moves but for returns to spot (from the start, an interruption or an escape), which `returns`
    counts. `waived_usd`: part of the cost that AWS would not have charged, since it interrupted within the first hour.
    """

    first_day: int
    day_seconds: Floats
    cost_usd: Floats
    down_seconds: Floats
    ondemand_usd: float
    seconds: float
    moves: int
    returns: int
    interruptions: int
    refusals: int
    probes: int
    probe_usd: float
    standby_seconds: float
    standby_usd: float
    waived_usd: float
    worst_down_seconds: float

    @property
    def cost_ratio(self) -> float:
        return float(self.cost_usd.sum()) / self.ondemand_usd

    @property
    def down_share(self) -> float:
        return float(self.down_seconds.sum()) / self.seconds

    def j(self, weight: float) -> float:
        return self.cost_ratio + weight * self.down_share


def seconds_by_day(start: float, end: float) -> Floats:
    """How much of each calendar day lies between the two."""
    first, last = int(start // DAY), int(np.ceil(end / DAY))
    edges = np.clip(np.arange(first, last + 1) * DAY, start, end)
    seconds: Floats = np.diff(edges)
    return seconds


class Account:
    """Adds up bills and downtimes. What a planned move bills of the old instance counts in full, past the end too."""

    def __init__(self, world: World, physics: Physics, start: float, end: float) -> None:
        self._world = world
        self._physics = physics
        self._start, self._end = start, end
        self.first_day = int(start // DAY)
        days = int(np.ceil(end / DAY)) - self.first_day
        self._cost = np.zeros(days)
        self._down = np.zeros(days)
        self.waived_usd = 0.0
        self.probe_usd = 0.0
        self.standby_usd = 0.0
        self.standby_seconds = 0.0
        self.worst_down_seconds = 0.0

    def bill(self, pool: int, since: float, until: float, *, interrupted: bool = False) -> float:
        """USD of an instance that ran from `since` to `until`."""
        until = max(until, since + self._physics.least_billed)
        edges = self._edges(since, until)
        paid = self._world.cost(pool, edges)
        self._add(self._cost, edges, paid)
        total = float(paid.sum())
        if interrupted and until - since < self._physics.waived:
            self.waived_usd += total
        return total

    def down(self, since: float, until: float) -> None:
        edges = self._edges(since, until)
        self._add(self._down, edges, np.diff(edges))
        self.worst_down_seconds = max(self.worst_down_seconds, until - since)

    def stood_by(self, pool: int, since: float, until: float, ready_at: float) -> None:
        self.standby_usd += float(self._world.cost(pool, np.array([since, max(since, until)])).sum())
        self.standby_seconds += max(0.0, until - ready_at)

    def totals(self) -> tuple[Floats, Floats]:
        """(USD, seconds down) by day."""
        return self._cost, self._down

    def ondemand_usd(self) -> float:
        return self._world.ondemand_usd * (self._end - self._start) / HOUR

    def price_of(self, pool: int, at: float) -> float:
        return self._world.price(pool, at) if pool != ONDEMAND else self._world.ondemand_usd

    def _edges(self, since: float, until: float) -> Floats:
        first, last = int(since // DAY) + 1, int(np.ceil(until / DAY))
        return np.array([since, *(day * DAY for day in range(first, last)), until])

    def _add(self, days: Floats, edges: Floats, amounts: Floats) -> None:
        """What lies after the window's last day counts on that day."""
        numbers = (edges[:-1] // DAY).astype(int) - self.first_day
        np.add.at(days, np.minimum(numbers, len(days) - 1), amounts)
