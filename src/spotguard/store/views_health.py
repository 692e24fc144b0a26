"""Is it well? Facts of one tenant's health page, and whether the database can serve at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spotguard.domain.agents import OFFLINE_AFTER_SECONDS, AgentStatus
from spotguard.domain.commands import CommandStatus
from spotguard.domain.errors import Refused
from spotguard.domain.ids import ClientId
from spotguard.planning.invariants import INVARIANTS, check
from spotguard.store import invariant_facts, obstacles
from spotguard.store.tables import agents, commands, epoch_grants, instances

TOLD = 200  # of a list whose length nobody can bound: when a whole fleet is silent, its count says so


def require_ready(tx: Connection) -> None:
    """`Refused` when the database answers but cannot be written: a Galera node without a quorum."""
    tx.execute(sa.text("SELECT 1"))
    if tx.dialect.name == "sqlite":
        return
    clustered = tx.execute(sa.text("SHOW GLOBAL VARIABLES LIKE 'wsrep_on'")).first()
    member = tx.execute(sa.text("SHOW GLOBAL STATUS LIKE 'wsrep_ready'")).first()
    if clustered is not None and clustered[1] == "ON" and (member is None or member[1] != "ON"):
        raise Refused("this database node is not part of a quorum")


@dataclass(frozen=True)
class Queue:
    """Commands that wait or are in hand."""

    pending: int
    leased: int
    oldest_pending_at: datetime | None


def queue(tx: Connection, client_id: ClientId) -> Queue:
    counted = tx.execute(
        sa.select(
            commands.c.status,
            sa.func.count().label("many"),
            sa.func.min(commands.c.created_at).label("oldest"),
        )
        .where(commands.c.client_id == client_id, commands.c.status.in_(["pending", "leased"]))
        .group_by(commands.c.status)
    )
    found = {row.status: row for row in counted}
    pending, leased = found.get(CommandStatus.PENDING), found.get(CommandStatus.LEASED)
    return Queue(
        pending.many if pending else 0, leased.many if leased else 0, pending.oldest if pending else None
    )


@dataclass(frozen=True)
class Listed:
    """Some agents: how many, and the first of them, at most `TOLD`."""

    count: int
    first: Sequence[Any]


def agents_behind(
    tx: Connection, now: datetime, client_id: ClientId, *, is_listening: bool = False
) -> Listed:
    """Live agents whose serving instance has not been heard for 120 s, with id, name and since when.

    Whoever has been silent longest comes first. `is_listening`: only who was known to be silent before.
    """
    late = now - timedelta(seconds=OFFLINE_AFTER_SECONDS)
    heard = instances.c.last_heartbeat_at
    query = (
        sa.select(agents.c.id, agents.c.logical_agent_id, heard)
        .join(epoch_grants, epoch_grants.c.held_agent_id == agents.c.id)
        .join(instances, instances.c.id == epoch_grants.c.instance_id)
        .where(
            agents.c.client_id == client_id,
            agents.c.status != AgentStatus.DELETED.value,
            sa.or_(heard.is_(None), heard < late),
            *([agents.c.status == AgentStatus.OFFLINE.value] if is_listening else []),
        )
    )
    count = tx.execute(sa.select(sa.func.count()).select_from(query.subquery())).scalar_one()
    first = query.order_by(heard.is_not(None), heard, agents.c.logical_agent_id).limit(TOLD)
    return Listed(count, tx.execute(first).all())


@dataclass(frozen=True)
class Unserved:
    """An agent that nobody serves, and what it waits for."""

    id: str
    logical_agent_id: str
    why: str


def agents_unserved(tx: Connection, client_id: ClientId) -> Listed:
    """Live agents, by name, whose holder has let go or ended while no move replaces it, or whose recovery waits."""
    live = (agents.c.client_id == client_id, agents.c.status != AgentStatus.DELETED.value)
    ids = sa.select(agents.c.id).where(*live)
    why = obstacles.of_serving(tx, ids) | obstacles.of_recoveries(tx, ids)
    if not why:
        return Listed(0, [])
    named = sa.select(agents.c.id, agents.c.logical_agent_id).where(*live, agents.c.id.in_(list(why)))
    first = tx.execute(named.order_by(agents.c.logical_agent_id).limit(TOLD))
    return Listed(len(why), [Unserved(row.id, row.logical_agent_id, why[row.id]) for row in first])


def broken_invariants(tx: Connection, now: datetime, client_id: ClientId) -> list[str]:
    """What does not hold in this tenant's rows just now: name and sentence."""
    breaches = check(invariant_facts.gather_doubtful(tx, now, client_id))
    return [f"{breach.invariant.replace('_', ' ')}: {breach.what}" for breach in breaches]


def checked_invariants() -> list[str]:
    return [invariant.__name__.replace("_", " ") for invariant in INVARIANTS]
