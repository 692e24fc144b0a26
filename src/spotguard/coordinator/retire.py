"""Emergency replicas are given up two hours after the recommendation, without a termination (ruling B7)."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from spotguard.coordinator.agenda import Agenda, Work
from spotguard.coordinator.context import Beat, Context
from spotguard.domain.ids import AgentId, ReplicaId
from spotguard.domain.replicas import LIVE_REPLICA, ReplicaType
from spotguard.domain.signals import SignalType
from spotguard.planning.retirement import EmergencyReplica, RetirementFacts, plan_retirements
from spotguard.store import deaths, fleet, grants, kill, moves, replicas
from spotguard.store.prepared import Prepared
from spotguard.store.tables import replica_instances, spot_interruption_events

BEAT_SECONDS = 300.0


class Retire:
    """Looks at agents that have an emergency replica."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self._beat = Beat(BEAT_SECONDS)

    def run(self, now: datetime, agenda: Agenda) -> int:
        if not agenda.of(Work.REPLICA, Work.STANDING) or not self._beat.is_due(now):
            return 0
        owners = self.ctx.db.read(_owners)
        return self.ctx.each("retire", owners, lambda agent: self._retire(now, AgentId(agent)))

    def _retire(self, now: datetime, agent_id: AgentId) -> bool:
        return self.ctx.db.write(lambda tx: _apply(tx, now, agent_id))


_OWNERS = Prepared(
    sa.select(replica_instances.c.agent_id)
    .where(
        replica_instances.c.status.in_([status.value for status in LIVE_REPLICA]),
        replica_instances.c.replica_type != ReplicaType.MANUAL.value,
    )
    .distinct()
)


def _owners(tx: sa.Connection) -> list[str]:
    """Agents with a live replica that their settings do not ask for."""
    return [row.agent_id for row in _OWNERS.rows(tx, {})]


def _apply(tx: sa.Connection, now: datetime, agent_id: AgentId) -> bool:
    fleet.hold(tx, now, agent_id)  # else a signal that is heard meanwhile promotes what is retired here
    plans = plan_retirements(_facts(tx, now, agent_id))
    return bool([replicas.retire(tx, now, plan.replica_id, plan.because) for plan in plans])


def _facts(tx: sa.Connection, now: datetime, agent_id: AgentId) -> RetirementFacts:
    agent = fleet.agent_row(tx, agent_id)
    held = grants.holder(tx, agent_id)
    e = spot_interruption_events.c
    signals = tx.execute(
        sa.select(e.signal_type, e.detected_at, e.resolved_at).where(
            e.agent_id == agent_id, e.instance_id == (held.instance_id if held is not None else None)
        )
    ).all()
    newest = max((row.detected_at for row in signals), default=None)
    r = replica_instances.c
    alive = tx.execute(
        sa.select(r.id, r.replica_type, r.created_at).where(
            r.agent_id == agent_id, r.status.in_([status.value for status in LIVE_REPLICA])
        )
    ).all()
    return RetirementFacts(
        now=now,
        enabled=agent.enabled,
        kill=kill.level_for(tx, agent.client_id, agent.id),
        protection=fleet.protection(agent),
        open_notice=any(
            row.signal_type == SignalType.TERMINATION and row.resolved_at is None for row in signals
        ),
        moving=moves.preparing_of(tx, agent_id) is not None,
        serving=held is not None
        and held.released_at is None
        and not deaths.runs_nothing(tx, held.instance_id),
        replicas=[
            EmergencyReplica(ReplicaId(row.id), ReplicaType(row.replica_type), row.created_at, newest)
            for row in alive
        ],
    )
