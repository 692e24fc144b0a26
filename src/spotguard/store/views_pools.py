"""What one tenant has met in its pools: quarantine, instances seen there, interruptions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spotguard.domain.ids import ClientId
from spotguard.domain.instances import Mode
from spotguard.domain.signals import SignalType
from spotguard.store import quarantine
from spotguard.store.tables import instances, spot_interruption_events


def met(
    tx: Connection, now: datetime, client_id: ClientId, pool_ids: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """By pool: `quarantined_until`, `strikes`, `struck_because` (None: never struck), `interruptions`, `launched`."""
    struck = quarantine.of_client(tx, client_id)
    launched, interrupted = _launched(tx, client_id, pool_ids), _interrupted(tx, client_id, pool_ids)
    return {
        pool_id: {
            **_trouble(struck.get(pool_id), now),  # type: ignore[call-overload]
            "launched": launched.get(pool_id, 0),
            "interruptions": interrupted.get(pool_id, 0),
        }
        for pool_id in pool_ids
    }


def _trouble(row: Any, now: datetime) -> dict[str, Any]:
    if row is None:
        return {"quarantined_until": None, "strikes": None, "struck_because": None}
    until = row.until if row.until > now else None
    return {"quarantined_until": until, "strikes": row.strikes, "struck_because": row.because}


def _launched(tx: Connection, client_id: ClientId, pool_ids: Sequence[str]) -> dict[str, int]:
    query = _spot(sa.select(instances.c.current_pool_id, sa.func.count()), client_id, pool_ids)
    return {row[0]: row[1] for row in tx.execute(query)}


def _interrupted(tx: Connection, client_id: ClientId, pool_ids: Sequence[str]) -> dict[str, int]:
    events = spot_interruption_events
    counted = sa.select(instances.c.current_pool_id, sa.func.count(events.c.instance_id.distinct())).join(
        events, events.c.instance_id == instances.c.id
    )
    query = _spot(counted, client_id, pool_ids).where(events.c.signal_type == SignalType.TERMINATION.value)
    return {row[0]: row[1] for row in tx.execute(query)}


def _spot(query: sa.Select[Any], client_id: ClientId, pool_ids: Sequence[str]) -> sa.Select[Any]:
    return query.where(
        instances.c.client_id == client_id,
        instances.c.current_mode == Mode.SPOT.value,
        instances.c.probe_id.is_(None),  # seconds of a look are no stay there
        instances.c.current_pool_id.in_(pool_ids),
    ).group_by(instances.c.current_pool_id)
