"""Availability files as training data: when each pool of a market was up, look by look.

Columns `Timestamp, AvailabilityZone, InstanceType, Available` (1: a launch succeeds); other columns are not read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from spotguard.domain.clock import parse_time
from spotguard.domain.errors import InvalidInput
from spotguard.domain.pools import Pool
from spotguard.market.files import numbered_lines
from spotguard.market.price_csv import columns_of, reason_of, split

COLUMNS = ("Timestamp", "AvailabilityZone", "InstanceType", "Available")


@dataclass(frozen=True)
class Look:
    """All pools of one file at one moment."""

    at: datetime
    up: dict[Pool, bool]


@dataclass(frozen=True)
class Trace:
    """One file, its looks in order of time."""

    name: str
    looks: tuple[Look, ...]

    def part(self, first: float, last: float) -> Trace:
        """Looks from one share of them to another, in order of time."""
        count = len(self.looks)
        return Trace(self.name, self.looks[math.ceil(first * count) : math.ceil(last * count)])


def read(path: Path) -> Trace:
    """`InvalidInput` names file and line of what cannot be read."""
    looks: dict[datetime, dict[Pool, bool]] = {}
    for number, (told_at, az, instance_type, up) in _rows(path):
        try:
            looks.setdefault(parse_time(told_at), {})[Pool(instance_type, az)] = _up(up)
        except (ValueError, InvalidInput) as error:
            raise InvalidInput(f"{path.name}, line {number}: {error}") from error
    if not looks:
        raise InvalidInput(f"{path.name} has no looks")
    return Trace(_name(path), tuple(Look(at, looks[at]) for at in sorted(looks)))


@dataclass(frozen=True)
class Found:
    """What is in a folder and in its folder `availability`, by name: files of availability, and all others."""

    used: tuple[Path, ...]
    left_out: tuple[Path, ...]


def found(folder: Path) -> Found:
    """`InvalidInput` names the file that nobody can read."""
    every = sorted(path for place in (folder, folder / "availability") for path in _files(place))
    used = tuple(path for path in every if ".csv" in path.name and _has_columns(path))
    return Found(tuple(sorted(used)), tuple(path for path in every if path not in used))


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*") if path.is_file()]


def _has_columns(path: Path) -> bool:
    """`InvalidInput` for what is neither text nor gzip data; all else is a file of something else."""
    try:
        _, first = next(numbered_lines(path), (1, ""))
        return set(COLUMNS) <= set(split(first))
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error}") from error


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The wanted cells of each line, with its number, in bounded memory whatever the file holds."""
    lines = numbered_lines(path)
    _, first = next(lines, (1, ""))
    try:
        wanted = columns_of(split(first), COLUMNS)
    except InvalidInput as error:
        raise InvalidInput(f"{path.name}, line 1: {error}") from error
    for number, line in lines:
        if not line.strip():
            continue
        try:
            cells = split(line)
            yield number, [cells[at] for at in wanted]
        except (InvalidInput, IndexError) as error:
            raise InvalidInput(f"{path.name}, line {number}: {reason_of(error, line)}") from error


def _up(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError(f"Available is 0 or 1, not {text[:20]!r}")
    return text == "1"


def _name(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".csv")
