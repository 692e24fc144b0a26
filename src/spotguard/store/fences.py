"""What is known of a primary that hangs, and the word that it is ended (ruling B4)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from spotguard.domain.ids import AgentId, InstanceId
from spotguard.planning.fencing import FenceFacts, StandbyEar, why_not
from spotguard.store import events, fleet, grants, kill
from spotguard.store.move_rows import preparing_of
from spotguard.store.prepared import Prepared
from spotguard.store.tables import agents, instances, replica_instances

Row = sa.Row[Any]
FENCED = "primary_fenced"


_WANTED = Prepared(sa.select(agents).where(agents.c.fence_after_minutes.is_not(None)))


def wanted_among(tx: sa.Connection, agent_ids: Collection[str]) -> list[Row]:
    """Those of these agents whose user has asked for it."""
    return [row for row in _WANTED.rows(tx, {}) if row.id in agent_ids]


def facts(
    tx: sa.Connection,
    now: datetime,
    agent: Row,
    held: Row,
    *,
    impaired_since: datetime | None,
    frozen: bool,
) -> FenceFacts:
    minutes = agent.fence_after_minutes
    heard_at = tx.execute(
        sa.select(instances.c.last_heartbeat_at).where(instances.c.id == held.instance_id)
    ).scalar_one_or_none()
    return FenceFacts(
        now=now,
        fence_after=None if minutes is None else timedelta(minutes=minutes),
        enabled=agent.enabled,
        kill=kill.level_for(tx, agent.client_id, agent.id),
        frozen=frozen,
        is_moving=preparing_of(tx, agent.id) is not None,
        heard_at=max(heard_at or held.granted_at, held.granted_at),
        impaired_since=impaired_since,
        standbys=_standbys(tx, agent),
    )


def _standbys(tx: sa.Connection, agent: Row) -> tuple[StandbyEar, ...]:
    r, i = replica_instances.c, instances.c
    rows = tx.execute(
        sa.select(i.last_heartbeat_at, r.synced_at)
        .join(instances, i.id == r.instance_id)
        .where(r.agent_id == agent.id, r.is_active, i.is_active)
    ).all()
    return tuple(StandbyEar(row.last_heartbeat_at, row.synced_at) for row in rows)


def announce(
    tx: sa.Connection,
    now: datetime,
    agent_id: AgentId,
    instance_id: InstanceId,
    impaired_since: datetime | None,
    *,
    frozen: bool,
) -> bool:
    """The last look, and the word that it is ended, in one transaction; False: it is not."""
    fleet.hold(tx, now, agent_id)
    agent, held = fleet.agent_row(tx, agent_id), grants.holder(tx, agent_id)
    if held is None or held.instance_id != instance_id or held.released_at is not None:
        return False
    if why_not(facts(tx, now, agent, held, impaired_since=impaired_since, frozen=frozen)) is not None:
        return False
    message = (
        f"{instance_id} fails EC2's status checks and neither the server nor a standby has heard of it for "
        f"{agent.fence_after_minutes} minutes: it is ended with its volumes kept, and then replaced"
    )
    events.append(tx, now, agent.client_id, agent_id, FENCED, message, {"instance_id": instance_id})
    return True
