"""Commands past their time, and the moves and replicas that waited for them."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from spotguard.coordinator.agenda import Agenda, Work
from spotguard.coordinator.context import Context
from spotguard.domain.commands import CommandType
from spotguard.domain.ids import ReplicaId
from spotguard.domain.switches import Step
from spotguard.store import commands, events, moves, replicas
from spotguard.store.tables import switches


class Expiry:
    """An order that nobody carried out in time is no order any more. Who did may have had nobody to tell."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx

    def run(self, now: datetime, agenda: Agenda) -> int:
        if not agenda.of(Work.EXPIRED) or self.ctx.was_away(now):
            return 0
        return self.ctx.each("expiry", [now], lambda at: self.ctx.db.write(lambda tx: _expire(tx, at)))


def _expire(tx: sa.Connection, now: datetime) -> bool:
    expired = commands.expire_due(tx, now)
    for row in expired:
        message = f"{row.command_type} for {row.instance_id} expired: nobody carried it out in time"
        events.append(
            tx, now, row.client_id, row.agent_id, "command_expired", message, {"command_id": row.id}
        )
        if row.command_type == CommandType.SWITCH:
            _unwind(tx, now, row.id, message)
        elif row.command_type == CommandType.LAUNCH_REPLICA and row.payload.get("replica_id"):
            replicas.fail_unlaunched(tx, now, ReplicaId(row.payload["replica_id"]), message)
    return bool(expired)


def _unwind(tx: sa.Connection, now: datetime, command_id: str, because: str) -> None:
    """Unless its agent has let go already: then the emergencies decide."""
    row = tx.execute(sa.select(switches.c.id).where(switches.c.command_id == command_id)).one_or_none()
    if row is not None and Step.RELEASED not in moves.recorded_steps(tx, row.id):
        moves.unwind(tx, now, row.id, because)
