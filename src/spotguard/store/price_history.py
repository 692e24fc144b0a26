"""The fetched price history of a region as the values that a replay reads: what `prices fetch` and `import` stored."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spotguard.domain.ids import PoolId
from spotguard.domain.pools import LINUX, parse_pool_id
from spotguard.market.history import PriceHistory
from spotguard.market.rows import PriceRow
from spotguard.store.prepared import Prepared
from spotguard.store.prices import fetched_until, price_steps
from spotguard.store.tables import spot_pools

LONGEST = timedelta(days=365)

_OF_REGION = Prepared(
    sa.select(spot_pools.c.id)
    .where(spot_pools.c.region == sa.bindparam("region"), spot_pools.c.product == sa.bindparam("product"))
    .order_by(spot_pools.c.id)
)


def fetched_history(tx: Connection, now: datetime, region: str) -> PriceHistory:
    """Of the last year, Linux alone; no pools where nothing was fetched. What tenants reported is left out."""
    asked = {"region": region, "product": LINUX}
    pools = [PoolId(row.id) for row in _OF_REGION.rows(tx, asked)]
    return PriceHistory(_rows(tx, now, pools), f"the database's prices of {region}")


def _rows(tx: Connection, now: datetime, pools: list[PoolId]) -> Iterator[PriceRow]:
    """The last price is said again at the moment up to which it is known, so that the history ends there."""
    ends = fetched_until(tx, pools)
    for pool_id, steps in price_steps(tx, None, list(ends), now - LONGEST, now).items():
        pool = parse_pool_id(pool_id)
        known = [(at, price) for at, price in steps if price is not None]
        yield from (PriceRow(pool, at, price) for at, price in known)
        if known and ends[pool_id] > known[-1][0]:
            yield PriceRow(pool, ends[pool_id], known[-1][1])
