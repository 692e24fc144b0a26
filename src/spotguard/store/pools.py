"""Spot capacity pools: made when they are first heard of, then never changed but for a missing AZ id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from spotguard.domain.ids import ClientId, PoolId
from spotguard.domain.pools import LINUX, Pool, region_of
from spotguard.store.batches import batch_of, batched
from spotguard.store.prepared import Prepared
from spotguard.store.tables import instances, spot_pools, spot_price_snapshots
from spotguard.store.upserts import insert_missing

_KNOWN = Prepared(
    sa.select(spot_pools.c.id, spot_pools.c.az_id).where(spot_pools.c.id.in_(batch_of(spot_pools.c.id)))
)
_NAME_AZ = (
    sa.update(spot_pools)
    .where(spot_pools.c.id == sa.bindparam("pool"), spot_pools.c.az_id.is_(None))
    .values(az_id=sa.bindparam("zone"), updated_at=sa.bindparam("now"))
)


def ensure_pools(tx: Connection, now: datetime, pools: Iterable[Pool]) -> None:
    """Makes the rows that are missing. An AZ id that is known is never changed.

    AZ letters differ between accounts: pass pools of the server's own account with their `az_id`, those that a
    tenant reported without.
    """
    wanted = {pool.id: pool for pool in pools}
    known: dict[str, str | None] = {
        row.id: row.az_id for some in batched(list(wanted)) for row in _KNOWN.rows(tx, some)
    }
    insert_missing(
        tx, spot_pools, [_row(pool, now) for pool_id, pool in sorted(wanted.items()) if pool_id not in known]
    )
    zones = [
        {"pool": pool_id, "zone": wanted[pool_id].az_id, "now": now}  # type: ignore[index]
        for pool_id, az_id in known.items()
        if az_id is None and wanted[pool_id].az_id is not None  # type: ignore[index]
    ]
    if zones:
        tx.execute(_NAME_AZ, zones)


def zones_known(tx: Connection, region: str) -> dict[str, str]:
    """The zones behind the letters of the server's own prices of a region, as far as EC2 has told (ruling S7)."""
    known = sa.select(spot_pools.c.az, spot_pools.c.az_id).where(
        spot_pools.c.region == region, spot_pools.c.az_id.is_not(None)
    )
    return {row.az: row.az_id for row in tx.execute(known.distinct())}


def of_ids(tx: Connection, pool_ids: Sequence[PoolId]) -> list[Pool]:
    """Those of them that have a row, with their zone as far as it is known."""
    return [pool_of(row) for some in batched(pool_ids) for row in _OF_IDS.rows(tx, some)]


_OF_IDS = Prepared(sa.select(spot_pools).where(spot_pools.c.id.in_(batch_of(spot_pools.c.id))))


def strange_to(tx: Connection, client_id: ClientId, pools: Sequence[Pool]) -> set[str]:
    """Regions of these pools in which this tenant's account names zones otherwise than the server's prices do: one of
    its instances lies in another zone than their letter means. Those prices are of other zones than it reads there.
    """
    meant = {(pool.az, pool.az_id) for pool in pools if pool.az_id is not None}
    if not meant:
        return set()
    own = {(row.az, row.az_id) for row in _OWN_ZONES.rows(tx, {"client": client_id}) if row.az_id}
    letters = dict(meant)
    return {region_of(az) for az, az_id in own if letters.get(az, az_id) != az_id}


_OWN_ZONES = Prepared(
    sa.select(instances.c.az, instances.c.az_id)
    .where(
        instances.c.client_id == sa.bindparam("client"), instances.c.is_active, instances.c.az.is_not(None)
    )
    .distinct()
)


def priced_for(client_id: Any) -> sa.ColumnElement[bool]:
    """Of a row of `spot_pools`: the server or this tenant has had a price of it."""
    seen = spot_price_snapshots.c
    return sa.exists().where(
        seen.pool_id == spot_pools.c.id, sa.or_(seen.client_id.is_(None), seen.client_id == client_id)
    )


def known_for(client_id: Any) -> sa.ColumnElement[bool]:
    """Of a row of `spot_pools`: the server or this tenant has had a price of it, or runs an instance in it.

    The rows are everybody's, and a name that another tenant once reported proves nothing, not even that its zone is.
    """
    own = instances.c
    runs = sa.exists().where(own.client_id == client_id, own.current_pool_id == spot_pools.c.id)
    return sa.or_(priced_for(client_id), runs)


def priced_zones(tx: Connection, client_id: ClientId, region: str) -> list[str]:
    """The region's zones of which this tenant knows a price; none before the first report."""
    found = sa.select(spot_pools.c.az).where(spot_pools.c.region == region, priced_for(client_id))
    return sorted(tx.scalars(found.distinct()))


def known_to(tx: Connection, client_id: ClientId, pool_ids: Sequence[PoolId]) -> set[PoolId]:
    """Those that are this tenant's to know."""
    whose = {"client": client_id}
    return {PoolId(row.id) for some in batched(pool_ids) for row in _KNOWN_TO.rows(tx, some | whose)}


_KNOWN_TO = Prepared(
    sa.select(spot_pools.c.id).where(
        spot_pools.c.id.in_(batch_of(spot_pools.c.id)), known_for(sa.bindparam("client"))
    )
)


def list_pools(
    tx: Connection,
    *,
    instance_types: Sequence[str] = (),
    region: str | None = None,
    product: str = LINUX,
    after: str = "",
    limit: int | None = None,
) -> Sequence[Row[Any]]:
    """Pools by id; pools belong to AWS, not to a tenant. `after`: the last id of the page before."""
    found = sa.select(spot_pools).where(spot_pools.c.product == product, spot_pools.c.id > after)
    if instance_types:
        found = found.where(spot_pools.c.instance_type.in_(instance_types))
    if region is not None:
        found = found.where(spot_pools.c.region == region)
    return tx.execute(found.order_by(spot_pools.c.id).limit(limit)).all()


def pool_of(row: Row[Any]) -> Pool:
    """The noun that a row of `spot_pools` holds."""
    return Pool(instance_type=row.instance_type, az=row.az, product=row.product, az_id=row.az_id)


def _row(pool: Pool, now: datetime) -> dict[str, Any]:
    return {
        "id": pool.id,
        "pool_name": f"{pool.instance_type} {pool.az} {pool.product}",
        "instance_type": pool.instance_type,
        "region": pool.region,
        "az": pool.az,
        "az_id": pool.az_id,
        "product": pool.product,
        "created_at": now,
        "updated_at": now,
    }
