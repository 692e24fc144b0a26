"""A made-up market for when no price file is given. It is labelled so wherever its source is shown.

It copies regimes, not numbers, of the published 2021-2023 histories: prices are step functions between 25 and 100 % of
on-demand with six decimals; a calm pool moves by a per cent or two every few days; a stormy one by several per cent
every few hours, with shocks towards the on-demand price, and is interrupted about a thousand times as often
(`stormy` says which those are). On-demand prices are the us-east-1 list prices for Linux of 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import product
from random import Random

from spotguard.domain.ids import PoolId
from spotguard.domain.money import PRICE_STEP
from spotguard.domain.pools import Pool
from spotguard.market.history import PriceHistory
from spotguard.market.ondemand import OndemandPrices
from spotguard.market.rows import PriceRow

REGION = "us-east-1"
ONDEMAND = {
    "t3.medium": Decimal("0.0416"),
    "t3.large": Decimal("0.0832"),
    "m5.large": Decimal("0.096"),
    "m5.xlarge": Decimal("0.192"),
    "c5.large": Decimal("0.085"),
    "c5.xlarge": Decimal("0.17"),
    "r5.large": Decimal("0.126"),
}
HISTORY = timedelta(days=14)  # before the start, so that whoever looks back finds something
_LETTERS = "abcd"


@dataclass(frozen=True)
class SyntheticMarket:
    """A seeded market: the same seed, start and days give the same prices."""

    history: PriceHistory
    ondemand: OndemandPrices
    stormy: frozenset[PoolId]


@dataclass(frozen=True)
class _Regime:
    """How a pool's price moves."""

    hours_between_steps: float
    largest_step: float  # share of the price
    shock_chance: float  # at each step
    shock_hours: float


_CALM = _Regime(hours_between_steps=60, largest_step=0.02, shock_chance=0, shock_hours=0)
_STORMY = _Regime(hours_between_steps=3, largest_step=0.08, shock_chance=0.04, shock_hours=2)


def synthetic_market(seed: int, start: datetime, days: float, *, zones: int = 4) -> SyntheticMarket:
    """Prices from two weeks before `start` until `days` after it, for seven types in up to four zones."""
    pools = [Pool(kind, REGION + letter) for kind, letter in product(ONDEMAND, _LETTERS[:zones])]
    stormy = frozenset(_stormy_pools(pools, Random(f"{seed}:regimes")))
    rows: list[PriceRow] = []
    for pool in pools:
        rng = Random(f"{seed}:{pool.id}")
        regime = _STORMY if pool.id in stormy else _CALM
        rows += _prices(pool, regime, rng, start - HISTORY, start + timedelta(days=days))
    return SyntheticMarket(
        history=PriceHistory(rows, f"synthetic (seed {seed})"),
        ondemand={(REGION, kind): usd for kind, usd in ONDEMAND.items()},
        stormy=stormy,
    )


def _stormy_pools(pools: list[Pool], rng: Random) -> list[PoolId]:
    """One zone of every type, and two of every third type: nobody can always choose the same zone."""
    by_type: dict[str, list[Pool]] = {}
    for pool in pools:
        by_type.setdefault(pool.instance_type, []).append(pool)
    chosen: list[PoolId] = []
    for number, those in enumerate(by_type.values()):
        count = min(2 if number % 3 == 0 else 1, len(those) - 1)
        chosen += [pool.id for pool in rng.sample(those, count)]
    return chosen


def _prices(pool: Pool, regime: _Regime, rng: Random, since: datetime, until: datetime) -> list[PriceRow]:
    ondemand = ONDEMAND[pool.instance_type]
    level = rng.uniform(0.28, 0.5)
    at = since.replace(microsecond=0) - timedelta(seconds=rng.randint(0, 86_400))
    rows = [PriceRow(pool, at, _priced(ondemand, level))]
    while at < until:
        at += _after(rng, regime.hours_between_steps)
        if rng.random() < regime.shock_chance:
            rows.append(PriceRow(pool, at, _priced(ondemand, rng.uniform(0.8, 1.0))))
            at += _after(rng, regime.shock_hours)
        # A pull towards the pool's usual share keeps the walk from sticking to a border.
        level *= 1 + rng.uniform(-1, 1) * regime.largest_step + 0.05 * (0.38 - level)
        level = min(max(level, 0.25), 1.0)
        rows.append(PriceRow(pool, at, _priced(ondemand, level)))
    return [row for row in rows if row.at <= until]


def _priced(ondemand: Decimal, share: float) -> Decimal:
    return (ondemand * Decimal(str(round(share, 6)))).quantize(PRICE_STEP)


def _after(rng: Random, mean_hours: float) -> timedelta:
    return timedelta(seconds=60 + int(rng.expovariate(1 / (mean_hours * 3600))))
