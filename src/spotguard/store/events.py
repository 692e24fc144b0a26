"""What happened, for people: the event stream resumes from the ids of these rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from spotguard.domain.ids import AgentId, ClientId
from spotguard.store.prepared import Prepared, PreparedInsert
from spotguard.store.tables import agent_events, agents

CONFIGURED = "configured"  # kind of an event: its user has changed an agent's settings
WORKLOAD_STUCK = "workload_stuck"  # its workload does not open, or no pass of its state goes through
_TOLD_AGAIN = timedelta(hours=1)
_APPEND = PreparedInsert(agent_events)
_AFTER = (
    sa.select(agent_events)
    .where(agent_events.c.client_id == sa.bindparam("client"), agent_events.c.id > sa.bindparam("last"))
    .order_by(agent_events.c.id)
    .limit(sa.bindparam("most"))
)
_OF_AGENT = (
    sa.select(agent_events)
    .where(
        agent_events.c.client_id == sa.bindparam("client"),
        agent_events.c.agent_id == sa.bindparam("agent"),
        agent_events.c.id < sa.bindparam("before"),
    )
    .order_by(agent_events.c.id.desc())
    .limit(sa.bindparam("most"))
)
_HIGHEST = 2**63 - 1


def append(
    tx: Connection,
    now: datetime,
    client_id: ClientId,
    agent_id: AgentId | None,
    kind: str,
    message: str,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """One sentence for people. `detail` is JSON that tells no secret."""
    _APPEND.add(
        tx,
        {
            "client_id": client_id,
            "agent_id": agent_id,
            "at": now,
            "kind": kind,
            "message": message,
            "detail": dict(detail or {}),
        },
    )


_CLIENT = Prepared(sa.select(agents.c.client_id).where(agents.c.id == sa.bindparam("agent")))


def append_hourly(
    tx: Connection, now: datetime, client_id: ClientId, agent_id: AgentId, kind: str, message: str
) -> None:
    """What is said for as long as it is so: the same sentence once an hour."""
    append_every(tx, now, client_id, agent_id, kind, message, _TOLD_AGAIN)


def append_every(
    tx: Connection,
    now: datetime,
    client_id: ClientId,
    agent_id: AgentId,
    kind: str,
    message: str,
    span: timedelta,
) -> None:
    """The same sentence once in `span`."""
    e = agent_events.c
    told = sa.select(e.id).where(
        e.client_id == client_id,
        e.agent_id == agent_id,
        e.kind == kind,
        e.message == message,
        e.at > now - span,
    )
    if tx.execute(told.limit(1)).first() is None:
        append(tx, now, client_id, agent_id, kind, message)


def append_of(
    tx: Connection,
    now: datetime,
    agent_id: AgentId,
    kind: str,
    message: str,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """The same, of an agent whose tenant its row knows."""
    append(tx, now, ClientId(_CLIENT.one(tx, {"agent": agent_id}).client_id), agent_id, kind, message, detail)


def after(tx: Connection, client_id: ClientId, last_id: int, limit: int) -> Sequence[Row[Any]]:
    """The tenant's events after `last_id`, oldest first."""
    return tx.execute(_AFTER, {"client": client_id, "last": last_id, "most": limit}).all()


def of_everybody_after(tx: Connection, last_id: int, limit: int) -> Sequence[Row[Any]]:
    """Every tenant's events after `last_id`, oldest first: for the installation's own log."""
    found = sa.select(agent_events).where(agent_events.c.id > last_id).order_by(agent_events.c.id)
    return tx.execute(found.limit(limit)).all()


def of_agent(
    tx: Connection, client_id: ClientId, agent_id: AgentId, *, limit: int = 100, before_id: int | None = None
) -> Sequence[Row[Any]]:
    """One agent's events, newest first; `before_id`: the last id of the page before."""
    before = _HIGHEST if before_id is None else before_id
    return tx.execute(
        _OF_AGENT, {"client": client_id, "agent": agent_id, "before": before, "most": limit}
    ).all()


def newest_id(tx: Connection, client_id: ClientId | None) -> int:
    """Where a stream without `Last-Event-ID` begins; 0 when nothing has happened. None: of every tenant."""
    newest = sa.select(sa.func.max(agent_events.c.id))
    if client_id is not None:
        newest = newest.where(agent_events.c.client_id == client_id)
    return tx.scalar(newest) or 0
