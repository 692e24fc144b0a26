"""What a tenant's launches and instances showed of spot pools, look by look, and the records that come of it."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from spotguard.domain.ids import ClientId
from spotguard.domain.instances import InstanceState, Mode
from spotguard.domain.pools import Pool, parse_pool_id
from spotguard.engine.records import REMEMBERED_HOURS, PoolRecord, seen
from spotguard.store import pools
from spotguard.store.prepared import Prepared
from spotguard.store.tables import instances, pool_looks

REMEMBERED = timedelta(hours=REMEMBERED_HOURS)


def note(
    tx: sa.Connection, now: datetime, client_id: ClientId, pool: Pool, *, up: bool, because: str
) -> None:
    """A launch that succeeded or was refused, an interruption."""
    pools.ensure_pools(tx, now, [pool])
    row = {"client_id": client_id, "pool_id": pool.id, "seen_at": now, "up": up, "because": because}
    tx.execute(sa.insert(pool_looks), row)


def launched(tx: sa.Connection, now: datetime, client_id: ClientId, pool: Pool, instance_id: str) -> None:
    """When the row of an instance that was launched for a client is made, whoever tells of it first."""
    note(tx, now, client_id, pool, up=True, because=f"{instance_id} was launched")


def records(tx: sa.Connection, now: datetime, client_id: ClientId) -> dict[Pool, PoolRecord]:
    """Of every pool that this tenant saw within a month: looks in order, then what runs there at this moment."""
    told: dict[Pool, PoolRecord] = {}
    for at, pool_id, up, throughout in _looks(tx, now, client_id):
        pool = parse_pool_id(pool_id)
        told[pool] = seen(told.get(pool), at, up=up, throughout=throughout)
    return told


_LOOKS = Prepared(
    sa.select(pool_looks.c.seen_at, pool_looks.c.pool_id, pool_looks.c.up).where(
        pool_looks.c.client_id == sa.bindparam("client"),
        pool_looks.c.seen_at > sa.bindparam("since"),
        pool_looks.c.seen_at <= sa.bindparam("until"),
    )
)
_RUNNING = Prepared(
    sa.select(instances.c.current_pool_id, instances.c.launched_at).where(
        instances.c.client_id == sa.bindparam("client"),
        instances.c.is_active,
        instances.c.current_mode == Mode.SPOT.value,
        instances.c.current_pool_id.is_not(None),
        instances.c.ec2_state == InstanceState.RUNNING.value,
    )
)


def _looks(tx: sa.Connection, now: datetime, client_id: ClientId) -> list[tuple[datetime, str, bool, bool]]:
    """(when, pool, up, whether an instance has run there since the look before)."""
    looks = _LOOKS.rows(tx, {"client": client_id, "since": now - REMEMBERED, "until": now})
    running = _RUNNING.rows(tx, {"client": client_id})
    since = [
        (row.launched_at, row.current_pool_id, True, False) for row in running if row.launched_at is not None
    ]
    until = [(now, row.current_pool_id, True, True) for row in running]
    told = [(row.seen_at, row.pool_id, bool(row.up), False) for row in looks]
    return sorted([*told, *since, *until])
