"""Interruption signals: the same one twice is one event; its answer is made in the same transaction."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row
from sqlalchemy.exc import IntegrityError

from spotguard.domain.ids import AgentId, ClientId, EventId, InstanceId
from spotguard.domain.signals import SignalAction, SignalType
from spotguard.store import events, plans
from spotguard.store.prepared import Prepared, PreparedInsert
from spotguard.store.secrets import new_id
from spotguard.store.tables import spot_interruption_events

_s = spot_interruption_events.c
_TOLD = sa.select(spot_interruption_events).where(
    _s.instance_id == sa.bindparam("machine"),
    _s.signal_type == sa.bindparam("kind"),
    _s.signal_time == sa.bindparam("at"),
)
_SAME = Prepared(_TOLD)
_ONE = Prepared(sa.select(spot_interruption_events).where(_s.id == sa.bindparam("event")))
_INSERT = PreparedInsert(spot_interruption_events)


def receive(
    tx: Connection,
    now: datetime,
    *,
    client_id: ClientId,
    agent_id: AgentId,
    instance_id: InstanceId,
    signal_type: SignalType,
    signal_time: datetime,
    action_time: datetime | None,
) -> Row[Any]:
    """The event with its answer. One that is known keeps the answer it had."""
    same = {"machine": instance_id, "kind": signal_type.value, "at": signal_time}
    known: Row[Any] | None = _SAME.first(tx, same)
    if known is not None:
        return known
    event_id = EventId(new_id())
    row = {
        "id": event_id,
        "agent_id": agent_id,
        "instance_id": instance_id,
        "signal_type": signal_type.value,
        "signal_time": signal_time,
        "action_time": action_time,
        "detected_at": now,
        "action": SignalAction.NONE.value,
        "created_at": now,
    }
    try:
        _INSERT.add(tx, row)
    except IntegrityError:
        return tx.execute(_TOLD.with_for_update(), same).one()  # told twice in the same moment
    detail = {"instance_id": instance_id, "signal_type": signal_type.value, "event_id": event_id}
    events.append(tx, now, client_id, agent_id, "signal", f"{instance_id}: {signal_type.value}", detail)
    plans.answer_signal(
        tx,
        now,
        client_id=client_id,
        agent_id=agent_id,
        instance_id=instance_id,
        event_id=event_id,
        signal_type=signal_type,
        signal_time=signal_time,
        action_time=action_time,
    )
    answered: Row[Any] = _ONE.one(tx, {"event": event_id})
    return answered
