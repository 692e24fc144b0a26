"""The three tracks: which workloads, in which windows, in which worlds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from spotguard.backtest.physics import DAY
from spotguard.backtest.world import World
from spotguard.backtest.worlds import PriceMarket, price_world
from spotguard.domain.errors import InvalidInput
from spotguard.market.advisor import Snapshot
from spotguard.market.type_facts import Facts

FAMILIES = ("c5", "m5", "r5", "t3")
SIZES = ("large", "xlarge", "2xlarge")
PRICE_DAYS = (7.0, 30.0)
STORM_DAYS = (3.0, 7.0)
STARTS = 30
LEAST_SPAN = 0.5 * DAY


@dataclass(frozen=True)
class Window:
    """From `start` to `end`, seconds since 1970. `days` None: the whole period."""

    start: float
    end: float
    days: float | None


@dataclass(frozen=True)
class Group:
    """One workload in one world, and its windows. `bucket`: of its type, where the track goes by it."""

    label: str
    region: str
    own_type: str
    windows: tuple[Window, ...]
    seed: int = 0
    bucket: int | None = None


class Track(Protocol):
    """Worlds are made where they are used: they are large, and processes do not share them."""

    name: str
    groups: tuple[Group, ...]
    excluded: tuple[str, ...]

    def world(self, group: Group) -> World: ...

    def told(self) -> dict[str, Any]:
        """What else there is to tell of it."""
        ...


def evenly_spaced(span: tuple[float, float], days: Sequence[float], starts: int) -> tuple[Window, ...]:
    """`starts` windows of each length that fits. `InvalidInput` when none does."""
    begin, end = span
    windows: list[Window] = []
    for length in days:
        last = end - length * DAY
        if last >= begin:
            firsts = np.unique(np.linspace(begin, last, starts))
            windows += [Window(float(first), float(first) + length * DAY, length) for first in firsts]
    if not windows:
        raise InvalidInput(
            f"the files span {(end - begin) / DAY:.1f} days, the shortest window has {min(days):g}"
        )
    return tuple(windows)


class PriceTrack:
    """P: every pool available; pool choice, no churn, escape from price shocks."""

    name = "P"

    def __init__(
        self,
        market: PriceMarket,
        facts: Facts | None,
        advisor: Sequence[Snapshot] = (),
        starts: int = STARTS,
        days: Sequence[float] = PRICE_DAYS,
    ) -> None:
        self._market, self._facts, self._advisor = market, facts, advisor
        self.excluded = market.excluded
        windows = evenly_spaced((market.start, market.end), days, starts)
        self.groups = tuple(
            Group(f"{own_type} in {region}", region, own_type, windows)
            for region in market.regions()
            for own_type in workload_types(market.types(region))
        )

    def told(self) -> dict[str, Any]:
        return {}

    def world(self, group: Group) -> World:
        return price_world(self._market, group.region, group.own_type, self._facts, self._advisor)


def workload_types(types: Sequence[str]) -> list[str]:
    """SpotBench's twelve where present; in a file without any of them (GPUs), the first twelve types by name."""
    wanted = [f"{family}.{size}" for family in FAMILIES for size in SIZES]
    present = [name for name in wanted if name in types]
    return present or sorted(types)[: len(wanted)]


class StormTrack:
    """A: one type, its zones, as they were up and down; interruptions, fall-back, return, standby."""

    name = "A"

    def __init__(
        self,
        worlds: Sequence[World],
        excluded: tuple[str, ...],
        part: tuple[float, float] = (0.0, 1.0),
        starts: int = STARTS,
        days: Sequence[float] = STORM_DAYS,
    ) -> None:
        """`part`: shares of the time between which the windows lie."""
        self.excluded = excluded
        self._worlds = {(world.home.region, world.home.instance_type): world for world in worlds}
        self.groups = tuple(self._group(place, part, starts, days) for place in sorted(self._worlds))

    def _group(
        self, place: tuple[str, str], part: tuple[float, float], starts: int, days: Sequence[float]
    ) -> Group:
        begin, end = self._worlds[place].span
        span = (begin + part[0] * (end - begin), begin + part[1] * (end - begin))
        if span[1] - span[0] < LEAST_SPAN:
            raise InvalidInput("the availability files span less than half a day")
        fitting = [length for length in days if length * DAY <= span[1] - span[0]]
        windows = evenly_spaced(span, fitting, starts) if fitting else ()
        region, own_type = place
        return Group(f"{own_type} in {region}", region, own_type, (*windows, Window(*span, None)))

    def told(self) -> dict[str, Any]:
        return {}

    def world(self, group: Group) -> World:
        return self._worlds[group.region, group.own_type]
