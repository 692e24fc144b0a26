"""Spot prices: reports and fetched history in, current prices and step functions out.

Rows have a source: the tenant whose agents reported them, or NULL for what the server fetched or imported. A reader
sees its own and NULL, if its account names the zones as the server's prices do (ruling S7). Of a constant run only the
first and the newest row are kept (ruling S12); the newest row of every pool and source is always exact, hence the key
query answers as if every report had been stored, in whatever order they came. The limit of compression: a late report
that contradicts the inside of a run splits it at the rows that are left, since what was compressed away cannot come
back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from spotguard.domain.clock import EARLIEST
from spotguard.domain.ids import ClientId, PoolId
from spotguard.domain.money import ZERO
from spotguard.domain.pools import LINUX, Pool, parse_pool_id
from spotguard.ports.cloud import PriceChange
from spotguard.store.batches import batch_of, batched
from spotguard.store.pools import ensure_pools, known_to, of_ids, pool_of, strange_to
from spotguard.store.prepared import Prepared
from spotguard.store.price_merge import merge_points, replace_from
from spotguard.store.price_runs import Point, Step, confirmed, steps_of
from spotguard.store.tables import spot_pools, spot_price_snapshots

CURRENT = timedelta(hours=1)  # the specification's key query looks this far back
FETCHED_WINS = timedelta(minutes=30)  # a fetched price this fresh stands before a tenant's own report

_s = spot_price_snapshots.c


@dataclass(frozen=True)
class PoolPrice:
    """A pool and its price now; without a report within the hour the price is unknown, never guessed."""

    pool: Pool
    price: Decimal | None
    captured_at: datetime | None


def record_report(
    tx: Connection,
    now: datetime,
    client_id: ClientId | None,
    observed_at: datetime,
    prices: Sequence[tuple[PoolId, Decimal]],
) -> None:
    """One report of one source, of any age and in any order; the same again changes nothing.

    A pool is made when it is first named. Prices were validated at the edge (`parse_price`).
    """
    reported: dict[PoolId, Decimal] = {}
    for pool_id, price in prices:
        reported[pool_id] = max(price, reported.get(pool_id, price))
    if not reported:
        return
    newest = _newest_rows(tx, client_id, list(reported))
    ensure_pools(tx, now, [parse_pool_id(pool_id) for pool_id in reported if pool_id not in newest])
    advances: dict[int, PoolId] = {}
    inserts: list[PoolId] = []
    late: list[PoolId] = []
    for pool_id, price in reported.items():
        last = newest.get(pool_id)
        if last is None or last.captured_at is None or last.captured_at < observed_at:
            if last is not None and last.price == last.price_before == price:
                advances[last.id] = pool_id
            else:
                inserts.append(pool_id)
        elif (last.captured_at, last.price) != (observed_at, price):
            late.append(pool_id)
    if inserts:
        tx.execute(_INSERT, [_row(pool_id, reported[pool_id], observed_at, client_id) for pool_id in inserts])
    late += _advance(tx, advances, observed_at)
    if late:
        merge_points(tx, client_id, {pool_id: [(observed_at, reported[pool_id])] for pool_id in late})


def record_changes(tx: Connection, now: datetime, changes: Sequence[PriceChange]) -> None:
    """What EC2 itself says, at exact change times; for every tenant.

    For each pool that it names the answer is complete from its first change there until `now`: it replaces what was
    known of that time, and the last price holds at `now` (a row of its own, so that it counts as current).
    """
    answer: dict[PoolId, list[Point]] = {}
    for change in changes:
        answer.setdefault(change.pool.id, []).append((change.at, change.usd_per_hour))
    ensure_pools(tx, now, {change.pool.id: change.pool for change in changes}.values())
    replace_from(tx, {pool_id: _until(now, points) for pool_id, points in answer.items()}, until=now)


def _until(now: datetime, changes: Sequence[Point]) -> list[Point]:
    points = confirmed(sorted(changes))
    last_at, last_price = points[-1]
    return [*points, (now, last_price)] if last_at < now else points


def current_prices(
    tx: Connection,
    now: datetime,
    client_id: ClientId | None,
    instance_types: Sequence[str],
    region: str,
    *,
    product: str = LINUX,
) -> list[PoolPrice]:
    """The specification's key query, scoped: every pool of these types, cheapest first, unknown prices last.

    What the server fetched within `FETCHED_WINS` stands before the tenant's own report, else the newest counts.
    """
    asked = {
        "client": client_id,
        "region": region,
        "product": product,
        "since": now - CURRENT,
        "fresh": now - FETCHED_WINS,
    }
    types = list(dict.fromkeys(instance_types))
    found = _read(tx, _CURRENT, asked, types)
    if client_id is not None and region in strange_to(tx, client_id, [one.pool for one in found]):
        found = _read(tx, _CURRENT_OWN, asked, types)
    return sorted(found, key=_cheapest_first)


def _read(
    tx: Connection, statement: Prepared, asked: dict[str, Any], types: Sequence[str]
) -> list[PoolPrice]:
    return [
        PoolPrice(pool_of(row), row.price, row.captured_at)
        for some in batched(types)
        for row in statement.rows(tx, asked | some)
    ]


def _cheapest_first(one: PoolPrice) -> tuple[bool, Decimal, PoolId]:
    return one.price is None, one.price or ZERO, one.pool.id


def prices_known_to(
    tx: Connection, now: datetime, client_id: ClientId, instance_types: Sequence[str], region: str
) -> list[PoolPrice]:
    """The same without pools that only another tenant has ever named: no zone is taken from a stranger's word."""
    found = current_prices(tx, now, client_id, instance_types, region)
    unpriced = [one.pool.id for one in found if one.price is None]
    strange = set(unpriced) - known_to(tx, client_id, unpriced) if unpriced else set()
    return [one for one in found if one.pool.id not in strange]


