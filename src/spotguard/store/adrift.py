"""Volumes that are attached to nobody although their holder lives and nothing moves."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from spotguard.domain.agents import Executor
from spotguard.domain.epochs import GrantStatus
from spotguard.domain.ids import AgentId
from spotguard.domain.instances import InstanceState
from spotguard.domain.switches import SwitchStatus
from spotguard.planning.switching import ROOT_DEVICES
from spotguard.store.tables import agents, clients, epoch_grants, instances, storage_resources, switches

Row = sa.Row[Any]
THEIRS_FOR = timedelta(minutes=5)  # an agent that calls EC2 brings its volumes back itself
_s = storage_resources.c
_g = epoch_grants.c

_moving = sa.exists().where(
    switches.c.agent_id == _g.agent_id, switches.c.status == SwitchStatus.PREPARING.value
)
IS_ADRIFT = sa.and_(
    _g.status == GrantStatus.HELD.value,
    instances.c.ec2_state == InstanceState.RUNNING.value,
    agents.c.enabled,
    agents.c.deleted_at.is_(None),
    _s.kind == "volume",
    _s.ended_at.is_(None),
    _s.attached_to.is_(None),
    sa.or_(_s.last_attached_to == _g.instance_id, _s.moved_from == _g.instance_id),
    _s.device.is_not(None),
    *(_s.device != root for root in sorted(ROOT_DEVICES)),
    sa.not_(_moving),
)
"""Of a grant with its agent, its machine and a volume of its agent: that volume is the one that is missing."""

TABLES = (
    epoch_grants.join(agents, agents.c.id == _g.agent_id)
    .join(instances, instances.c.id == _g.instance_id)
    .join(storage_resources, _s.agent_id == _g.agent_id)
)


def volumes_of(tx: sa.Connection, now: datetime, agent_id: AgentId) -> list[Row]:
    """With `holder`, where they belong. None while an agent that calls EC2 may still bring them back itself."""
    rows = tx.execute(
        sa.select(storage_resources, _g.instance_id.label("holder"), clients.c.executor)
        .select_from(TABLES.join(clients, clients.c.id == agents.c.client_id))
        .where(IS_ADRIFT, _g.agent_id == agent_id)
        .order_by(_s.id)
    ).all()
    if rows and rows[0].executor == Executor.AGENT and _has_just_moved(tx, now, agent_id):
        return []
    return list(rows)


def volumes_are_missing(tx: sa.Connection, agent_id: AgentId) -> bool:
    """A volume of who serves is attached to nobody, whoever brings it back."""
    found = sa.select(_s.id).select_from(TABLES).where(IS_ADRIFT, _g.agent_id == agent_id)
    return tx.execute(found.limit(1)).first() is not None


def _has_just_moved(tx: sa.Connection, now: datetime, agent_id: AgentId) -> bool:
    late = switches.c.agent_id == agent_id, switches.c.completed_at > now - THEIRS_FOR
    return tx.execute(sa.select(switches.c.id).where(*late).limit(1)).first() is not None
