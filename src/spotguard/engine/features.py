"""The features of the hazard, each a number that was known at the moment of the decision; NaN where it was not.

Price is not among them: it hardly tells interruptions (AUC 0.57 to 0.60 out of time), so it counts for cost alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np

from spotguard.domain.pools import Pool
from spotguard.engine.arrays import Floats
from spotguard.engine.records import PoolRecord, hours_up

NAMES = (
    "log_hours_up",
    "logit_uptime_6h",
    "logit_uptime_24h",
    "log_drops_6h",
    "peers_up",
    "peers_uptime_24h",
    "work_hours_sine",
    "work_hours_cosine",
    "weekend",
)

_TICK_HOURS = 195 / 3600  # ages below one look of the training data are not told apart
_PRIOR_SHARE = 0.5  # of an uptime that nobody watched
_FRESH = timedelta(minutes=30)  # a peer that was looked at longer ago tells nothing of now

_SATURDAY = 5

UNKNOWN = float("nan")

_UTC_OFFSET_HOURS = {
    "us-east": -5, "us-west": -8, "ca-central": -5, "ca-west": -7, "mx-central": -6, "sa-east": -3,
    "eu-west": 0, "eu-central": 1, "eu-north": 1, "eu-south": 1, "af-south": 2, "il-central": 2,
    "me-south": 3, "me-central": 4, "ap-south": 5, "ap-southeast": 8, "ap-east": 8, "ap-northeast": 9,
}  # fmt: skip


def of_pools(pools: Sequence[Pool], records: Mapping[Pool, PoolRecord], now: datetime) -> Floats:
    """One row of `NAMES` for each pool. A pool without a record has NaN for all that is its own."""
    rows = [_of_pool(pool, records, now) for pool in pools]
    return np.array(rows, dtype=np.float64).reshape(len(pools), len(NAMES))


def _of_pool(pool: Pool, records: Mapping[Pool, PoolRecord], now: datetime) -> list[float]:
    peers = [
        record
        for other, record in records.items()
        if other != pool and is_peer(pool, other) and now - record.seen_at <= _FRESH
    ]
    return [*of_record(records.get(pool), now), *of_peers(peers), *of_clock(pool.region, now)]


def is_peer(pool: Pool, other: Pool) -> bool:
    """The same type in another zone of the region, or another size of its family in the same zone."""
    if pool.instance_type == other.instance_type:
        return pool.region == other.region
    return pool.az == other.az and _family(pool) == _family(other)


def of_record(record: PoolRecord | None, now: datetime) -> list[float]:
    if record is None:
        return [UNKNOWN] * 4
    return [
        math.log(hours_up(record, now) + _TICK_HOURS),
        _logit(record.uptime_short, record.weight_short),
        _logit(record.uptime_long, record.weight_long),
        math.log(record.drops_short + 0.1),
    ]


def of_peers(peers: Sequence[PoolRecord]) -> list[float]:
    if not peers:
        return [UNKNOWN, UNKNOWN]
    return [
        sum(peer.up for peer in peers) / len(peers),
        sum(_share(peer.uptime_long, peer.weight_long) for peer in peers) / len(peers),
    ]


def of_clock(region: str, now: datetime) -> list[float]:
    """The hour where the region works, as a circle, on working days only; and whether it is a weekend there."""
    area = region.rsplit("-", 1)[0]
    if area not in _UTC_OFFSET_HOURS:
        return [UNKNOWN] * 3
    local = now + timedelta(hours=_UTC_OFFSET_HOURS[area])
    if local.weekday() >= _SATURDAY:
        return [0.0, 0.0, 1.0]
    angle = 2 * math.pi * (local.hour + local.minute / 60) / 24
    return [math.sin(angle), math.cos(angle), 0.0]


def _family(pool: Pool) -> str:
    return pool.instance_type.partition(".")[0]


def _share(up: float, weight: float) -> float:
    return up + _PRIOR_SHARE * (1 - weight)


def _logit(up: float, weight: float) -> float:
    share = min(max(_share(up, weight), 0.02), 0.98)
    return math.log(share / (1 - share))
