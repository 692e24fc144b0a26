"""The moves that the invariants look at: those that are open, and those of the last day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from spotguard.domain.agents import OFFLINE_AFTER_SECONDS, AgentStatus
from spotguard.domain.commands import CommandStatus, CommandType
from spotguard.domain.ids import ClientId
from spotguard.domain.switches import Step, SwitchStatus, Trigger
from spotguard.planning import invariants as inv
from spotguard.planning.deadlines import DueStep
from spotguard.store import deaths, grants, kill, left_alone, move_deadlines
from spotguard.store.batches import batch_of, batched
from spotguard.store.prepared import Prepared
from spotguard.store.steps import IS_OPEN
from spotguard.store.tables import (
    agent_events,
    agents,
    commands,
    epoch_grants,
    instances,
    switch_steps,
    switches,
)

Row = sa.Row[Any]
RECENT = timedelta(days=1)
ENDS_OLD, ENDS_IDLE = (
    "old_terminating",
    "instance_ended_by_us",
)  # told before the call: what ended by our hand
_ENDS = (CommandType.TERMINATE_INSTANCE.value, CommandType.RETIRE_REPLICA.value)
_NEVER_BEGUN = (CommandStatus.PENDING.value, CommandStatus.CANCELLED.value)


def of_client(tx: sa.Connection, now: datetime, client_id: ClientId | None) -> list[inv.SwitchFact]:
    """Of everybody where None."""
    rows = _rows(tx, now, client_id)
    if not rows:
        return []
    steps = _steps(tx, now)
    asked = _asked_to_end(tx, rows)
    away = _away(tx, now)
    moving = {row.agent_id for row in rows if row.status == SwitchStatus.PREPARING}
    return [
        inv.SwitchFact(
            switch_id=row.id,
            agent_id=row.agent_id,
            status=SwitchStatus(row.status),
            trigger=Trigger(row.event_trigger),
            steps=frozenset(steps.get(row.id, ())),
            at=row.created_at,
            deadline_at=row.deadline_at,
            voluntary=row.event_trigger == Trigger.AUTO_SWITCH
            and row.plan.get("aim") != "recover"
            and row.status not in (SwitchStatus.UNWOUND, SwitchStatus.FAILED),
            most_a_day=row.plan.get("most_a_day", inv.MANY_SWITCHES_A_DAY),
            due=_due(tx, row, away, moving),
            old_ended_by_us=any(at >= row.created_at for at in asked.get(row.old_instance_id, ())),
        )
        for row in rows
    ]


_OPEN_OR_RECENT = sa.or_(
    IS_OPEN,
    switches.c.created_at > sa.bindparam("since"),
)
_MOVES = Prepared(sa.select(switches).where(_OPEN_OR_RECENT))
_OF_CLIENT = Prepared(
    sa.select(switches).where(_OPEN_OR_RECENT, switches.c.client_id == sa.bindparam("client"))
)


def _rows(tx: sa.Connection, now: datetime, client_id: ClientId | None) -> Sequence[Row]:
    since = {"since": now - RECENT}
    if client_id is None:
        return _MOVES.rows(tx, since)
    return _OF_CLIENT.rows(tx, since | {"client": client_id})


def _due(tx: sa.Connection, switch: Row, away: set[str], moving: set[str]) -> DueStep | None:
    """While its agent is away, or being moved or recovered once more, a move waits for that, and for its user while he
    has stopped everything: where nobody serves he is told (`nobody_serves`), and nothing is deleted.
    """
    waits = switch.status == SwitchStatus.COMMITTED and switch.agent_id in moving
    if waits or switch.agent_id in away:
        return None
    due = move_deadlines.due_of(tx, switch)
    return None if due is not None and _is_stopped(tx, switch, due.step) else due


def _is_stopped(tx: sa.Connection, switch: Row, step: Step) -> bool:
    held = grants.holder(tx, switch.agent_id)
    if held is None or switch.status != SwitchStatus.COMMITTED:
        return False
    if held.released_at is None and step is not Step.PRUNED:
        return False
    if step is Step.PRUNED:
        return left_alone.why_stopped(tx, switch) is not None
    return kill.stops_everything(tx, switch.client_id, switch.agent_id)


def _away(tx: sa.Connection, now: datetime) -> set[str]:
    """Offline, deleted, or in the midst of a move whose new holder is not heard of, or is ending."""
    silent_since = now - timedelta(seconds=OFFLINE_AFTER_SECONDS)
    return {row.id for row in _AWAY.rows(tx, {"silent_since": silent_since})}


_IS_SILENT = sa.and_(
    epoch_grants.c.granted_at < sa.bindparam("silent_since"),
    sa.func.coalesce(instances.c.last_heartbeat_at, epoch_grants.c.granted_at) < sa.bindparam("silent_since"),
)
_UNHEARD = sa.exists().where(
    epoch_grants.c.held_agent_id == agents.c.id,
    instances.c.id == epoch_grants.c.instance_id,
    sa.or_(_IS_SILENT, deaths.IS_ENDING),
)
_AWAY = Prepared(
    sa.select(agents.c.id).where(
        sa.or_(agents.c.status == AgentStatus.OFFLINE.value, agents.c.deleted_at.is_not(None), _UNHEARD)
    )
)


def _asked_to_end(tx: sa.Connection, moves: Sequence[Row]) -> dict[str, list[datetime]]:
    """When we asked for the end of which instance: by a command that an agent has taken, or by a call of our own."""
    movers, since = sorted({row.agent_id for row in moves}), min(row.created_at for row in moves)
    asked: dict[str, list[datetime]] = {}
    for some in batched(movers):
        for query in (_TAKEN, _CALLED):
            for row in query.rows(tx, some | {"since": since}):
                asked.setdefault(row.told.get("instance_id", ""), []).append(row.at)
    return asked


_c, _e = commands.c, agent_events.c
_TAKEN = Prepared(
    sa.select(_c.payload.label("told"), _c.created_at.label("at")).where(
        _c.agent_id.in_(batch_of(_c.agent_id)),
        _c.created_at >= sa.bindparam("since"),
        _c.command_type.in_(_ENDS),
        _c.status.not_in(_NEVER_BEGUN),
    )
)
_CALLED = Prepared(
    sa.select(_e.detail.label("told"), _e.at).where(
        _e.agent_id.in_(batch_of(_e.agent_id)),
        _e.at >= sa.bindparam("since"),
        _e.kind.in_([ENDS_OLD, ENDS_IDLE]),
    )
)


def _steps(tx: sa.Connection, now: datetime) -> dict[str, list[Step]]:
    steps: dict[str, list[Step]] = {}
    for row in _STEPS.rows(tx, {"since": now - RECENT}):
        steps.setdefault(row.switch_id, []).append(Step(row.step))
    return steps


_STEPS = Prepared(
    sa.select(switch_steps.c.switch_id, switch_steps.c.step)
    .join(switches, switches.c.id == switch_steps.c.switch_id)
    .where(_OPEN_OR_RECENT)
)
