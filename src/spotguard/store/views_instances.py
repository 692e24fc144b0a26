"""Instances as people see them, and what happened around one of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spotguard.domain.errors import NotFound
from spotguard.domain.ids import ClientId, InstanceId
from spotguard.domain.switches import Trigger
from spotguard.store.agents import ROLE_COLUMNS
from spotguard.store.tables import (
    agents,
    epoch_grants,
    instances,
    replica_instances,
    spot_interruption_events,
    switches,
)
from spotguard.store.views_paging import Asked, Page, newest_first


def _described(client_id: ClientId) -> sa.Select[Any]:
    return (
        sa.select(
            instances,
            instances.c.id.label("instance_id"),
            agents.c.logical_agent_id,
            agents.c.epoch,
            *ROLE_COLUMNS,
        )
        .outerjoin(agents, agents.c.id == instances.c.agent_id)
        .outerjoin(epoch_grants, epoch_grants.c.held_agent_id == instances.c.agent_id)
        .outerjoin(switches, switches.c.id == instances.c.switch_id)
        .outerjoin(replica_instances, replica_instances.c.id == instances.c.replica_id)
        .where(instances.c.client_id == client_id)
    )


def page(tx: Connection, client_id: ClientId, asked: Asked, *, active: bool | None = None) -> Page:
    query = _described(client_id)
    if active is not None:
        query = query.where(instances.c.is_active == active)
    return newest_first(tx, query, instances.c.created_at, instances.c.id, asked)


def instance(tx: Connection, client_id: ClientId, instance_id: InstanceId) -> Any:
    row = tx.execute(_described(client_id).where(instances.c.id == instance_id)).first()
    if row is None:
        raise NotFound("no such instance")
    return row


def marks(tx: Connection, agent_id: str, since: datetime) -> Sequence[tuple[datetime, str, str]]:
    """`(time, kind, label)` of the moves and signals of an agent that the caller has found in its own tenant."""
    moves = sa.select(switches).where(switches.c.agent_id == agent_id, switches.c.created_at >= since)
    signals = sa.select(spot_interruption_events).where(
        spot_interruption_events.c.agent_id == agent_id, spot_interruption_events.c.detected_at >= since
    )
    found = [
        (
            row.initiated_at or row.created_at,
            "switch",
            f"{Trigger(row.event_trigger).told} → {row.new_pool_id or row.new_mode or '?'}",
        )
        for row in tx.execute(moves)
    ]
    found += [
        (row.signal_time, "signal", f"{row.signal_type} on {row.instance_id}") for row in tx.execute(signals)
    ]
    return sorted(found)
