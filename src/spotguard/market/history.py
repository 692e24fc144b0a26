"""The price history of many pools in memory: per pool the seconds of its changes and the exact prices from then on."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from spotguard.domain.clock import LATEST
from spotguard.domain.ids import PoolId
from spotguard.domain.pools import Pool
from spotguard.market.price_files import read_price_history
from spotguard.market.rows import BrokenLine, PriceRow, Progress


class Step(NamedTuple):
    """From `at` on the price is `usd_per_hour`."""

    at: datetime
    usd_per_hour: Decimal


class _Track:
    """One pool: times ascending, whole seconds since 1970, each with another price than the one before."""

    __slots__ = ("pool", "prices", "seconds")

    def __init__(self, pool: Pool, rows: list[tuple[int, Decimal]]) -> None:
        self.pool = pool
        self.seconds = array("q")
        self.prices: list[Decimal] = []
        rows.sort()  # of two prices for one second the higher stands, in whatever order they came
        for at, price in rows:
            if self.seconds and self.seconds[-1] == at:
                self.seconds.pop()
                self.prices.pop()
            if not self.prices or self.prices[-1] != price:
                self.seconds.append(at)
                self.prices.append(price)

    def steps(self, first: int, last: int) -> list[Step]:
        return [
            Step(datetime.fromtimestamp(self.seconds[i], UTC), self.prices[i]) for i in range(first, last)
        ]


class PriceHistory:
    """Step functions, by pool. AWS repeats unchanged prices about daily: only changes are kept.

    Pools are told apart by their id (type, zone, product); `source` says where the prices come from.
    """

    def __init__(self, rows: Iterable[PriceRow], source: str) -> None:
        pools: dict[PoolId, Pool] = {}
        by_pool: defaultdict[PoolId, list[tuple[int, Decimal]]] = defaultdict(list)
        for pool, at, price in rows:
            pool_id = pool.id
            by_pool[pool_id].append((int(at.timestamp()), price))
            pools[pool_id] = pool
        self.source = source
        # The last row of a file is often an unchanged price, which is dropped: the span still ends there.
        ends = [(min(rows)[0], max(rows)[0]) for rows in by_pool.values()]
        self.span: tuple[datetime, datetime] | None = None
        if ends:
            self.span = (_moment(min(first for first, _ in ends)), _moment(max(last for _, last in ends)))
        self._tracks = {pool_id: _Track(pools[pool_id], by_pool[pool_id]) for pool_id in sorted(pools)}

    def __len__(self) -> int:
        """Price changes, the first price of each pool included."""
        return sum(len(track.prices) for track in self._tracks.values())

    def pools(self) -> tuple[Pool, ...]:
        return tuple(track.pool for track in self._tracks.values())

    def pool(self, pool_id: PoolId) -> Pool | None:
        track = self._tracks.get(pool_id)
        return None if track is None else track.pool

    def changes_of(self, pool: Pool) -> tuple[Sequence[int], Sequence[Decimal]]:
        """Whole seconds since 1970, ascending, and the price from each on; both empty for an unknown pool."""
        track = self._tracks.get(pool.id)
        return ((), ()) if track is None else (track.seconds, track.prices)

    def price_at(self, pool: Pool, at: datetime) -> Decimal | None:
        """USD per hour at this instant; None before the pool's first price, and for an unknown pool."""
        track = self._tracks.get(pool.id)
        index = bisect_right(track.seconds, _second(at)) - 1 if track is not None else -1
        return None if track is None or index < 0 else track.prices[index]

    def steps(self, pool: Pool, since: datetime, until: datetime) -> list[Step]:
        """The price in force at `since`, where there is one, and every change after it and before `until`."""
        track = self._tracks.get(pool.id)
        if track is None:
            return []
        first = max(0, bisect_right(track.seconds, _second(since)) - 1)
        return track.steps(first, bisect_left(track.seconds, _second_after(until)))

    def changes_between(
        self,
        since: datetime,
        until: datetime,
        pools: Sequence[Pool] | None = None,
        *,
        with_last_before: bool = False,
    ) -> list[PriceRow]:
        """Changes with `since <= at < until`, oldest first; on demand with each pool's last change before `since`."""
        found: list[tuple[int, PoolId, int]] = []
        first_second, last_second = _second_after(since), _second_after(until)
        for pool_id in self._tracks if pools is None else [pool.id for pool in pools]:
            track = self._tracks.get(pool_id)
            if track is not None:
                first = bisect_left(track.seconds, first_second)
                first = max(0, first - 1) if with_last_before else first
                last = bisect_left(track.seconds, last_second)
                found += [(track.seconds[index], pool_id, index) for index in range(first, last)]
        found.sort()
        return [self._row(second, pool_id, index) for second, pool_id, index in found]

    def _row(self, second: int, pool_id: PoolId, index: int) -> PriceRow:
        track = self._tracks[pool_id]
        return PriceRow(track.pool, _moment(second), track.prices[index])

    def next_change(self, pool: Pool, after: datetime) -> Step | None:
        """The first change later than `after`."""
        track = self._tracks.get(pool.id)
        if track is None:
            return None
        index = bisect_right(track.seconds, _second(after))
        return next(iter(track.steps(index, min(index + 1, len(track.prices)))), None)

    def of_region(self, region: str) -> PriceHistory:
        """The same history, of one region alone."""
        return self._part(lambda pool: pool.region == region)

    def of_types(self, instance_types: Collection[str]) -> PriceHistory:
        """The same history, of these instance types alone."""
        return self._part(lambda pool: pool.instance_type in instance_types)

    def _part(self, wanted: Callable[[Pool], bool]) -> PriceHistory:
        part = PriceHistory((), self.source)
        part.span = self.span
        part._tracks = {key: track for key, track in self._tracks.items() if wanted(track.pool)}
        return part


def load_price_history(
    paths: Sequence[Path], on_progress: Progress | None = None, *, not_after: datetime = LATEST
) -> tuple[PriceHistory, list[BrokenLine]]:
    """All rows of all files as one history, whose source names the files; and the lines left out."""
    broken: list[BrokenLine] = []

    def rows() -> Iterator[PriceRow]:
        for path in paths:
            for batch in read_price_history(path, on_progress, not_after=not_after):
                broken.extend(batch.broken)
                yield from batch.rows

    return PriceHistory(rows(), ", ".join(path.name for path in paths)), broken


def _second(at: datetime) -> int:
    return int(at.timestamp())


def _second_after(at: datetime) -> int:
    """The first whole second not before `at`."""
    return _second(at) + (at.microsecond > 0)


def _moment(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)
