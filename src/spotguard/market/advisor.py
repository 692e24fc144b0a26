"""Snapshots of the Spot Instance Advisor: how often instances of a type are interrupted in a region.

Columns `snapshot_date, region, os, instance_type, interruption_bucket`; others are ignored. Buckets: 0 below 5 % a
month, 1: 5–10, 2: 10–15, 3: 15–20, 4: above 20 %.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from spotguard.domain.errors import InvalidInput
from spotguard.market.cells import moment
from spotguard.market.files import numbered_lines
from spotguard.market.price_csv import columns_of, reason_of, split

COLUMNS = ("snapshot_date", "region", "os", "instance_type", "interruption_bucket")
BUCKETS = ("0", "1", "2", "3", "4")


@dataclass(frozen=True)
class Snapshot:
    """Known from `at` on: (region, type) → bucket, of Linux."""

    at: datetime
    buckets: dict[tuple[str, str], int]


def read_advisor(path: Path) -> list[Snapshot]:
    """Ascending in time. `InvalidInput` names the line of what cannot be read."""
    found: defaultdict[datetime, dict[tuple[str, str], int]] = defaultdict(dict)
    wanted: list[int] = []
    for number, line in numbered_lines(path):
        try:
            if number == 1:
                wanted = columns_of(split(line), COLUMNS)
            elif line.strip():
                cells = split(line)
                _add(found, [cells[at] for at in wanted])
        except (InvalidInput, IndexError) as error:
            raise InvalidInput(f"{path.name}, line {number}: {reason_of(error, line)}") from error
    if not found:
        raise InvalidInput(f"{path.name} holds no snapshot of Linux")
    return [Snapshot(at, found[at]) for at in sorted(found)]


def _add(found: defaultdict[datetime, dict[tuple[str, str], int]], cells: list[str]) -> None:
    dated, region, system, instance_type, bucket = cells
    if bucket not in BUCKETS:
        raise InvalidInput(f"an interruption bucket is 0 to 4, not {bucket[:20]!r}")
    if system == "Linux":
        found[moment(f"{dated}T00:00:00Z")][region, instance_type] = int(bucket)
