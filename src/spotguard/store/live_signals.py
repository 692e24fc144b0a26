"""Which signals still count: one rule for what is done, refused and shown (`domain.signals`)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from spotguard.domain.ids import InstanceId
from spotguard.domain.signals import REBALANCE_COUNTS_FOR, SignalType
from spotguard.store import deaths
from spotguard.store.batches import batch_of, batched
from spotguard.store.prepared import Prepared
from spotguard.store.tables import spot_interruption_events

_e = spot_interruption_events.c


def counts() -> sa.ColumnElement[bool]:
    """Of the row of an event that a statement looks at. The statement binds `recommended` as `bounds` has it."""
    final = _e.signal_type == sa.literal_column(f"'{SignalType.TERMINATION.value}'")
    return sa.or_(final, _e.detected_at > sa.bindparam("recommended"))


def bounds(now: datetime) -> dict[str, datetime]:
    return {"recommended": now - REBALANCE_COUNTS_FOR}


_COUNTING = Prepared(
    sa.select(spot_interruption_events)
    .where(_e.instance_id.in_(batch_of(_e.instance_id)), counts())
    .order_by(_e.detected_at, _e.id)
)


def newest(tx: sa.Connection, now: datetime, instance_ids: Iterable[str]) -> dict[InstanceId, Any]:
    """The newest event that counts, of each of these instances that has one; no notice that AWS did not carry out."""
    ids = [instance_id for instance_id in instance_ids if instance_id]
    rows = (row for some in batched(ids) for row in _COUNTING.rows(tx, some | bounds(now)))
    return {InstanceId(row.instance_id): row for row in rows if not _has_passed(row)}


def _has_passed(event: sa.Row[Any]) -> bool:
    return event.signal_type == SignalType.TERMINATION and deaths.has_passed(event)


def signalled(tx: sa.Connection, now: datetime, instance_ids: Iterable[str]) -> set[InstanceId]:
    """Which of these instances are under a signal that counts."""
    return set(newest(tx, now, instance_ids))


def reopen(tx: sa.Connection, now: datetime, instance_id: InstanceId) -> None:
    """It serves from now on: what was only recorded of it while it did not is answered."""
    mine = _e.instance_id == instance_id, _e.resolved_at.is_not(None), counts()
    tx.execute(sa.update(spot_interruption_events).where(*mine).values(resolved_at=None), bounds(now))
