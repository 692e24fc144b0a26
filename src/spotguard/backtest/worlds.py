"""Files become worlds: the market of one workload, from prices or from availability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import numpy as np

from spotguard.backtest.policy import Floats, Numbers
from spotguard.backtest.world import Life, World
from spotguard.domain.errors import InvalidInput
from spotguard.domain.pools import LINUX, Pool
from spotguard.market.advisor import Snapshot
from spotguard.market.availability import Availability, Sighting
from spotguard.market.history import PriceHistory
from spotguard.market.ondemand import OndemandPrices
from spotguard.market.type_facts import Facts, equivalents

SHARE_BEGUN = 0.75
"""A file begins when so many of its pools have a price: the first row of a pool may lie far before, or late."""


@dataclass(frozen=True)
class PriceMarket:
    """Price changes by pool: (seconds, USD per hour). `excluded`: types that have no on-demand price there."""

    changes: dict[Pool, tuple[Floats, Floats]]
    ondemand: OndemandPrices
    start: float
    end: float
    excluded: tuple[str, ...]

    def regions(self) -> list[str]:
        return sorted({pool.region for pool in self.changes})

    def types(self, region: str) -> list[str]:
        return sorted({pool.instance_type for pool in self.changes if pool.region == region})


def price_market(history: PriceHistory, ondemand: OndemandPrices) -> PriceMarket:
    """Of Linux alone. `InvalidInput` when no type has an on-demand price."""
    linux = [pool for pool in history.pools() if pool.product == LINUX]
    known = [pool for pool in linux if (pool.region, pool.instance_type) in ondemand]
    excluded = sorted({pool.instance_type for pool in linux} - {pool.instance_type for pool in known})
    if not known or history.span is None:
        raise InvalidInput("no instance type of the price files has an on-demand price in its region")
    changes = {pool: _arrays(history, pool) for pool in known}
    begun = np.quantile([seconds[0] for seconds, _ in changes.values()], SHARE_BEGUN)
    return PriceMarket(changes, ondemand, float(begun), history.span[1].timestamp(), tuple(excluded))


def _arrays(history: PriceHistory, pool: Pool) -> tuple[Floats, Floats]:
    seconds, usd = history.changes_of(pool)
    return np.array(seconds, dtype=np.float64), np.array([float(price) for price in usd])


def price_world(
    market: PriceMarket,
    region: str,
    own_type: str,
    facts: Facts | None,
    advisor: Sequence[Snapshot] = (),
) -> World:
    """Every pool always up. `facts` None: the zones of its own type alone; else of its equivalents too."""
    types = [own_type] if facts is None else equivalents(facts, own_type, market.types(region))
    pools = [pool for pool in market.changes if pool.region == region and pool.instance_type in types]
    ticks = np.unique(np.concatenate([[market.start], *(market.changes[pool][0] for pool in pools)]))
    usd = np.stack([_held(ticks, *market.changes[pool]) for pool in pools], axis=1)
    home = next(pool for pool in pools if pool.instance_type == own_type)
    return World(
        home=home,
        pools=tuple(pools),
        ondemand_usd=float(market.ondemand[region, own_type]),
        ticks=ticks,
        usd=usd,
        lives=(Life(),) * len(pools),
        advisor=_buckets(advisor, pools),
        span=(market.start, market.end),
    )


def _held(ticks: Floats, seconds: Floats, usd: Floats) -> Floats:
    """The price in force at each tick; NaN before the first."""
    at = np.searchsorted(seconds, ticks, "right") - 1
    return np.where(at < 0, np.nan, usd[np.maximum(at, 0)])


def _buckets(advisor: Sequence[Snapshot], pools: Sequence[Pool]) -> tuple[tuple[float, Numbers], ...]:
    return tuple(
        (
            snapshot.at.timestamp(),
            np.array([snapshot.buckets.get((pool.region, pool.instance_type), -1) for pool in pools]),
        )
        for snapshot in advisor
    )


def storm_worlds(found: Availability, ondemand: OndemandPrices) -> tuple[list[World], tuple[str, ...]]:
    """One world for each region and type, and the types left out since no on-demand price is known."""
    places = sorted({(pool.region, pool.instance_type) for pool in found.looks})
    worlds, excluded = [], []
    for region, instance_type in places:
        looks = {
            p: s for p, s in found.looks.items() if (p.region, p.instance_type) == (region, instance_type)
        }
        fixed = _ondemand(looks, ondemand.get((region, instance_type)))
        if fixed is None:
            excluded.append(instance_type)
        else:
            worlds.append(_storm_world(looks, fixed))
    if not worlds:
        raise InvalidInput("no on-demand price is known of any type in the availability files")
    return worlds, tuple(sorted(set(excluded)))


def _ondemand(looks: dict[Pool, list[Sighting]], listed: object) -> float | None:
    told = [
        look.ondemand_usd for looks_ in looks.values() for look in looks_ if look.ondemand_usd is not None
    ]
    if told:
        return float(told[0])
    return None if listed is None else float(str(listed))


def _storm_world(looks: dict[Pool, list[Sighting]], ondemand_usd: float) -> World:
    """A price that is not known yet is taken to be that of on-demand, which spot does not exceed."""
    pools = tuple(looks)
    changes = [_spot_changes(looks[pool], ondemand_usd) for pool in pools]
    ticks = np.unique(np.concatenate([seconds for seconds, _ in changes]))
    return World(
        home=pools[0],
        pools=pools,
        ondemand_usd=ondemand_usd,
        ticks=ticks,
        usd=np.stack([_held(ticks, *change) for change in changes], axis=1),
        lives=tuple(_life(looks[pool]) for pool in pools),
        span=(
            max(_second(told[0].at) for told in looks.values()),
            min(_second(told[-1].at) for told in looks.values()),
        ),
    )


def _spot_changes(looks: Sequence[Sighting], ondemand_usd: float) -> tuple[Floats, Floats]:
    seconds, usd = [_second(looks[0].at)], [ondemand_usd]
    for look in looks:
        if look.spot_usd is not None and float(look.spot_usd) != usd[-1]:
            seconds.append(_second(look.at))
            usd.append(float(look.spot_usd))
    return np.array(seconds), np.array(usd)


def _life(looks: Sequence[Sighting]) -> Life:
    """What runs in a pool when it is first seen down is taken to be interrupted then."""
    flips = np.array([_second(b.at) for a, b in pairwise(looks) if a.up != b.up])
    first_fall = 0 if looks[0].up else 1
    return Life(up_first=looks[0].up, flips=flips, strikes=flips[first_fall::2])


def _second(at: datetime) -> float:
    return at.timestamp()
