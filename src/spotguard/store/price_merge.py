"""Puts prices of any age into their place among a pool's kept rows: the slow, exact way, for late reports and bulk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from spotguard.domain.clock import EARLIEST, LATEST
from spotguard.domain.ids import ClientId, PoolId
from spotguard.store.prepared import Prepared
from spotguard.store.price_runs import Point, compressed
from spotguard.store.tables import spot_price_snapshots

_s = spot_price_snapshots.c
_INSERT = sa.insert(spot_price_snapshots)
_DELETE = sa.delete(spot_price_snapshots).where(_s.id == sa.bindparam("row"))


def merge_points(
    tx: Connection, source: ClientId | None, points: Mapping[PoolId, Sequence[Point]]
) -> set[tuple[PoolId, Point]]:
    """Adds the points to what is kept and compresses anew where they fall. Gives the rows made."""
    made: list[dict[str, Any]] = []
    gone: list[dict[str, Any]] = []
    for pool_id, new in sorted(points.items()):  # locked in one order by everybody
        rows = _window(tx, source, pool_id, min(new)[0], max(new)[0])
        kept = compressed([*_points(rows), *new])
        _difference(source, pool_id, rows, kept, made, gone)
    _apply(tx, made, gone)
    return {(row["pool_id"], (row["captured_at"], row["price"])) for row in made}


def replace_from(tx: Connection, answers: Mapping[PoolId, Sequence[Point]], *, until: datetime) -> int:
    """Fetched rows from each pool's first point until `until` become these points; later and earlier ones stay."""
    made: list[dict[str, Any]] = []
    gone: list[dict[str, Any]] = []
    for pool_id, answer in sorted(answers.items()):
        first = min(answer)[0]
        rows = _window(tx, None, pool_id, first, max(until, max(answer)[0]))
        around = [point for point in _points(rows) if not first <= point[0] <= until]
        _difference(None, pool_id, rows, compressed([*around, *answer]), made, gone)
    _apply(tx, made, gone)
    return len(made)


def _window(
    tx: Connection, source: ClientId | None, pool_id: PoolId, first: datetime, last: datetime
) -> Sequence[Row[Any]]:
    """The rows from `first` to `last`, and two on either side: enough to know first and newest of a run.

    As they are now, and locked: a row that another process has moved on since this transaction began would else be
    judged by its former time, and deleted with the newer price that it holds.
    """
    statement = _WINDOW_FETCHED if source is None else _WINDOW_OWN
    asked = {
        "pool": pool_id,
        "client": source,
        "first": first,
        "last": last,
        "earliest": EARLIEST,
        "latest": LATEST,
    }
    return statement.rows(tx, asked)


def _points(rows: Iterable[Row[Any]]) -> list[Point]:
    return [(row.captured_at, row.price) for row in rows]


def _difference(
    source: ClientId | None,
    pool_id: PoolId,
    rows: Sequence[Row[Any]],
    kept: Sequence[Point],
    made: list[dict[str, Any]],
    gone: list[dict[str, Any]],
) -> None:
    missing = dict.fromkeys(kept)
    for row in rows:
        point = (row.captured_at, row.price)
        if point in missing:
            del missing[point]
        else:
            gone.append({"row": row.id})
    made.extend(
        {"pool_id": pool_id, "price": price, "captured_at": at, "client_id": source} for at, price in missing
    )


def _apply(tx: Connection, made: list[dict[str, Any]], gone: list[dict[str, Any]]) -> None:
    if gone:
        tx.execute(_DELETE, gone)
    if made:
        tx.execute(_INSERT, made)


def _window_statement(source: Any) -> sa.Select[Any]:
    def second(bound: sa.ColumnElement[bool], order: Any) -> sa.ScalarSelect[Any]:
        found = sa.select(_s.captured_at).where(_s.pool_id == sa.bindparam("pool"), source, bound)
        return found.order_by(order).limit(1).offset(1).correlate(None).scalar_subquery()

    before = second(_s.captured_at < sa.bindparam("first"), _s.captured_at.desc())
    after = second(_s.captured_at > sa.bindparam("last"), _s.captured_at)
    return (
        sa.select(_s.id, _s.captured_at, _s.price)
        .where(
            _s.pool_id == sa.bindparam("pool"),
            source,
            _s.captured_at >= sa.func.coalesce(before, sa.bindparam("earliest", type_=_s.captured_at.type)),
            _s.captured_at <= sa.func.coalesce(after, sa.bindparam("latest", type_=_s.captured_at.type)),
        )
        .order_by(_s.captured_at, _s.id)
        .with_for_update()  # SQLite has one writer and ignores it
    )


_WINDOW_OWN = Prepared(_window_statement(_s.client_id == sa.bindparam("client")))
_WINDOW_FETCHED = Prepared(_window_statement(_s.client_id.is_(None)))
