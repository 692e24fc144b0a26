"""Examples for the hazard: the features of each pool that is up at a look, and when it fell thereafter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spotguard.domain.pools import Pool
from spotguard.engine import features
from spotguard.engine.arrays import Flags, Floats
from spotguard.engine.records import PoolRecord, seen
from spotguard.training.traces import Trace

WARM_UP_HOURS = 24.0  # the records of a trace know nothing at its beginning
STEP_SECONDS = 1800.0
LONGEST_STEP_SECONDS = 300.0


@dataclass(frozen=True)
class Examples:
    """`table`: examples × `features.NAMES`. `fell_after`: hours until the next look that saw the pool down, infinite if
    the trace ends before; `watched`: hours until the trace's end.
    """

    region: str
    table: Floats
    fell_after: Floats
    watched: Floats

    def within(self, minutes: float) -> tuple[Flags, Flags]:
        """(fell within so many minutes, whether the trace tells)."""
        hours = minutes / 60
        fell = self.fell_after <= hours
        return fell, fell | (self.watched >= hours)


def of_trace(trace: Trace, first: float = 0.0, last: float = 1.0) -> Examples:
    """Examples of the looks between two shares of the trace. Records know all looks before."""
    looks = trace.part(0.0, last).looks
    begin = len(trace.part(0.0, first).looks)
    falls = _next_falls(trace.part(0.0, last))
    records: dict[Pool, PoolRecord] = {}
    rows, fell, watched = [], [], []
    for number, look in enumerate(looks[:-1]):
        for pool, up in look.up.items():
            records[pool] = seen(records.get(pool), look.at, up=up)
        step = (looks[number + 1].at - look.at).total_seconds()
        warm = (look.at - looks[0].at).total_seconds() / 3600 >= WARM_UP_HOURS
        if number < begin or not warm or step > LONGEST_STEP_SECONDS:
            continue
        standing = [pool for pool, up in look.up.items() if up]
        if not standing:
            continue
        rows.append(features.of_pools(standing, records, look.at))
        for pool in standing:
            hours = falls[pool][number]
            fell.append(hours)
            watched.append((looks[-1].at - look.at).total_seconds() / 3600)
    table = np.concatenate(rows) if rows else np.empty((0, len(features.NAMES)))
    region = next(iter(looks[0].up)).region
    return Examples(region, table, np.array(fell), np.array(watched))


def _next_falls(trace: Trace) -> Mapping[Pool, list[float]]:
    """By pool and look: hours until the next look at which it was down."""
    falls: dict[Pool, list[float]] = {pool: [] for look in trace.looks for pool in look.up}
    for pool, hours in falls.items():
        down_at = None
        for look in reversed(trace.looks):
            hours.append(float("inf") if down_at is None else (down_at - look.at).total_seconds() / 3600)
            if not look.up.get(pool, True):
                down_at = look.at
        hours.reverse()
    return falls


def joined(parts: list[Examples]) -> Examples:
    return Examples(
        region="+".join(sorted({part.region for part in parts})),
        table=np.concatenate([part.table for part in parts]),
        fell_after=np.concatenate([part.fell_after for part in parts]),
        watched=np.concatenate([part.watched for part in parts]),
    )
