"""How often this workload would be interrupted, and what that rests on: measured, the advisor's word, or not known."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from spotguard.advice.figures import PolicyFigures
from spotguard.advice.market import Market
from spotguard.advice.replay import Replayed
from spotguard.engine.stakes import Stakes

BANDS: Mapping[int, tuple[float, float | None]] = {
    0: (0.0, 0.05),
    1: (0.05, 0.10),
    2: (0.10, 0.15),
    3: (0.15, 0.20),
    4: (0.20, None),
}
"""Shares of the instances of a type that were interrupted within a month (Spot Instance Advisor), by bucket."""

_UNTOLD = -1
_LEAST_SHARE = 0.005  # of the time, to be named


class Basis(StrEnum):
    """What a figure rests on."""

    MEASURED = "measured"
    ADVISOR = "advisor"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Interruptions:
    """In 30 days, `low` to `high`; `high` None: no upper edge is told; both None: unknown. Minutes are those of
    interruptions and, where measured, of planned moves.
    """

    basis: Basis
    low: float | None
    high: float | None
    minutes_low: float | None
    minutes_high: float | None
    because: str


def expected(market: Market, figures: PolicyFigures, replayed: Replayed, stakes: Stakes) -> Interruptions:
    """Of one policy, by where it ran."""
    if figures.interruptions is not None:
        return _measured(market, figures, figures.interruptions)
    shares = _by_bucket(market, replayed)
    told = {bucket: share for bucket, share in shares.items() if bucket != _UNTOLD}
    if not told:
        because = "files of prices say nothing about capacity, and no advisor snapshot tells of these types"
        return Interruptions(Basis.UNKNOWN, None, None, None, None, because)
    edges = [(share, *BANDS[bucket]) for bucket, share in told.items()]
    least = sum(share * rate(low) for share, low, _ in edges)
    most = sum(share * rate(high) for share, _, high in edges if high is not None)
    open_ended = _UNTOLD in shares or any(high is None for _, _, high in edges)
    minutes = stakes.interruption_minutes
    return Interruptions(
        Basis.ADVISOR,
        least,
        None if open_ended else most,
        least * minutes,
        None if open_ended else most * minutes,
        f"the Spot Instance Advisor's bands of the pools in which it ran in the replay ({_named(shares)}), "
        f"{minutes:.2f} min each, launched anew in the same zone",
    )


def rate(share: float) -> float:
    """Interruptions of one instance in a month in which this share of the instances is interrupted."""
    return -math.log1p(-share)


def band(bucket: int) -> str:
    """As AWS words it."""
    low, high = BANDS[bucket]
    if high is None:
        return f"above {100 * low:.0f} %"
    return f"{100 * low:.0f}-{100 * high:.0f} %" if low else f"below {100 * high:.0f} %"


def _by_bucket(market: Market, replayed: Replayed) -> dict[int, float]:
    """Shares of the time in pools of each bucket of the newest snapshot; on demand nothing is interrupted."""
    world, (start, end) = market.world, market.world.span
    buckets = world.buckets(end)
    found: defaultdict[int, float] = defaultdict(float)
    for stay in replayed.stays:
        found[int(buckets[stay.pool])] += (min(stay.until, end) - max(stay.since, start)) / (end - start)
    return dict(found)


def _named(shares: Mapping[int, float]) -> str:
    return ", ".join(
        f"{'unknown' if bucket == _UNTOLD else band(bucket)}: {100 * share:.0f} % of the time"
        for bucket, share in sorted(shares.items())
        if share >= _LEAST_SHARE
    )


def _measured(market: Market, figures: PolicyFigures, count: float) -> Interruptions:
    down = figures.minutes_down
    low, high = (down.value if edge is None else edge for edge in (down.low, down.high))
    because = (
        f"counted in {market.days:.1f} days of {market.source}: what runs in a pool that is seen down is taken to be "
        "interrupted then, which is pessimistic"
    )
    return Interruptions(Basis.MEASURED, count, count, low, high, because)
