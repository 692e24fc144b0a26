"""Track C, semi-synthetic: real price paths, interruptions drawn around the advisor's rates.

A pool is interrupted at a rate drawn around its bucket's; half of the interruptions open a spell in which it is not
available, as long as one of the observed ones. Everything in the pool falls at the same moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from spotguard.backtest.physics import DAY
from spotguard.backtest.policy import Floats
from spotguard.backtest.tracks import Group, Window
from spotguard.backtest.world import Life, World
from spotguard.backtest.worlds import PriceMarket, price_world
from spotguard.domain.errors import InvalidInput
from spotguard.market.advisor import Snapshot
from spotguard.market.type_facts import Facts, shipped

MONTHLY = (0.025, 0.075, 0.125, 0.175, 0.30)
"""Interruptions per 720 h by advisor bucket: the middles of its bands."""

RATE_HOURS = 720.0
FACTORS = (0.3, 3.0)  # of the bucket's rate, drawn evenly in the logarithm
SPELL_SHARE = 0.5
SIGNAL_SHARE = 0.5
SIGNAL_LEAD_SECONDS = 600.0
SEEDS = 200
DAYS = 30.0
MOST_VCPUS = 8


class CalmTrack:
    """C: doing nothing when nothing is needed. One seed is one workload of one bucket in one window."""

    name = "C"

    def __init__(
        self,
        market: PriceMarket,
        facts: Facts | None,
        advisor: Sequence[Snapshot],
        spells: Floats,
        seeds: int = SEEDS,
        seed: int = 1,
        days: float = DAYS,
        spells_from: Sequence[str] = (),
    ) -> None:
        """`spells`: seconds for which pools were seen down, in the files `spells_from`, none: the shipped deciles.
        Without advisor snapshots buckets are drawn by type.
        """
        if market.end - market.start < days * DAY:
            raise InvalidInput(f"track C needs price files that span {days:g} days")
        self._market, self._facts, self._spells, self._seed = market, facts, spells, seed
        self._advisor = list(advisor) or [_drawn(market)]
        self._is_drawn = not advisor
        self._spells_from = tuple(spells_from)
        self.excluded = market.excluded
        found = [self._group(number, seed, days) for number in range(seeds)]
        self.groups = tuple(group for group in found if group is not None)
        if not self.groups:
            raise InvalidInput("no type of the price files has an advisor bucket and two zones")

    def told(self) -> dict[str, Any]:
        deciles = np.quantile(self._spells / 60, np.arange(1, 10) / 10)
        return {
            "spells": len(self._spells),
            "spell_minutes_deciles": [round(float(d), 1) for d in deciles],
            "spells_from": list(self._spells_from) or "shipped deciles: no availability file was named",
            "buckets_from": self._buckets_from(),
        }

    def _buckets_from(self) -> str:
        """What stands in for what is not known is said."""
        if self._is_drawn:
            return "dice, by type: no advisor snapshots were named"
        first = self._advisor[0].at.timestamp()
        early = sum(group.windows[0].start < first for group in self.groups)
        if not early:
            return "advisor snapshots"
        return f"advisor snapshots; the first one, which policies are not told yet, for {early} windows before it"

    def world(self, group: Group) -> World:
        calm = price_world(self._market, group.region, group.own_type, self._facts, self._advisor)
        window = group.windows[0]
        dice = np.random.default_rng([self._seed, group.seed, 1])
        buckets = calm.buckets(window.start)
        lives = tuple(self._life(int(bucket), window, dice) for bucket in buckets)
        return replace(calm, lives=lives)

    def _group(self, number: int, seed: int, days: float) -> Group | None:
        """Buckets in turn, so that each has as many seeds as the others, if it has types."""
        dice = np.random.default_rng([seed, number, 0])
        start = float(dice.uniform(self._market.start, self._market.end - days * DAY))
        by_bucket = self._candidates(start)
        filled = sorted(by_bucket)
        if not filled:
            return None
        bucket = filled[number % len(filled)]
        region, own_type = by_bucket[bucket][int(dice.integers(len(by_bucket[bucket])))]
        window = Window(start, start + days * DAY, days)
        return Group(f"{own_type} in {region}, seed {number}", region, own_type, (window,), number, bucket)

    def _candidates(self, at: float) -> dict[int, list[tuple[str, str]]]:
        known = [snapshot for snapshot in self._advisor if snapshot.at.timestamp() <= at]
        snapshot = known[-1] if known else self._advisor[0]
        zones: dict[tuple[str, str], int] = {}
        for pool, (seconds, _) in self._market.changes.items():
            if seconds[0] <= at:
                place = (pool.region, pool.instance_type)
                zones[place] = zones.get(place, 0) + 1
        found: dict[int, list[tuple[str, str]]] = {}
        for place, count in sorted(zones.items()):
            if count > 1 and place in snapshot.buckets and _is_small(place[1]):
                found.setdefault(snapshot.buckets[place], []).append(place)
        return found

    def _life(self, bucket: int, window: Window, dice: np.random.Generator) -> Life:
        """A pool of an unknown bucket has the rate of one that is drawn."""
        monthly = MONTHLY[bucket if bucket >= 0 else int(dice.integers(len(MONTHLY)))]
        factor = float(np.exp(dice.uniform(*np.log(FACTORS))))
        span = window.end - window.start
        count = int(dice.poisson(monthly * factor * span / 3600 / RATE_HOURS))
        strikes = np.sort(dice.uniform(window.start, window.end, count))
        flips: list[float] = []
        for strike in strikes:
            opens = dice.random() < SPELL_SHARE
            if opens and (not flips or strike > flips[-1]):
                flips += [float(strike), float(strike) + float(dice.choice(self._spells))]
        return Life(flips=np.array(flips), strikes=strikes)


def _is_small(instance_type: str) -> bool:
    facts = shipped().get(instance_type)
    return facts is not None and facts.vcpus <= MOST_VCPUS


def _drawn(market: PriceMarket) -> Snapshot:
    """Where there is no advisor: every type gets a bucket by dice."""
    dice = np.random.default_rng(0)
    places = sorted({(pool.region, pool.instance_type) for pool in market.changes})
    drawn = {place: int(dice.integers(len(MONTHLY))) for place in places}
    return Snapshot(datetime.fromtimestamp(market.start, UTC), drawn)


def observed_spells(worlds: Sequence[World], part: tuple[float, float] = (0.0, 1.0)) -> Floats:
    """Seconds of every spell that the files show from beginning to end, between two shares of their time."""
    spells: Floats = np.concatenate([_spells(world, life, part) for world in worlds for life in world.lives])
    if not len(spells):
        raise InvalidInput("the availability files show no spell from its beginning to its end")
    return spells


def _spells(world: World, life: Life, part: tuple[float, float]) -> Floats:
    first, last = (world.span[0] + share * (world.span[1] - world.span[0]) for share in part)
    falls = life.flips[0 if life.up_first else 1 :]
    pairs = falls[: len(falls) // 2 * 2].reshape(-1, 2)
    within = (pairs[:, 0] >= first) & (pairs[:, 1] <= last)
    lengths: Floats = pairs[within, 1] - pairs[within, 0]
    return lengths


def with_signals(world: World, seed: int) -> World:
    """Rebalance recommendations, an assumption: before half of the interruptions with a lead of exponentially ten
    minutes on average, and one false alarm for each true one.
    """
    dice = np.random.default_rng([seed, 2])
    return replace(world, lives=tuple(_signalled(life, world.span, dice) for life in world.lives))


def _signalled(life: Life, span: tuple[float, float], dice: np.random.Generator) -> Life:
    warned = life.strikes[dice.random(len(life.strikes)) < SIGNAL_SHARE]
    true = warned - dice.exponential(SIGNAL_LEAD_SECONDS, len(warned))
    false = dice.uniform(*span, len(warned)) if len(warned) else np.empty(0)
    return replace(life, signals=np.sort(np.concatenate([true, false])))
