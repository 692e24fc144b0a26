"""Who is offline: 120 s without a heartbeat of the serving instance (ruling B16). Silence proves nothing else."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from spotguard.coordinator.agenda import Agenda, Work
from spotguard.coordinator.context import Beat, Context, Row
from spotguard.domain.agents import AgentStatus
from spotguard.domain.ids import ClientId
from spotguard.planning.presence import Presence, frozen_because, is_heard, is_silent
from spotguard.store import events, silence
from spotguard.store.tables import agents


class PresenceDuty:
    """Moves agents between online and offline, and knows whose voluntary action is frozen (ruling B10a)."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.frozen: dict[ClientId, str] = {}
        self._told: set[ClientId] = set()
        self._beat = Beat(ctx.settings.presence_seconds)

    def run(self, now: datetime, agenda: Agenda) -> int:
        if not (agenda.of(Work.SILENT) or self.frozen) or not self._beat.is_due(now):
            return 0
        fleet = self.ctx.db.read(silence.fleet)
        changed = self.ctx.each("presence", fleet, lambda row: self._follow(now, row))
        self._freeze(now, list(fleet))
        return changed

    def _follow(self, now: datetime, row: Row) -> bool:
        presence = silence.presence_of(row, self.ctx.listens_since)
        if row.is_active is False or is_silent(presence, now):
            seen, wanted = AgentStatus.ONLINE, AgentStatus.OFFLINE
        elif is_heard(presence, now):
            seen, wanted = AgentStatus.OFFLINE, AgentStatus.ONLINE
        else:
            return False  # nobody knows yet
        if row.status != seen:
            return False
        return self.ctx.db.write(lambda tx: _move(tx, now, row, seen, wanted))

    def _freeze(self, now: datetime, fleet: list[Row]) -> None:
        """Who has not been heard may be gone: that freezes. People are told only of a silence that was listened to."""
        silent = _together(fleet, now, self.ctx.listens_since)
        for client_id in silent.keys() - self._told:
            why = silent[client_id]
            self.ctx.db.write(
                lambda tx, c=client_id, w=why: events.append(tx, now, c, None, "correlated_silence", w)  # type: ignore[misc]
            )
        self._told = set(silent)
        self.frozen = _together(fleet, now, None)


def _together(fleet: list[Row], now: datetime, listened_since: datetime | None) -> dict[ClientId, str]:
    by_client: dict[ClientId, list[Presence]] = {}
    for row in fleet:
        by_client.setdefault(row.client_id, []).append(silence.presence_of(row, listened_since))
    whys = {client_id: frozen_because(rows, now) for client_id, rows in by_client.items()}
    return {client_id: why for client_id, why in whys.items() if why is not None}


def _move(tx: sa.Connection, now: datetime, row: Row, seen: AgentStatus, wanted: AgentStatus) -> bool:
    moved = tx.execute(
        sa.update(agents)
        .where(agents.c.id == row.id, agents.c.status == seen.value)
        .values(status=wanted.value)
    )
    if moved.rowcount != 1:
        return False
    if wanted is AgentStatus.OFFLINE:
        message = f"{row.instance_id} is silent or has ended: nothing is done on silence alone, only on what EC2 shows"
    else:
        message = f"{row.instance_id} is heard again"
    events.append(tx, now, row.client_id, row.id, f"agent_{wanted.value}", message)
    return True
