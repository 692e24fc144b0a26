"""Run compression of reported prices (ruling S12), pure: what is kept of a pool's reports, and what they tell.

A price holds until the next report, but for no longer than `PRICE_HOLDS` when that says another price: what nobody
confirmed is unknown. Between two reports of the same price it held.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise, zip_longest

from spotguard.planning.metering import PRICE_HOLDS

Point = tuple[datetime, Decimal]  # when it was reported, USD per hour
Step = tuple[datetime, Decimal | None]  # from when it holds; None: from then on nothing is known
_JUST_BEFORE = timedelta(microseconds=1)


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


def confirmed(points: Sequence[Point], longest: timedelta | None = None) -> list[Point]:
    """A history of changes as if every price in it had been reported again just before the next one.

    EC2's price history names changes only: between two of them, ascending in time, the first price held. `longest`:
    a gap above it is a hole in the history.
    """
    told = list(points[:1])
    for (since, price), (at, other) in pairwise(points):
        if price != other and at - since > PRICE_HOLDS and (longest is None or at - since <= longest):
            told.append((at - _JUST_BEFORE, price))
        told.append((at, other))
    return told


def steps_of(fetched: Sequence[Point], own: Sequence[Point]) -> list[Step]:
    """The step function that a tenant sees: what the server fetched or imported, and its own reports elsewhere."""
    return changes_of(_held(merged_sources(fetched, own)))


def _held(points: Sequence[Point]) -> Iterator[Step]:
    """Ascending in time; after a price that nobody confirmed in time: unknown."""
    for point, following in zip_longest(points, points[1:]):
        yield point
        if following is None or not _holds(point, following):
            yield point[0] + PRICE_HOLDS, None


def _holds(point: Point, following: Point) -> bool:
    return following[1] == point[1] or following[0] - point[0] <= PRICE_HOLDS


def changes_of(points: Iterable[Step]) -> list[Step]:
    """A step function: from each time on the price holds; consecutive ones differ."""
    steps: list[Step] = []
    for point in points:
        if not steps or steps[-1][1] != point[1]:
            steps.append(point)
    return steps


def merged_sources(fetched: Sequence[Point], own: Sequence[Point]) -> list[Point]:
    """What the server fetched or imported, and the tenant's own reports where that is silent. All ascending in time."""
    times = [at for at, _ in fetched]

    def is_told(at: datetime) -> bool:
        following = bisect_left(times, at)
        if following == len(times) or times[following] == at:
            return following < len(times)
        return following > 0 and _holds(fetched[following - 1], fetched[following])

    return sorted([*fetched, *(point for point in own if not is_told(point[0]))])
