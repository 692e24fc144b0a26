"""The deadlines of open moves, from their rows: which step is due, and whether it is late enough to give up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from spotguard.domain.epochs import GrantStatus
from spotguard.domain.switches import OPEN_SWITCH, MoveKind, Step, SwitchStatus, WhenLate
from spotguard.planning.deadlines import HEARD_WITHIN, DueStep, OpenMove, lacks_writes, next_due
from spotguard.store import old_ends
from spotguard.store.prepared import Prepared
from spotguard.store.steps import heard_times
from spotguard.store.tables import epoch_grants, instances

Row = sa.Row[Any]
_BY_THE_HOLDER = frozenset(
    {
        Step.LAUNCHED,
        Step.SYNCED,
        Step.GATE_CLOSED,
        Step.DELTA_SENT,
        Step.IMAGED,
        Step.VOLUMES_MOVED,
        Step.RELEASED,
    }
)
_HELD = Prepared(
    sa.select(epoch_grants.c.granted_at).where(
        epoch_grants.c.agent_id == sa.bindparam("agent"), epoch_grants.c.status == GrantStatus.HELD.value
    )
)


def due_of(tx: sa.Connection, switch: Row) -> DueStep | None:
    """What this move waits for. None: nothing more, or the time of its termination notice counts instead."""
    if switch.status not in OPEN_SWITCH:
        return None
    granted_at = None
    if (
        switch.status == SwitchStatus.COMMITTED
    ):  # a later holder may have to open and prove itself in its place
        granted_at = _HELD.scalar(tx, {"agent": switch.agent_id})
    due = due_of_row(switch, heard_times(tx, switch.id), granted_at)
    if due is None or due.step is not Step.OLD_ENDED:
        return due
    at = old_ends.due_at(tx, switch.agent_id, due.at)
    return None if at is None else replace(due, at=at)


def due_of_row(switch: Row, heard: Mapping[Step, datetime], granted_at: datetime | None) -> DueStep | None:
    """The same of a row and its steps, where many are looked at. `granted_at`: of the agent's present epoch."""
    preparing = switch.status == SwitchStatus.PREPARING
    if preparing and switch.plan.get("close_by") is not None:
        return None
    return next_due(
        OpenMove(
            kind=MoveKind(switch.kind),
            is_recovery=switch.is_recovery,
            begun_at=max(switch.created_at, granted_at or switch.created_at),
            state_gib=switch.plan.get("state_gib"),
            wait_seconds=(switch.terminate_wait_seconds or 0) if switch.auto_terminate else 0,
            keeps_lost=lacks_writes(switch.lost_seconds, is_recovery=switch.is_recovery),
        ),
        heard,
    )


def is_past(switch: Row, now: datetime) -> bool:
    """All of its time before the grant is over."""
    return switch.deadline_at is not None and bool(now > switch.deadline_at)


def why_late(tx: sa.Connection, now: datetime, switch: Row) -> str | None:
    """Why a planned move is given up before its grant, None while it is not.

    A step of the holder's own counts as late only once the holder has been heard of after it was due: what a silent
    one has done meanwhile nobody knows, and it is given up when all of the move's time is over.
    """
    if is_past(switch, now):
        return "its deadline passed before the state was complete"
    due = due_of(tx, switch)
    if due is None or due.late is not WhenLate.UNWIND or now <= due.at + HEARD_WITHIN:
        return None
    if due.step in _BY_THE_HOLDER and not _heard_since(tx, switch, due.at):
        return None
    return f"the step {due.step} was due at {due.at:%H:%M:%S} UTC and has not happened"


def _heard_since(tx: sa.Connection, switch: Row, at: datetime) -> bool:
    heard_at = tx.execute(
        sa.select(instances.c.last_heartbeat_at).where(instances.c.id == switch.old_instance_id)
    ).scalar_one_or_none()
    return heard_at is not None and bool(heard_at > at)
