"""A tenant's credentials as people see them: never a secret, nor its hash."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spotguard.domain.ids import ClientId
from spotguard.store.tables import agent_tokens, agents, clients, instances, sessions

SHOWN_AT_MOST = 200


def of_agents(tx: Connection, client_id: ClientId) -> Sequence[Any]:
    """Newest first."""
    shown = (
        agent_tokens.c.agent_id,
        agents.c.logical_agent_id,
        agent_tokens.c.instance_id,
        agent_tokens.c.created_at,
        agent_tokens.c.revoked_at,
        sa.func.coalesce(instances.c.ended_at, instances.c.terminated_at).label("instance_ended_at"),
    )
    query = (
        sa.select(*shown)
        .join(agents, agents.c.id == agent_tokens.c.agent_id)
        .outerjoin(instances, instances.c.id == agent_tokens.c.instance_id)
        .where(agent_tokens.c.client_id == client_id)
        .order_by(agent_tokens.c.created_at.desc(), agent_tokens.c.instance_id)
    )
    return tx.execute(query.limit(SHOWN_AT_MOST)).all()


def browsers(tx: Connection, now: datetime, client_id: ClientId, mine: str) -> Sequence[Any]:
    """Sessions that stand, newest first. `mine`: the hash of the asker's secret."""
    is_this = (sessions.c.secret_hash == mine).label("is_this")
    query = (
        sa.select(sessions.c.created_at, sessions.c.expires_at, is_this)
        .join(
            clients,
            sa.and_(clients.c.id == sessions.c.client_id, clients.c.api_token == sessions.c.api_token),
        )
        .where(sessions.c.client_id == client_id, sessions.c.expires_at > now)
        .order_by(sessions.c.created_at.desc())
    )
    return tx.execute(query.limit(SHOWN_AT_MOST)).all()
