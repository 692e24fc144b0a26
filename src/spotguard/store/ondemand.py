"""On-demand prices by region, type and product: what the server fetched or imported, else what the tenant reported."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spotguard.domain.ids import ClientId
from spotguard.domain.pools import LINUX
from spotguard.store.batches import batch_of, batched
from spotguard.store.prepared import Prepared
from spotguard.store.tables import ondemand_prices
from spotguard.store.upserts import insert_or_update

SERVER = "*"  # source of what the server fetched or imported; it wins, and every tenant sees it

_p = ondemand_prices.c
_SEEN = sa.select(_p.instance_type, _p.price).where(
    _p.region == sa.bindparam("region"),
    _p.product == sa.bindparam("product"),
    _p.source_client_id.in_([SERVER, sa.bindparam("client")]),
)
_ALL = _SEEN.order_by(_p.source_client_id == SERVER)  # the server's last, so that a dict keeps it
_EVERY = Prepared(_ALL)
_SOME = Prepared(_ALL.where(_p.instance_type.in_(batch_of(_p.instance_type))))
_ONE = Prepared(
    _SEEN.where(_p.instance_type == sa.bindparam("type"))
    .order_by((_p.source_client_id == SERVER).desc())
    .limit(1)
)
_SAME = Prepared(
    sa.select(_p.instance_type, _p.price).where(
        _p.region == sa.bindparam("region"),
        _p.product == sa.bindparam("product"),
        _p.source_client_id == sa.bindparam("source"),
        _p.instance_type.in_(batch_of(_p.instance_type)),
    )
)


def record(
    tx: Connection,
    now: datetime,
    client_id: ClientId | None,
    region: str,
    prices: Mapping[str, Decimal],
    product: str = LINUX,
) -> None:
    """The newest prices by instance type; None for what the server fetched or imported.

    An unchanged price is not written again: on-demand prices hardly ever change, and agents tell them every minute.
    """
    source = client_id or SERVER
    asked = {"region": region, "product": product, "source": source}
    known = {
        row.instance_type: row.price for some in batched(list(prices)) for row in _SAME.rows(tx, some | asked)
    }
    changed = [
        {
            "region": region,
            "instance_type": instance_type,
            "product": product,
            "source_client_id": source,
            "price": price,
            "captured_at": now,
        }
        for instance_type, price in prices.items()
        if known.get(instance_type) != price
    ]
    insert_or_update(tx, ondemand_prices, changed, ("price", "captured_at"))


def price_of(
    tx: Connection, client_id: ClientId | None, region: str, instance_type: str, product: str = LINUX
) -> Decimal | None:
    """USD per hour, None when nobody has told it."""
    asked = {"client": client_id or SERVER, "region": region, "product": product, "type": instance_type}
    row = _ONE.first(tx, asked)
    return None if row is None else row.price


def prices_of(
    tx: Connection,
    client_id: ClientId | None,
    region: str,
    product: str = LINUX,
    *,
    instance_types: Collection[str] | None = None,
) -> dict[str, Decimal]:
    """USD per hour by instance type; of the named ones alone, where they are named."""
    asked = {"client": client_id or SERVER, "region": region, "product": product}
    if instance_types is None:
        return {row.instance_type: row.price for row in _EVERY.rows(tx, asked)}
    return {
        row.instance_type: row.price
        for some in batched(sorted(instance_types))
        for row in _SOME.rows(tx, some | asked)
    }
