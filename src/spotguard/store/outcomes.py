"""One tenant's looks and runs in a region, for `spotguard model outcomes`. Zones are named by its own account."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from spotguard.domain.ids import ClientId
from spotguard.domain.instances import InstanceState, Mode
from spotguard.domain.pools import LINUX, parse_pool_id
from spotguard.market.outcomes import Look, Run
from spotguard.store.tables import instances, pool_looks, spot_pools


def regions(tx: sa.Connection, client_id: ClientId) -> Sequence[str]:
    """Those in which this tenant has seen anything of a spot pool."""
    seen = sa.union(
        sa.select(pool_looks.c.pool_id).where(pool_looks.c.client_id == client_id),
        sa.select(instances.c.current_pool_id).where(
            instances.c.client_id == client_id, instances.c.current_mode == Mode.SPOT.value
        ),
    ).subquery()
    found = sa.select(spot_pools.c.region).join(seen, seen.c.pool_id == spot_pools.c.id).distinct()
    return sorted(tx.scalars(found).all())


def of_client(
    tx: sa.Connection, now: datetime, client_id: ClientId, region: str, since: datetime
) -> tuple[list[Look], list[Run]]:
    """From `since` on. Linux pools only: an availability file knows no product. A run whose end nobody has seen lasts
    until EC2 last showed it running: while nobody looks, nothing is proven.
    """
    place = (spot_pools.c.region == region, spot_pools.c.product == LINUX)
    looks = tx.execute(
        sa.select(pool_looks.c.seen_at, pool_looks.c.pool_id, pool_looks.c.up)
        .join(spot_pools, spot_pools.c.id == pool_looks.c.pool_id)
        .where(pool_looks.c.client_id == client_id, pool_looks.c.seen_at.between(since, now), *place)
        .order_by(pool_looks.c.seen_at, pool_looks.c.id)
    ).all()
    running = instances.c.ec2_state == InstanceState.RUNNING.value
    shown_until = sa.func.coalesce(instances.c.ended_at, sa.case((running, instances.c.seen_at)))
    runs = tx.execute(
        sa.select(
            instances.c.current_pool_id,
            instances.c.launched_at,
            sa.type_coerce(shown_until, instances.c.seen_at.type).label("until"),
        )
        .join(spot_pools, spot_pools.c.id == instances.c.current_pool_id)
        .where(
            instances.c.client_id == client_id,
            instances.c.current_mode == Mode.SPOT.value,
            instances.c.launched_at.is_not(None),
            shown_until > since,
            *place,
        )
        .order_by(instances.c.launched_at, instances.c.id)
    ).all()
    return (
        [Look(row.seen_at, parse_pool_id(row.pool_id), bool(row.up)) for row in looks],
        [
            Run(parse_pool_id(row.current_pool_id), max(row.launched_at, since), min(row.until, now))
            for row in runs
        ],
    )
