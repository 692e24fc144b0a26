"""When launches in spot pools succeeded: availability files, and their prices beside.

Columns `Timestamp, AvailabilityZone, InstanceType, Available` (1: a launch succeeds and an instance runs), and where
known `SpotPrice` and `OnDemandPrice`; others are ignored. A state holds until the pool's next row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from spotguard.domain.errors import InvalidInput
from spotguard.domain.money import parse_price
from spotguard.domain.pools import Pool, parse_pool_id
from spotguard.market.cells import moment
from spotguard.market.files import numbered_lines
from spotguard.market.price_csv import columns_of, reason_of, split

COLUMNS = ("Timestamp", "AvailabilityZone", "InstanceType", "Available")


@dataclass(frozen=True)
class Sighting:
    """One look at a pool. Prices None: not known."""

    at: datetime
    up: bool
    spot_usd: Decimal | None
    ondemand_usd: Decimal | None


@dataclass
class Availability:
    """Looks by pool, ascending in time."""

    looks: dict[Pool, list[Sighting]] = field(default_factory=dict)


def read_availability(paths: Sequence[Path]) -> Availability:
    """All files as one. `InvalidInput` names file and line of what cannot be read: a missing look would be a guess."""
    looks: defaultdict[Pool, list[Sighting]] = defaultdict(list)
    for path in paths:
        for pool, look in _looks(path):
            looks[pool].append(look)
    if not looks:
        raise InvalidInput("the availability files hold no looks")
    return Availability({pool: sorted(looks[pool], key=lambda look: look.at) for pool in sorted(looks)})


def _looks(path: Path) -> Iterator[tuple[Pool, Sighting]]:
    lines = numbered_lines(path)
    try:
        _, first = next(lines, (1, ""))
        header = split(first)
        wanted = columns_of(header, COLUMNS)
    except InvalidInput as error:
        raise InvalidInput(f"{path.name}, line 1: {error}") from error
    prices = [_maybe(header, name) for name in ("SpotPrice", "OnDemandPrice")]
    for number, line in lines:
        if not line.strip():
            continue
        try:
            cells = split(line)
            yield _look([cells[at] for at in wanted], [None if at is None else cells[at] for at in prices])
        except (InvalidInput, IndexError) as error:
            raise InvalidInput(f"{path.name}, line {number}: {reason_of(error, line)}") from error


def _look(cells: list[str], prices: list[str | None]) -> tuple[Pool, Sighting]:
    at, az, instance_type, up = cells
    if up not in ("0", "1"):
        raise InvalidInput(f"Available is 0 or 1, not {up[:20]!r}")
    spot, ondemand = [parse_price(text) if text else None for text in prices]
    return parse_pool_id(f"{instance_type}.{az}"), Sighting(moment(at), up == "1", spot, ondemand)


def _maybe(header: list[str], name: str) -> int | None:
    return header.index(name) if name in header else None
