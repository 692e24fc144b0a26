"""What has been seen of one pool: launches, probes and instances that run there, folded into a few numbers.

Only what is seen counts: between two looks the pool is taken to have stayed as it was first seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime

SHORT_HOURS = 6.0
LONG_HOURS = 24.0
REMEMBERED_HOURS = 720.0  # what was seen longer ago is forgotten
VOUCHED_HOURS = 1.0
"""For how long a single look vouches: a fall and a rise between two looks that are further apart may have been missed.
Half of the spells down of the training data are shorter than 42 minutes.
"""


@dataclass(frozen=True)
class PoolRecord:
    """`since`: when it last changed between up and down, as far as was seen; `uptime_*`: share of the time up, the past
    weighing less by e in so many hours, `weight_*` how much of that past was watched at all; `drops_*`: changes from
    up to down, faded likewise. `drops` and `up_hours` count all that was ever seen, `proven_hours` those of this spell
    in which no fall can have been missed.
    """

    seen_at: datetime
    up: bool
    since: datetime
    uptime_short: float = 0.0
    weight_short: float = 0.0
    uptime_long: float = 0.0
    weight_long: float = 0.0
    drops_short: float = 0.0
    drops: int = 0
    up_hours: float = 0.0
    proven_hours: float = 0.0

    @property
    def flipped(self) -> bool:
        """It was seen down at least once, so that its age is that of a spell and not of our watch."""
        return self.drops > 0 or self.weight_long > self.uptime_long + 1e-9 or not self.up


def hours_up(record: PoolRecord, now: datetime) -> float:
    """How long it has been up, if it is: one last seen down rose since then, half of that time ago on average."""
    if record.up:
        return max(0.0, (now - record.since).total_seconds() / 3600)
    return max(0.0, (now - record.seen_at).total_seconds() / 7200)


def first_seen(at: datetime, *, up: bool) -> PoolRecord:
    return PoolRecord(seen_at=at, up=up, since=at)


def seen(record: PoolRecord | None, at: datetime, *, up: bool, throughout: bool = False) -> PoolRecord:
    """The record after one more look; a look that is older than the last one changes nothing.

    `throughout`: an instance ran there since the last look, so that no fall was missed.
    """
    if record is None:
        return first_seen(at, up=up)
    hours = (at - record.seen_at).total_seconds() / 3600
    if hours < 0:
        return record
    short, long = math.exp(-hours / SHORT_HOURS), math.exp(-hours / LONG_HOURS)
    was_up = float(record.up)
    dropped = record.up and not up
    proven = record.proven_hours + (hours if throughout else min(hours, VOUCHED_HOURS))
    return replace(
        record,
        seen_at=at,
        up=up,
        since=record.since if record.up == up else at,
        uptime_short=record.uptime_short * short + was_up * (1 - short),
        weight_short=record.weight_short * short + (1 - short),
        uptime_long=record.uptime_long * long + was_up * (1 - long),
        weight_long=record.weight_long * long + (1 - long),
        drops_short=record.drops_short * short + float(dropped),
        drops=record.drops + int(dropped),
        up_hours=record.up_hours + hours * was_up,
        proven_hours=proven if record.up and up else 0.0,
    )
