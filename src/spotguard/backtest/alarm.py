"""Finds the next moment at which a policy's `Wake` comes true, without walking there tick by tick."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from spotguard.backtest.policy import ONDEMAND, Flags, Floats, Numbers, Wake
from spotguard.backtest.world import World


class Alarm:
    """Each condition is a set of ticks that is worked out once: it depends on the prices of its own tick alone."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._found: dict[tuple[str, int, float], Numbers] = {}

    def next(self, wake: Wake, now: float, at: int) -> float:
        """The first moment after `now`; infinite if none comes."""
        first = int(np.searchsorted(self._world.ticks, now, "right"))
        moments = [wake.at if wake.at > now else float("inf")]
        if wake.any_change and first < len(self._world.ticks):
            moments.append(float(self._world.ticks[first]))
        for kind, limit in (("cheaper", wake.cheaper), ("below", wake.below_usd), ("above", wake.above_usd)):
            if limit is not None:
                moments.append(self._moment(self._ticks(kind, at, limit), first))
        return min(moments)

    def _moment(self, ticks: Numbers, first: int) -> float:
        number = int(np.searchsorted(ticks, first))
        return float(self._world.ticks[ticks[number]]) if number < len(ticks) else float("inf")

    def _ticks(self, kind: str, at: int, limit: float) -> Numbers:
        key = (kind, at, limit)
        if key not in self._found:
            self._found[key] = np.flatnonzero(self._holds(kind, at, limit))
        return self._found[key]

    def _holds(self, kind: str, at: int, limit: float) -> Flags:
        own = self._own(at)
        if kind == "above":
            return own >= limit
        if kind == "below":
            return self._cheapest_other(ONDEMAND) <= limit
        return self._cheapest_other(at) <= limit * own

    def _own(self, at: int) -> Floats:
        world = self._world
        return np.full(len(world.ticks), world.ondemand_usd) if at == ONDEMAND else world.usd[:, at]

    def _cheapest_other(self, at: int) -> Floats:
        cheapest, which, second = self._two_cheapest
        return np.where(which == at, second, cheapest)

    @cached_property
    def _two_cheapest(self) -> tuple[Floats, Numbers, Floats]:
        usd = np.where(np.isnan(self._world.usd), np.inf, self._world.usd)
        which = usd.argmin(axis=1)
        rows = np.arange(len(usd))
        cheapest = usd[rows, which]
        if usd.shape[1] == 1:
            return cheapest, which, np.full(len(usd), np.inf)
        return cheapest, which, np.partition(usd, 1, axis=1)[:, 1]