def price_steps(
    tx: Connection,
    client_id: ClientId | None,
    pool_ids: Sequence[PoolId],
    since: datetime,
    until: datetime,
) -> dict[PoolId, list[Step]]:
    """Per pool the price in force at `since`, where one is known, given as of `since`; then every change before
    `until`, None where nobody confirmed the last one for `PRICE_HOLDS`. The tenant's own reports stand where what
    the server fetched or imported is silent.
    """
    asked = {"since": since, "until": until, "client": client_id}
    fetched = _points(tx, _FETCHED_STEPS, pool_ids, asked)
    if client_id is not None and fetched:
        fetched = _without_strange(tx, client_id, fetched)
    own = _points(tx, _OWN_STEPS, pool_ids, asked) if client_id is not None else {}
    return {
        pool_id: _within(since, until, steps_of(fetched.get(pool_id, []), own.get(pool_id, [])))
        for pool_id in pool_ids
    }


def _without_strange(
    tx: Connection, client_id: ClientId, fetched: Mapping[str, list[Point]]
) -> dict[str, list[Point]]:
    named = of_ids(tx, [PoolId(pool_id) for pool_id in fetched])
    strange = strange_to(tx, client_id, named)
    left_out = {pool.id for pool in named if pool.region in strange}
    return {pool_id: points for pool_id, points in fetched.items() if pool_id not in left_out}


def fetched_until(tx: Connection, pool_ids: Sequence[PoolId]) -> dict[PoolId, datetime]:
    """Up to when the server itself knows the prices of these pools; a pool it never fetched is absent."""
    return {row.pool_id: row.until for some in batched(pool_ids) for row in _FETCHED_UNTIL.rows(tx, some)}


def _newest_rows(
    tx: Connection, client_id: ClientId | None, pool_ids: Sequence[PoolId]
) -> Mapping[str, Row[Any]]:
    """Of every known pool the newest row of this source, with the price of the one before it."""
    statement = _NEWEST_FETCHED if client_id is None else _NEWEST_OWN
    found: dict[str, Row[Any]] = {}
    for some in batched(pool_ids):
        found |= {row.pool: row for row in statement.rows(tx, some | {"client": client_id})}
    return found


def _advance(tx: Connection, rows: Mapping[int, PoolId], at: datetime) -> Iterable[PoolId]:
    """Moves the newest row of each constant run on. Gives the pools to merge when somebody else was first."""
    moved = sum(_ADVANCE.change(tx, some | {"at": at}) for some in batched(list(rows)))
    return () if moved == len(rows) else rows.values()


def _row(pool_id: PoolId, price: Decimal, at: datetime, client_id: ClientId | None) -> dict[str, Any]:
    return {"pool_id": pool_id, "price": price, "captured_at": at, "client_id": client_id}


def _points(
    tx: Connection, steps: Prepared, pool_ids: Sequence[PoolId], asked: dict[str, Any]
) -> dict[str, list[Point]]:
    points: dict[str, list[Point]] = {}
    for some in batched(list(dict.fromkeys(pool_ids))):
        for row in steps.rows(tx, asked | some):
            points.setdefault(row.pool_id, []).append((row.captured_at, row.price))
    return points


def _within(since: datetime, until: datetime, steps: list[Step]) -> list[Step]:
    """The steps after `since`, and as of `since` the last one up to it: the same whichever row of its run was kept."""
    past = [price for at, price in steps if at <= since]
    in_force = [(since, price) for price in past[-1:] if price is not None]
    return in_force + [step for step in steps[len(past) :] if step[0] < until]


