"""What a market file yields: rows, broken lines, and batches of both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from spotguard.domain.pools import Pool

Progress = Callable[[int, int], None]  # bytes of the file read so far, bytes in all


class PriceRow(NamedTuple):
    """From `at` (UTC) on the pool costs `usd_per_hour`, until its next row."""

    pool: Pool
    at: datetime
    usd_per_hour: Decimal


class BrokenLine(NamedTuple):
    """A line that was left out, and why. Lines count from 1; `cut_off`: it is the last of a file that breaks off."""

    line_number: int
    reason: str
    cut_off: bool = False


@dataclass(frozen=True)
class Batch:
    """Rows in the order of the file, some ten thousand at a time, and the lines between them that were broken."""

    rows: list[PriceRow] = field(default_factory=list)
    broken: list[BrokenLine] = field(default_factory=list)
