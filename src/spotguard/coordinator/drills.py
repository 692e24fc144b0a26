"""Rehearsals: failover drills are judged by their move; restore drills are carried on by `restore_drills`."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from spotguard.coordinator.agenda import Agenda, Work
from spotguard.coordinator.context import Beat, Context, Row
from spotguard.coordinator.restore_drills import RestoreDrills
from spotguard.domain.drills import DrillKind
from spotguard.domain.ids import DrillId, SwitchId
from spotguard.domain.switches import MoveKind, SwitchStatus
from spotguard.planning.drills import FailoverFacts, judge_failover
from spotguard.store import drills, moves, steps

SCHEDULE_SECONDS = 300.0


class Drills:
    """Looks at the drills that are open."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self._restores = RestoreDrills(ctx)
        self._beat = Beat(SCHEDULE_SECONDS)

    def run(self, now: datetime, agenda: Agenda) -> int:
        return self.ctx.each(
            "drills", agenda.of(Work.DRILL), lambda drill_id: self._tend(now, DrillId(drill_id))
        )

    def order_due(self, now: datetime) -> int:
        """Restore drills of the schedule."""
        return self._restores.order_due(now) if self._beat.is_due(now) else 0

    def _tend(self, now: datetime, drill_id: DrillId) -> bool:
        drill = self.ctx.db.read(lambda tx: drills.get(tx, drill_id))
        if drill.kind == DrillKind.RESTORE:
            return self._restores.carry_on(now, drill)
        return self.ctx.db.write(lambda tx: _judge(tx, now, drill))


def _judge(tx: sa.Connection, now: datetime, drill: Row) -> bool:
    switch_id = SwitchId(drill.switch_id)
    switch = moves.get(tx, switch_id)
    facts = FailoverFacts(
        started_at=drill.created_at,
        deadline_at=drill.deadline_at,
        kind=MoveKind(switch.kind),
        status=SwitchStatus(switch.status),
        ended_because=switch.ended_because,
        told=steps.step_times(tx, switch_id),
        heard=steps.heard_times(tx, switch_id),
        superseded_by=steps.superseded_by(tx, switch_id),
    )
    verdict = judge_failover(facts, now)
    return verdict is not None and drills.conclude(tx, now, drill, verdict)
