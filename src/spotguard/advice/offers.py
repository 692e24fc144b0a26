"""Pools in which the workload may run: what each costs at the end of the files, how steadily, and which to allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from spotguard.advice.market import Kind, Market
from spotguard.advice.wish import interruption_usd
from spotguard.backtest.calm import MONTHLY
from spotguard.backtest.physics import DAY, MONTH
from spotguard.backtest.world import World
from spotguard.domain.pools import Pool
from spotguard.engine.rules_v1 import WELL_BELOW_ONDEMAND
from spotguard.engine.stakes import Stakes

RECOMMENDED = 6
"""So many pools at most, of two zones where there are two: more would be choice without use."""

LOOKED_BACK = 30 * DAY


@dataclass(frozen=True)
class Offer:
    """One pool. `usd_per_hour` None: no price is known at the end. `held_seconds`: for how long that price has held;
    `low_usd` to `high_usd` and `changes`: of the last 30 days of the file, `changes` scaled to 30 days.

    `bucket`: of the newest advisor snapshot (0: below 5 % … 4: above 20 %). `up_share`, `falls`: where availability is
    told, the share of the time in which it was up, and how often it fell in 30 days. `expected_usd`: an hour with what
    interruptions cost, as far as their rate is told.
    """

    pool: Pool
    usd_per_hour: float | None
    ondemand_share: float | None
    held_seconds: float | None
    low_usd: float | None
    high_usd: float | None
    changes: float
    bucket: int | None
    up_share: float | None
    falls: float | None
    expected_usd: float | None
    recommended: bool = False
    because: str = ""


def offers(market: Market, stakes: Stakes) -> tuple[Offer, ...]:
    """Recommended ones first, then by price."""
    bare = [_offer(market, number, stakes) for number in range(len(market.world.pools))]
    ordered = sorted(bare, key=lambda offer: (_or_inf(offer.expected_usd), offer.pool.id))
    chosen = _chosen([offer for offer in ordered if _why_not(offer) is None])
    judged = [_judged(offer, chosen) for offer in ordered]
    return tuple(sorted(judged, key=lambda offer: not offer.recommended))


def _offer(market: Market, number: int, stakes: Stakes) -> Offer:
    world, end = market.world, market.world.span[1]
    price = world.price(number, end)
    usd = None if np.isnan(price) else price
    first = max(world.span[0], end - LOOKED_BACK)
    times, prices = steps(world, number, first, end)
    known = prices[~np.isnan(prices)]
    bucket = int(world.buckets(end)[number])
    fallen = market.kind is Kind.AVAILABILITY
    falls = _falls(world, number) if fallen else None
    bare = Offer(
        pool=world.pools[number],
        usd_per_hour=usd,
        ondemand_share=None if usd is None else usd / world.ondemand_usd,
        held_seconds=None if usd is None else end - _since(world, number, end),
        low_usd=float(known.min()) if len(known) else None,
        high_usd=float(known.max()) if len(known) else None,
        changes=(len(times) - 1) * LOOKED_BACK / max(DAY, end - first),
        bucket=bucket if bucket >= 0 else None,
        up_share=_up_share(world, number) if fallen else None,
        falls=falls,
        expected_usd=None,
    )
    return replace(bare, expected_usd=_expected(bare, stakes))


def steps(world: World, number: int, since: float, until: float) -> tuple[np.ndarray, np.ndarray]:
    """The price in force at `since` and each change up to `until`; seconds and USD per hour, NaN unknown."""
    ticks = world.ticks
    first, last = world.tick(since), int(np.searchsorted(ticks, until, "right"))
    usd = world.usd[first:last, number]
    changed = np.ones(len(usd), dtype=np.bool_)
    changed[1:] = ~((usd[1:] == usd[:-1]) | (np.isnan(usd[1:]) & np.isnan(usd[:-1])))
    times = np.maximum(ticks[first:last], since)
    return times[changed], usd[changed]


def _since(world: World, number: int, end: float) -> float:
    times, _ = steps(world, number, world.span[0], end)
    return float(times[-1])


def _up_share(world: World, number: int) -> float:
    start, end = world.span
    life = world.lives[number]
    inside = life.flips[(life.flips > start) & (life.flips < end)]
    edges = np.concatenate([[start], inside, [end]])
    up = np.array([life.is_up(at) for at in edges[:-1]])
    return float(np.diff(edges)[up].sum() / (end - start))


def _falls(world: World, number: int) -> float:
    start, end = world.span
    strikes = world.lives[number].strikes
    return float(((strikes > start) & (strikes < end)).sum() * MONTH / (end - start))


def _expected(offer: Offer, stakes: Stakes) -> float | None:
    """With the middle of its advisor band, or with what was counted; at its price alone where nobody has told."""
    if offer.usd_per_hour is None:
        return None
    if offer.falls is not None and offer.up_share:
        hourly = offer.falls / 720 / offer.up_share
    elif offer.bucket is not None:
        hourly = MONTHLY[offer.bucket] / 720
    else:
        return offer.usd_per_hour
    return offer.usd_per_hour + hourly * interruption_usd(stakes, offer.usd_per_hour)


def _why_not(offer: Offer) -> str | None:
    if offer.usd_per_hour is None or offer.ondemand_share is None or offer.expected_usd is None:
        return "no price is known at the end of the file"
    if offer.up_share == 0:
        return "it was never up"
    if offer.ondemand_share > float(WELL_BELOW_ONDEMAND):
        return f"{100 * offer.ondemand_share:.0f} % of on-demand: SpotGuard goes only where a pool is well below it"
    return None


def _chosen(fit: Sequence[Offer]) -> dict[Pool, int]:
    """The best ones with their rank; the last gives way to the best of another zone if all lie in one."""
    best = list(fit[:RECOMMENDED])
    zones = {offer.pool.az for offer in best}
    if len(zones) == 1:
        other = next((offer for offer in fit if offer.pool.az not in zones), None)
        if other is not None:
            best = [*best[: RECOMMENDED - 1], other]
    return {offer.pool: rank for rank, offer in enumerate(best, 1)}


def _judged(offer: Offer, chosen: dict[Pool, int]) -> Offer:
    against = _why_not(offer)
    if against is not None:
        return replace(offer, because=against)
    share = f"{100 * (offer.ondemand_share or 0):.0f} % of on-demand"
    if offer.pool in chosen:
        return replace(
            offer, recommended=True, because=f"number {chosen[offer.pool]} by expected cost: {share}"
        )
    return replace(offer, because=f"{share}: allowed, but {RECOMMENDED} are better")


def _or_inf(value: float | None) -> float:
    return float("inf") if value is None else value
