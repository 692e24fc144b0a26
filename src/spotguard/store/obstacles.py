"""What keeps an agent from being served, a recovery or a standby from its instance, as people were told."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from spotguard.domain.instances import InstanceState
from spotguard.domain.switches import SwitchStatus
from spotguard.store.tables import agent_events, epoch_grants, instances, replica_instances, switches

NOBODY_SERVES = ("nobody_serves", "holder_may_resume", "instance_ended")
RECOVERY_WAITS = ("needs_person", "recovery_needs_person", "recovery_waits")
STANDBY_WAITS = ("replica_waits",)
"""Kinds of events: of a holder that is gone, of a recovery and of a standby that have no instance yet."""

_NOTHING_TOLD = "who served has let go or ended, and the next looks at EC2 decide who takes over"
_g, _e, _s, _r = epoch_grants.c, agent_events.c, switches.c, replica_instances.c
_GONE = (InstanceState.STOPPED.value, InstanceState.TERMINATED.value)

AgentIds = Sequence[str] | sa.Select[tuple[str]]


def of_serving(tx: sa.Connection, agent_ids: AgentIds) -> dict[str, str]:
    """Of those whose holder has let go, or is stopped or ended as EC2 shows it, and for which no move is under way."""
    preparing = sa.exists().where(_s.open_agent_id == _g.held_agent_id)
    gone = (
        sa.select(_g.held_agent_id)
        .join(instances, instances.c.id == _g.instance_id)
        .where(
            _g.held_agent_id.in_(agent_ids),
            sa.or_(_g.released_at.is_not(None), instances.c.ec2_state.in_(_GONE)),
            sa.not_(preparing),
        )
    )
    found = list(tx.scalars(gone))
    if not found:
        return {}
    told = (
        sa.select(_e.agent_id, _e.message)
        .join(epoch_grants, _g.held_agent_id == _e.agent_id)
        .where(_e.agent_id.in_(found), _e.kind.in_(NOBODY_SERVES), _e.at >= _g.granted_at)
    )
    return dict.fromkeys(found, _NOTHING_TOLD) | _newest(tx, told)


def of_recoveries(tx: sa.Connection, agent_ids: AgentIds) -> dict[str, str]:
    """Of those whose recovery has no instance yet: what keeps it from one, if anything was told of it."""
    told = (
        sa.select(_e.agent_id, _e.message)
        .join(switches, _s.open_agent_id == _e.agent_id)
        .where(
            _s.open_agent_id.in_(agent_ids),
            _s.status == SwitchStatus.PREPARING.value,
            _s.is_recovery,
            _s.new_instance_id.is_(None),
            _e.kind.in_(RECOVERY_WAITS),
            _e.at >= _s.created_at,
        )
    )
    return _newest(tx, told)


def of_standbys(tx: sa.Connection, agent_ids: Sequence[str]) -> dict[str, str]:
    """Of agents (each has a standby without an instance): what it waits for, if anything was told of it."""
    if not agent_ids:
        return {}
    told = (
        sa.select(_e.agent_id, _e.message)
        .join(replica_instances, _r.agent_id == _e.agent_id)
        .where(
            _r.agent_id.in_(agent_ids),
            _r.is_active,
            _r.instance_id.is_(None),
            _e.kind.in_(STANDBY_WAITS),
            _e.at >= _r.created_at,
        )
    )
    return _newest(tx, told)


def _newest(tx: sa.Connection, told: sa.Select[tuple[str, str]]) -> dict[str, str]:
    return {row.agent_id: row.message for row in tx.execute(told.order_by(_e.at, _e.id))}
