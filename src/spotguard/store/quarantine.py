"""Pools that refused or interrupted a client are left alone for a while, longer each time (invariant 11)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, cast

import sqlalchemy as sa

from spotguard.domain.ids import ClientId, PoolId
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.store import looks, pools
from spotguard.store.prepared import Prepared
from spotguard.store.tables import pool_quarantines
from spotguard.store.upserts import insert_missing

FIRST = timedelta(minutes=15)
LONGEST = timedelta(minutes=30)  # beyond it the hazard of a pool that fell says whether it is worth a return
REFUSED = "it refused a launch"
_OF_CLIENT = Prepared(
    sa.select(pool_quarantines).where(
        pool_quarantines.c.client_id == sa.bindparam("client"),
        pool_quarantines.c.mode == sa.bindparam("market"),
    )
)
FORGIVEN_AFTER = timedelta(hours=24)  # without a strike the count begins anew


def strike(
    tx: sa.Connection,
    now: datetime,
    client_id: ClientId,
    pool: Pool,
    because: str,
    mode: Mode = Mode.SPOT,
) -> datetime:
    """One more strike in this market; until when the pool is left alone there.

    Strikes of one minute are one: a refusal is told by many.
    """
    q = pool_quarantines
    mine = sa.and_(q.c.pool_id == pool.id, q.c.client_id == client_id, q.c.mode == mode.value)
    seen = tx.execute(sa.select(q).where(mine)).one_or_none()
    if seen is not None and now - seen.struck_at < timedelta(minutes=1):
        return cast("datetime", seen.until)
    fresh = seen is None or now - seen.until > FORGIVEN_AFTER
    strikes = 1 if fresh or seen is None else seen.strikes + 1
    until: datetime = now + min(FIRST * 2 ** min(strikes - 1, 10), LONGEST)
    values = {"strikes": strikes, "struck_at": now, "until": until, "because": because}
    if mode is Mode.SPOT:
        looks.note(tx, now, client_id, pool, up=False, because=because)
    if seen is not None:
        tx.execute(sa.update(q).where(mine, q.c.strikes == seen.strikes).values(**values))
        return until
    pools.ensure_pools(tx, now, [pool])
    insert_missing(tx, q, [{"pool_id": pool.id, "client_id": client_id, "mode": mode.value, **values}])
    return until


def seen_down(
    tx: sa.Connection, now: datetime, client_id: ClientId, pool: Pool, until: datetime, because: str
) -> None:
    """Nobody wanted to go there: it is no strike, but none goes there before then. A look is noted."""
    looks.note(tx, now, client_id, pool, up=False, because=because)
    q = pool_quarantines
    mine = sa.and_(q.c.pool_id == pool.id, q.c.client_id == client_id, q.c.mode == Mode.SPOT.value)
    row = {"strikes": 0, "struck_at": now, "until": until, "because": because}
    keys = {"pool_id": pool.id, "client_id": client_id, "mode": Mode.SPOT.value}
    insert_missing(tx, q, [keys | row])
    tx.execute(sa.update(q).where(mine, q.c.until < until).values(until=until, because=because))


def of_client(tx: sa.Connection, client_id: ClientId, mode: Mode = Mode.SPOT) -> dict[PoolId, sa.Row[Any]]:
    """Every pool that was ever struck in this market: `until` says whether it still is in quarantine."""
    rows = _OF_CLIENT.rows(tx, {"client": client_id, "market": mode.value})
    return {PoolId(row.pool_id): row for row in rows}


def active(
    tx: sa.Connection, client_id: ClientId, now: datetime, mode: Mode = Mode.SPOT
) -> dict[PoolId, datetime]:
    struck = of_client(tx, client_id, mode)
    return {pool_id: row.until for pool_id, row in struck.items() if row.until > now}
