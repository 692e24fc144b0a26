"""What a tenant's own launches, interruptions and instances showed, as an availability file: tomorrow's training data.

One row for each five minutes and pool in which something was seen: down if a launch was refused or an interruption came
within them, else up if an instance ran there or a launch succeeded. What nobody saw has no row.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TextIO

from spotguard.domain.pools import Pool
from spotguard.market.availability import COLUMNS

TICK = timedelta(minutes=5)  # examples are made of looks that are at most so far apart (training.examples)


@dataclass(frozen=True)
class Look:
    """One launch, refusal or interruption."""

    at: datetime
    pool: Pool
    up: bool


@dataclass(frozen=True)
class Run:
    """One instance that ran in a pool, from `since` until `until`."""

    pool: Pool
    since: datetime
    until: datetime


def states(looks: Sequence[Look], runs: Sequence[Run]) -> Iterator[tuple[datetime, Pool, bool]]:
    """Rows in order of time and pool; each tells of the five minutes that end with it."""
    told: dict[int, dict[Pool, bool]] = {}
    for run in runs:
        for tick in range(_tick(run.since), _floor(run.until) + 1):
            told.setdefault(tick, {})[run.pool] = True
    for look in looks:
        seen = told.setdefault(_tick(look.at), {})
        seen[look.pool] = seen.get(look.pool, True) and look.up
    for tick in sorted(told):
        at = datetime.fromtimestamp(tick * TICK.total_seconds(), UTC)
        for pool in sorted(told[tick], key=lambda pool: pool.id):
            yield at, pool, told[tick][pool]


def write(out: TextIO, rows: Iterator[tuple[datetime, Pool, bool]]) -> Mapping[str, int]:
    """As the documented columns. How many rows, and how many of them down."""
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow(COLUMNS)
    many = down = 0
    for at, pool, up in rows:
        lines.writerow((f"{at:%Y-%m-%dT%H:%M:%SZ}", pool.az, pool.instance_type, int(up)))
        many, down = many + 1, down + (not up)
    return {"rows": many, "down": down}


def _tick(at: datetime) -> int:
    """The first that is not before it."""
    return math.ceil(at.timestamp() / TICK.total_seconds())


def _floor(at: datetime) -> int:
    return math.floor(at.timestamp() / TICK.total_seconds())