def _newest_statement(source: Any) -> sa.Select[Any]:
    def newest(wanted: str, nth: int) -> sa.ScalarSelect[Any]:
        inner = spot_price_snapshots.alias(f"newest_{nth}")
        found = sa.select(inner.c[wanted]).where(inner.c.pool_id == spot_pools.c.id, source(inner))
        return (
            found.order_by(inner.c.captured_at.desc())
            .limit(1)
            .offset(nth)
            .correlate(spot_pools)
            .scalar_subquery()
        )

    return (
        sa.select(
            spot_pools.c.id.label("pool"),
            _s.id,
            _s.price,
            _s.captured_at,
            newest("price", 1).label("price_before"),
        )
        .select_from(spot_pools.outerjoin(spot_price_snapshots, _s.id == newest("id", 0)))
        .where(spot_pools.c.id.in_(batch_of(spot_pools.c.id)))
    )


def _steps_statement(source: Any) -> sa.Select[Any]:
    inner = spot_price_snapshots.alias("before")
    in_force = (
        sa.select(sa.func.max(inner.c.captured_at))
        .where(
            inner.c.pool_id == spot_pools.c.id, source(inner), inner.c.captured_at <= sa.bindparam("since")
        )
        .correlate(spot_pools)
        .scalar_subquery()
    )
    return (
        sa.select(_s.pool_id, _s.captured_at, _s.price)
        .select_from(spot_pools.join(spot_price_snapshots, _s.pool_id == spot_pools.c.id))
        .where(
            spot_pools.c.id.in_(batch_of(spot_pools.c.id)),
            source(spot_price_snapshots),
            _s.captured_at >= sa.func.coalesce(in_force, sa.literal(EARLIEST, _s.captured_at.type)),
            _s.captured_at < sa.bindparam("until"),
        )
        .order_by(_s.pool_id, _s.captured_at, _s.price)
    )


def _fetched(table: Any) -> sa.ColumnElement[bool]:
    return table.c.client_id.is_(None)  # type: ignore[no-any-return]


def _own(table: Any) -> sa.ColumnElement[bool]:
    return table.c.client_id == sa.bindparam("client")  # type: ignore[no-any-return]


def _seen_by_all(table: Any) -> sa.ColumnElement[bool]:
    return sa.or_(_fetched(table), _own(table))


def _current_statement(seen: Any) -> sa.Select[Any]:
    wanted = sa.and_(
        spot_pools.c.instance_type.in_(batch_of(spot_pools.c.instance_type)),
        spot_pools.c.region == sa.bindparam("region"),
        spot_pools.c.product == sa.bindparam("product"),
    )
    wins = sa.and_(_s.client_id.is_(None), _s.captured_at >= sa.bindparam("fresh"))
    ranked = (
        sa.select(
            _s.pool_id,
            _s.price,
            _s.captured_at,
            sa.func.row_number()
            .over(
                partition_by=_s.pool_id,
                order_by=(sa.case((wins, 0), else_=1), _s.captured_at.desc(), _s.price.desc()),
            )
            .label("rn"),
        )
        .where(
            _s.pool_id.in_(sa.select(spot_pools.c.id).where(wanted)),
            _s.captured_at >= sa.bindparam("since"),
            seen(spot_price_snapshots),
        )
        .subquery("sps")
    )
    here = sa.and_(ranked.c.pool_id == spot_pools.c.id, ranked.c.rn == 1)
    return (
        sa.select(
            spot_pools.c.instance_type,
            spot_pools.c.az,
            spot_pools.c.az_id,
            spot_pools.c.product,
            ranked.c.price,
            ranked.c.captured_at,
        )
        .select_from(spot_pools.outerjoin(ranked, here))
        .where(wanted)
    )


_INSERT = sa.insert(spot_price_snapshots)
_ADVANCE = Prepared(
    sa.update(spot_price_snapshots)
    .where(_s.id.in_(batch_of(_s.id)), _s.captured_at < sa.bindparam("at"))
    .values(captured_at=sa.bindparam("at"))
)
_NEWEST_OWN = Prepared(_newest_statement(_own))
_NEWEST_FETCHED = Prepared(_newest_statement(_fetched))
_FETCHED_STEPS = Prepared(_steps_statement(_fetched))
_OWN_STEPS = Prepared(_steps_statement(_own))
_CURRENT = Prepared(_current_statement(_seen_by_all))
_CURRENT_OWN = Prepared(_current_statement(_own))
_FETCHED_UNTIL = Prepared(
    sa.select(_s.pool_id, sa.func.max(_s.captured_at, type_=_s.captured_at.type).label("until"))
    .where(_s.pool_id.in_(batch_of(_s.pool_id)), _s.client_id.is_(None))
    .group_by(_s.pool_id)
)
