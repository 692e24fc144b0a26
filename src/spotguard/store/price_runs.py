"""Run compression of reported prices (ruling S12), pure: what is kept of a pool's reports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

Point = tuple[datetime, Decimal]  # when it was reported, USD per hour


def compressed(points: Iterable[Point]) -> list[Point]:
    """The first and the newest report of each constant run, ascending in time.

    Of two prices for one instant the higher stands, in whatever order they came: nobody is promised too much.
    """
    kept: list[Point] = []
    # ascending, so that the higher of two prices for one instant replaces the lower in the dict
    for point in dict(sorted(points)).items():
        if len(kept) > 1 and kept[-1][1] == kept[-2][1] == point[1]:
            kept.pop()
        kept.append(point)
    return kept


def changes_of(points: Iterable[Point]) -> list[Point]:
    """A step function: from each time on the price holds; consecutive ones differ."""
    steps: list[Point] = []
    for point in points:
        if not steps or steps[-1][1] != point[1]:
            steps.append(point)
    return steps


def merged_sources(fetched: Sequence[Point], own: Sequence[Point]) -> list[Point]:
    """What the server fetched or imported, and the tenant's own reports before and after it."""
    if not fetched:
        return list(own)
    first, last = fetched[0][0], fetched[-1][0]
    before = [point for point in own if point[0] < first]
    return [*before, *fetched, *(point for point in own if point[0] > last)]
