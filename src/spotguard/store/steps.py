"""The recorded steps of a move: each happens once; the switch row tells their times as the specification names them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from spotguard.domain.clock import rfc3339
from spotguard.domain.ids import SwitchId
from spotguard.domain.signals import SignalType
from spotguard.domain.switches import OPEN_SWITCH, TIMING_NAME, Step, SwitchStatus
from spotguard.store.prepared import Prepared, PreparedInsert
from spotguard.store.tables import spot_interruption_events, switch_steps, switches

SERVER = "server"
IS_OPEN = switches.c.status.in_([status.value for status in OPEN_SWITCH])
IS_GRANTED = switches.c.status.in_([SwitchStatus.COMMITTED.value, SwitchStatus.COMPLETED.value])

_STEPS = Prepared(
    sa.select(switch_steps.c.step, switch_steps.c.at).where(
        switch_steps.c.switch_id == sa.bindparam("switch")
    )
)

_RECORD = PreparedInsert(switch_steps)

_HEARD = Prepared(
    sa.select(switch_steps.c.step, switch_steps.c.recorded_at).where(
        switch_steps.c.switch_id == sa.bindparam("switch")
    )
)

_COLUMN_OF = {
    Step.DECIDED: "initiated_at",
    Step.IMAGED: "ami_created_at",
    Step.LAUNCHED: "instance_launched_at",
    Step.OPENED: "instance_ready_at",
    Step.OLD_ENDED: "old_terminated_at",
}
_TELL_TIMES = {
    step: Prepared(
        sa.update(switches)
        .where(switches.c.id == sa.bindparam("switch"))
        .values(
            timing_data=sa.bindparam("times"),
            **({} if step is None else {_COLUMN_OF[step]: sa.bindparam("time")}),
        )
    )
    for step in (None, *_COLUMN_OF)
}
SUPERSEDED = "superseded_by_epoch"  # detail of what a later holder did for a move, since the move's own no longer could
LEFT_RUNNING = "left_running"  # detail of OLD_ENDED when auto-terminate is off: nothing was terminated


def record_step(
    tx: sa.Connection,
    now: datetime,
    switch_id: SwitchId,
    step: Step,
    at: datetime,
    actor: str,
    detail: Mapping[str, Any] | None = None,
) -> bool:
    """True when the step is new; the same again changes nothing."""
    told = dict(detail or {})
    row = {
        "switch_id": switch_id,
        "step": step.value,
        "at": at,
        "recorded_at": now,
        "actor": actor,
        "detail": told,
    }
    if step in recorded_steps(tx, switch_id):
        return False
    try:
        _RECORD.add(tx, row)
    except IntegrityError:
        return False  # somebody recorded it in the same moment
    _tell_times(tx, switch_id, step, at, told)
    if step is Step.OPENED:
        _complete_failover(tx, now, switch_id)
    return True


def recorded_steps(tx: sa.Connection, switch_id: SwitchId) -> list[Step]:
    """In the order in which they happened."""
    return list(step_times(tx, switch_id))


def step_times(tx: sa.Connection, switch_id: SwitchId) -> dict[Step, datetime]:
    order = {step: number for number, step in enumerate(Step)}
    rows = _STEPS.rows(tx, {"switch": switch_id})
    known = sorted(((Step(row.step), row.at) for row in rows), key=lambda pair: (pair[1], order[pair[0]]))
    return dict(known)


def heard_times(tx: sa.Connection, switch_id: SwitchId) -> dict[Step, datetime]:
    """When the server heard of each step, by its own clock."""
    rows = _HEARD.rows(tx, {"switch": switch_id})
    return {Step(row.step): row.recorded_at for row in rows}


def has(switch_id: sa.ColumnElement[str], step: Step) -> sa.ColumnElement[bool]:
    """For a WHERE: the move has come so far."""
    s = switch_steps.alias()
    return sa.exists().where(s.c.switch_id == switch_id, s.c.step == step.value)


def only_prunes(switch_id: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """For a WHERE: its new instance is proven and its old one has ended. What that left may be kept for a day yet."""
    return sa.and_(has(switch_id, Step.VERIFIED), has(switch_id, Step.OLD_ENDED))


def superseded_by(tx: sa.Connection, switch_id: SwitchId) -> int | None:
    """The later epoch by which it was opened or verified, if its new instance did not hold its own for so long."""
    wanted = sa.select(switch_steps.c.detail).where(
        switch_steps.c.switch_id == switch_id,
        switch_steps.c.step.in_([Step.OPENED.value, Step.VERIFIED.value]),
    )
    epochs = [detail[SUPERSEDED] for detail in tx.scalars(wanted) if SUPERSEDED in detail]
    return min(epochs, default=None)


def _tell_times(
    tx: sa.Connection, switch_id: SwitchId, step: Step, at: datetime, detail: Mapping[str, Any]
) -> None:
    """`timing_data` and the specification's five columns are told from the steps, whole, so that no order matters."""
    shown = step_times(tx, switch_id)
    told = {"switch": switch_id, "times": {TIMING_NAME[s]: rfc3339(t) for s, t in shown.items()}, "time": at}
    has_column = step in _COLUMN_OF and not detail.get(LEFT_RUNNING)
    _TELL_TIMES[step if has_column else None].change(tx, told)


def _complete_failover(tx: sa.Connection, now: datetime, switch_id: SwitchId) -> None:
    """The workload serves elsewhere: nothing more is owed to the signals of the instance that it left."""
    _COMPLETED.change(tx, {"move": switch_id, "now": now})
    _RESOLVED.change(tx, {"move": switch_id, "now": now})


_e = spot_interruption_events.c
_OF_WHAT_IT_LEFT = (
    _e.instance_id
    == sa.select(switches.c.old_instance_id).where(switches.c.id == sa.bindparam("move")).scalar_subquery()
)
# resolved or not: the coordinator's pass may have seen first that its instance holds nothing any more
_COMPLETED = Prepared(
    sa.update(spot_interruption_events)
    .where(
        _OF_WHAT_IT_LEFT,
        _e.signal_type == SignalType.TERMINATION.value,
        _e.failover_completed.is_(False),
    )
    .values(
        failover_completed=True, failover_completed_at=sa.bindparam("now"), switch_id=sa.bindparam("move")
    )
)
_RESOLVED = Prepared(
    sa.update(spot_interruption_events)
    .where(_OF_WHAT_IT_LEFT, _e.resolved_at.is_(None))
    .values(resolved_at=sa.bindparam("now"))
)
