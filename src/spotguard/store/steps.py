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
from spotguard.domain.switches import TIMING_NAME, Step
from spotguard.store.prepared import Prepared
from spotguard.store.tables import spot_interruption_events, switch_steps, switches

SERVER = "server"

_STEPS = Prepared(
    sa.select(switch_steps.c.step, switch_steps.c.at).where(
        switch_steps.c.switch_id == sa.bindparam("switch")
    )
)

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
        tx.execute(sa.insert(switch_steps), row)
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


def _tell_times(
    tx: sa.Connection, switch_id: SwitchId, step: Step, at: datetime, detail: Mapping[str, Any]
) -> None:
    """`timing_data` and the specification's five columns are told from the steps, whole, so that no order matters."""
    shown = step_times(tx, switch_id)
    values: dict[str, Any] = {"timing_data": {TIMING_NAME[s]: rfc3339(t) for s, t in shown.items()}}
    if step in _COLUMN_OF and not detail.get(LEFT_RUNNING):
        values[_COLUMN_OF[step]] = at
    tx.execute(sa.update(switches).where(switches.c.id == switch_id).values(**values))


def _complete_failover(tx: sa.Connection, now: datetime, switch_id: SwitchId) -> None:
    """The workload serves elsewhere: nothing more is owed to the signals of the instance that it left."""
    events = spot_interruption_events
    left = sa.select(switches.c.old_instance_id).where(switches.c.id == switch_id).scalar_subquery()
    of_it = events.c.instance_id == left
    # resolved or not: the coordinator's pass may have seen first that its instance holds nothing any more
    tx.execute(
        sa.update(events)
        .where(
            of_it,
            events.c.signal_type == SignalType.TERMINATION.value,
            events.c.failover_completed.is_(False),
        )
        .values(failover_completed=True, failover_completed_at=now, switch_id=switch_id)
    )
    tx.execute(sa.update(events).where(of_it, events.c.resolved_at.is_(None)).values(resolved_at=now))
