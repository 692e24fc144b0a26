"""Bulk import of price history: runs compressed file by file, known rows left alone, every transaction repeatable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy.engine import Connection

from spotguard.domain.ids import PoolId
from spotguard.domain.pools import Pool
from spotguard.market.rows import Batch, BrokenLine
from spotguard.store import ondemand
from spotguard.store.database import Database
from spotguard.store.pools import ensure_pools
from spotguard.store.price_merge import merge_points
from spotguard.store.price_runs import Point, compressed, confirmed

_ROWS_A_TRANSACTION = 20_000  # others write in between
_ROWS_IN_MEMORY = 2_000_000
_LONGEST_GAP = timedelta(days=90)  # EC2 tells no older history: a longer gap is a hole between two files


@dataclass
class Imported:
    """What came of one file. `stored` rows are new in the table; the rest repeated what was known."""

    rows: int = 0
    stored: int = 0
    broken: list[BrokenLine] = field(default_factory=list)

    @property
    def unchanged(self) -> int:
        return self.rows - self.stored


def import_history(db: Database, now: datetime, batches: Iterable[Batch]) -> Imported:
    """Rows of one file, for every tenant (`client_id` NULL). Imported again, nothing changes."""
    imported = Imported()
    runs: dict[Pool, list[Point]] = {}
    waiting = 0
    for batch in batches:
        imported.broken += batch.broken
        imported.rows += len(batch.rows)
        waiting += len(batch.rows)
        _collect(runs, batch)
        if waiting >= _ROWS_IN_MEMORY:
            imported.stored += _store(db, now, runs)
            runs, waiting = {}, 0
    imported.stored += _store(db, now, runs)
    return imported


def import_ondemand(db: Database, now: datetime, prices: Mapping[tuple[str, str], Decimal]) -> int:
    """On-demand prices by (region, instance type), for every tenant. Gives their number."""
    by_region: dict[str, dict[str, Decimal]] = {}
    for (region, instance_type), price in prices.items():
        by_region.setdefault(region, {})[instance_type] = price

    def work(tx: Connection) -> None:
        for region, of_types in by_region.items():
            ondemand.record(tx, now, None, region, of_types)

    db.write(work)
    return len(prices)


def _collect(runs: dict[Pool, list[Point]], batch: Batch) -> None:
    # the reader gives one object per pool, whose identity is cheaper to look up than its hash
    lists: dict[int, list[Point]] = {}
    for pool, at, price in batch.rows:
        points = lists.get(id(pool))
        if points is None:
            points = lists[id(pool)] = runs.setdefault(pool, [])
        points.append((at, price))


def _store(db: Database, now: datetime, runs: Mapping[Pool, Sequence[Point]]) -> int:
    stored = 0
    for part in _parts(runs):

        def work(tx: Connection, part: dict[Pool, list[Point]] = part) -> int:
            ensure_pools(tx, now, part)
            told = {pool.id: points for pool, points in part.items()}
            full = {pool_id: confirmed(points, _LONGEST_GAP) for pool_id, points in told.items()}
            made = merge_points(tx, None, full)
            return sum((pool_id, point) in made for pool_id, points in told.items() for point in points)

        stored += db.write(work)
    return stored


def _parts(runs: Mapping[Pool, Sequence[Point]]) -> Iterator[dict[Pool, list[Point]]]:
    part: dict[Pool, list[Point]] = {}
    rows = 0
    for pool in sorted(runs, key=_by_id):  # in the order of the index that the rows go into
        part[pool] = compressed(runs[pool])
        rows += len(part[pool])
        if rows >= _ROWS_A_TRANSACTION:
            yield part
            part, rows = {}, 0
    if part:
        yield part


def _by_id(pool: Pool) -> PoolId:
    return pool.id
