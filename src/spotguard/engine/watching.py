"""When a pool is due for another look, and what the agents would gain if it turned out to be calm.

A look is a launch that is made only to learn whether the pool gives capacity: a refusal costs nothing, a success a
minute's bill. The pauses are those that SpotBench measured (docs/engine.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from spotguard.domain.ids import PoolId
from spotguard.engine import forecast, scoring
from spotguard.engine.arrays import Floats
from spotguard.engine.forecast import CALM_RATE, Ask, Prospect
from spotguard.engine.hazard import RISK_HOURS
from spotguard.engine.records import VOUCHED_HOURS, PoolRecord, hours_up

HOUR_SECONDS = 3600.0
PAUSE_SECONDS = 300.0  # between two looks at a pool that is down: SpotBench's information rule
LOOK_AGAIN = 0.5  # of a pool's age: the longer it was seen up, the later it is looked at again
DOWN_AGAIN, UP_AGAIN = 1 / 2, 1 / 8
"""Of the time for which a pool has to stay up to pay for a fall: each look at one that is up costs a minute's bill, and
no news of it can bring a return much earlier.
"""

ON_SPOT_SECONDS, ON_SPOT_AGAIN = HOUR_SECONDS / 4, 2.0
"""Whoever runs in a pool that is not calm is in no haste to know the others."""

LOOKS_TO_PROVE = 1 / UP_AGAIN
"""So many at least until a pool has been up for as long as it has to: together they may not cost what they gain."""

WATCHED_LOOKS_A_DAY = 24 / VOUCHED_HOURS
"""A look vouches for an hour: with fewer, the hours in between prove nothing."""


def pause_seconds(record: PoolRecord, proof_hours: float, *, on_spot: bool) -> float:
    """From the last look at a pool until the next is due. `proof_hours`: for how long it has to stay up to pay for a
    fall; `on_spot`: who asks runs in another spot pool.
    """
    pause = max(PAUSE_SECONDS, _pause(record, HOUR_SECONDS * proof_hours))
    if not on_spot:
        return pause
    return max(pause, ON_SPOT_SECONDS, ON_SPOT_AGAIN * _age(record))


def _pause(record: PoolRecord, proof: float) -> float:
    """Close to a return no fall may be missed."""
    if not record.up:
        return DOWN_AGAIN * proof
    age = _age(record)
    if age < proof / 2:
        return UP_AGAIN * proof
    return min(HOUR_SECONDS * VOUCHED_HOURS, LOOK_AGAIN * age)


def _age(record: PoolRecord) -> float:
    """Seconds for which it was up when it was last seen."""
    return HOUR_SECONDS * hours_up(record, record.seen_at) if record.up else 0.0


@dataclass(frozen=True)
class Worths:
    """Over asks × `pool_ids`: USD within its horizon that a pool, were it known to be calm, would gain an agent above
    the best that it can have as things stand; 0 where it would gain nothing.
    """

    pool_ids: Sequence[PoolId]
    usd: Floats


def worths(asks: Sequence[Ask], known: Mapping[PoolId, Prospect]) -> Worths:
    """A quarantine bars no look; to where an agent would go anyway it looks by going."""
    if not any(ask.pools for ask in asks):
        return Worths([], np.zeros((len(asks), 0)))
    present = forecast.figures(asks, known)
    ids, market, fleet = forecast.arrays(
        _freed(asks), {pool_id: _calm(told) for pool_id, told in known.items()}
    )
    best = np.array([max(0.0, told.gain_usd) for told in present])
    more = scoring.gains(market, fleet) - best[:, None]
    index = {pool_id: number for number, pool_id in enumerate(ids)}
    for row, told in enumerate(present):
        if told.pool is not None and told.gain_usd > 0:
            more[row, index[told.pool]] = 0.0
    return Worths(ids, np.where(more > 0.0, more, 0.0))


def _freed(asks: Sequence[Ask]) -> list[Ask]:
    return [
        replace(
            ask, pools=[replace(a, quarantined_until=None) if a.quarantined_until else a for a in ask.pools]
        )
        for ask in asks
    ]


def _calm(told: Prospect) -> Prospect:
    """The same pool, once nothing of it is doubted."""
    rate = min(told.rate_per_hour, CALM_RATE)
    return Prospect(rate, -float(np.expm1(-rate * RISK_HOURS)), 0.0, type_fell=told.type_fell)
