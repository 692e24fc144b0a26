"""What the two ends of a move cost, as far as it is known when it is ordered, or when the new one is launched."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from spotguard.domain.ids import ClientId, PoolId
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.store import ondemand, prices
from spotguard.store.prepared import Prepared
from spotguard.store.tables import switches

_IS_PAID = Prepared(
    sa.update(switches)
    .where(switches.c.id == sa.bindparam("move"))
    .values(new_spot_price=sa.bindparam("spot"), savings_impact=sa.bindparam("saved"))
)


def prices_of(
    tx: sa.Connection, now: datetime, agent: Any, target: Pool, mode: Mode
) -> dict[str, Decimal | None]:
    """USD an hour: `on_demand` of the agent's type, `old` and `new` of the ends as they are paid; None unknown."""
    if agent.instance_type is None or agent.region is None:
        return {"on_demand": None, "old": None, "new": None, "old_spot": None, "new_spot": None}
    client_id = ClientId(agent.client_id)
    types = sorted({agent.instance_type, target.instance_type})
    known = {p.pool.id: p.price for p in prices.current_prices(tx, now, client_id, types, target.region)}
    fixed = ondemand.prices_of(tx, client_id, target.region)
    old_spot = known.get(PoolId(agent.current_pool_id)) if agent.current_mode == Mode.SPOT else None
    new_spot = known.get(target.id) if mode is Mode.SPOT else None
    return {
        "on_demand": fixed.get(agent.instance_type),
        "old_spot": old_spot,
        "new_spot": new_spot,
        "old": old_spot if agent.current_mode == Mode.SPOT else fixed.get(agent.instance_type),
        "new": new_spot if mode is Mode.SPOT else fixed.get(target.instance_type),
    }


def launched(tx: sa.Connection, now: datetime, ordered: Any, pool: Pool, mode: Mode) -> None:
    """The new instance came up elsewhere than its move's row, as it was `ordered`, says: its prices are those of there.

    A recovery is ordered without a place.
    """
    place = ordered.new_instance_type, ordered.new_az, ordered.new_mode
    if place == (pool.instance_type, pool.az, mode.value):
        return
    client_id = ClientId(ordered.client_id)
    old = ordered.on_demand_price if ordered.old_mode == Mode.ONDEMAND else ordered.old_spot_price
    if mode is Mode.SPOT:
        of_type = prices.current_prices(tx, now, client_id, [pool.instance_type], pool.region)
        new = next((known.price for known in of_type if known.pool.id == pool.id), None)
    else:
        new = ondemand.prices_of(tx, client_id, pool.region).get(pool.instance_type)
    saved = None if old is None or new is None else old - new
    _IS_PAID.change(tx, {"move": ordered.id, "spot": new if mode is Mode.SPOT else None, "saved": saved})
