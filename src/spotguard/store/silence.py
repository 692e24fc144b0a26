"""Who serves and when it was last heard; whether a client's voluntary action is frozen by it (ruling B10a)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from spotguard.domain.agents import AgentStatus
from spotguard.domain.ids import AgentId, ClientId
from spotguard.planning.presence import Presence, frozen_because
from spotguard.store.tables import agents, epoch_grants, instances

_FLEET: sa.Select[Any] = (
    sa.select(
        agents.c.id,
        agents.c.client_id,
        agents.c.status,
        agents.c.enabled,
        instances.c.last_heartbeat_at,
        instances.c.is_active,
        epoch_grants.c.granted_at,
        epoch_grants.c.instance_id,
    )
    .join(epoch_grants, sa.and_(epoch_grants.c.agent_id == agents.c.id, epoch_grants.c.status == "held"))
    .outerjoin(instances, instances.c.id == epoch_grants.c.instance_id)
    .where(agents.c.status != AgentStatus.DELETED.value)
)
_FLEET_OF: sa.Select[Any] = _FLEET.where(agents.c.client_id == sa.bindparam("client"))


def fleet(tx: sa.Connection) -> Sequence[Any]:
    """Every agent that serves, with its holder's last heartbeat."""
    return tx.execute(_FLEET).all()


def presence_of(row: Any) -> Presence:
    return Presence(AgentId(row.id), row.last_heartbeat_at, row.granted_at)


def frozen(tx: sa.Connection, now: datetime, client_id: ClientId) -> str | None:
    """Why nothing voluntary is done for this client now, or None."""
    rows = tx.execute(_FLEET_OF, {"client": client_id}).all()
    return frozen_because([presence_of(row) for row in rows], now)
