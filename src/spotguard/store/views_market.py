"""Pools with their present price, as one tenant sees them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spotguard.domain.errors import NotFound
from spotguard.domain.ids import ClientId, PoolId
from spotguard.store import prices
from spotguard.store.pools import known_for, known_to
from spotguard.store.tables import spot_pools
from spotguard.store.views_paging import Asked, Page, by_id


def pools(
    tx: Connection,
    now: datetime,
    client_id: ClientId,
    asked: Asked,
    *,
    region: str | None = None,
    instance_type: str | None = None,
) -> Page:
    """By id; dicts of the columns with `name`, `price` and `captured_at` (None: unknown)."""
    query = sa.select(spot_pools).where(known_for(client_id))
    if region is not None:
        query = query.where(spot_pools.c.region == region)
    if instance_type is not None:
        query = query.where(spot_pools.c.instance_type == instance_type)
    page = by_id(tx, query, spot_pools.c.id, asked, falling=False)
    known = _current(tx, now, client_id, page.rows)
    rows = []
    for row in page.rows:
        price = known.get(row.id)
        rows.append(
            {
                **row._mapping,  # noqa: SLF001 -- SQLAlchemy's public name for a row as a mapping
                "name": row.pool_name,
                "price": price.price if price else None,
                "captured_at": price.captured_at if price else None,
            }
        )
    return Page(rows, page.next_cursor)


def _current(
    tx: Connection, now: datetime, client_id: ClientId, rows: list[Any]
) -> dict[str, prices.PoolPrice]:
    asked: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        asked.setdefault((row.region, row.product), set()).add(row.instance_type)
    found: dict[str, prices.PoolPrice] = {}
    for (region, product), types in asked.items():
        for one in prices.current_prices(tx, now, client_id, sorted(types), region, product=product):
            found[one.pool.id] = one
    return found


def known_pool(tx: Connection, client_id: ClientId, pool_id: PoolId) -> PoolId:
    """`NotFound` for a pool that this tenant does not know."""
    if not known_to(tx, client_id, [pool_id]):
        raise NotFound("no such pool is known")
    return pool_id
