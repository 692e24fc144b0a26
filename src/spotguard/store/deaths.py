"""What EC2 and AWS have said of an instance's end, as the coordinator last saw or heard it (rulings B4, B9)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from spotguard.domain.ids import InstanceId
from spotguard.domain.instances import InstanceState, Mode, is_proof_of_death
from spotguard.domain.signals import NOTICE_SECONDS, SignalType
from spotguard.store.prepared import Prepared
from spotguard.store.set_apart import may_serve
from spotguard.store.tables import instances, spot_interruption_events

_STATE = Prepared(
    sa.select(instances.c.ec2_state, instances.c.current_mode, instances.c.hibernates).where(
        instances.c.id == sa.bindparam("machine")
    )
)

_DYING = (
    InstanceState.STOPPING,
    InstanceState.STOPPED,
    InstanceState.SHUTTING_DOWN,
    InstanceState.TERMINATED,
)
IS_ENDING = sa.func.coalesce(instances.c.ec2_state.in_([state.value for state in _DYING]), sa.false())
"""EC2 shows it on its way down or gone, as the coordinator last saw it; never NULL."""
_FIT = Prepared(
    sa.select(instances.c.id).where(
        instances.c.id == sa.bindparam("machine"),
        instances.c.is_active,
        *may_serve(),
        sa.not_(IS_ENDING),
    )
)

TAKEN_WITHIN = timedelta(minutes=10)  # of the end that a notice names; its agent forgets it after five
_HEARD_WITHIN = timedelta(minutes=2)
_RUNNING = Prepared(
    sa.select(instances.c.last_heartbeat_at).where(
        instances.c.id == sa.bindparam("machine"),
        instances.c.is_active,
        *may_serve(),
        instances.c.ec2_state == InstanceState.RUNNING.value,
    )
)
_e = spot_interruption_events.c
_NOTICES = Prepared(
    sa.select(_e.signal_time, _e.action_time, _e.detected_at, _e.resolved_at).where(
        _e.instance_id == sa.bindparam("machine"), _e.signal_type == SignalType.TERMINATION.value
    )
)


def is_dead(tx: sa.Connection, instance_id: InstanceId) -> bool:
    """EC2 says terminated (stopped, if its start is a boot), as the coordinator last saw it (ruling B4)."""
    row = _STATE.first(tx, {"machine": instance_id})
    if row is None or row.ec2_state is None or row.current_mode is None:
        return False
    state, mode = InstanceState(row.ec2_state), Mode(row.current_mode)
    return is_proof_of_death(state, mode, hibernates=row.hibernates)


def is_proven() -> sa.ColumnElement[bool]:
    """The same of the row of `instances` that a statement looks at; never NULL."""
    i = instances.c
    boots = sa.and_(
        i.ec2_state == InstanceState.STOPPED.value,
        i.current_mode == Mode.ONDEMAND.value,
        i.hibernates == sa.false(),
    )
    ended = sa.and_(i.ec2_state == InstanceState.TERMINATED.value, i.current_mode.is_not(None))
    return sa.func.coalesce(sa.or_(boots, ended), sa.false())


def is_stopped(tx: sa.Connection, instance_id: InstanceId) -> bool:
    """Dead by ruling B4 while it is on demand, and yet somebody may start it again."""
    row = _STATE.first(tx, {"machine": instance_id})
    return row is not None and row.ec2_state == InstanceState.STOPPED.value


def runs_nothing(tx: sa.Connection, instance_id: InstanceId) -> bool:
    """Dead, or it sleeps: its volumes and its standbys are all that there is of the state."""
    return is_dead(tx, instance_id) or is_stopped(tx, instance_id)


def can_serve(tx: sa.Connection, instance_id: InstanceId) -> bool:
    """It lives, and AWS has not said that it is about to take it (rulings B9)."""
    if _FIT.first(tx, {"machine": instance_id}) is None:
        return False
    return all(map(has_passed, _NOTICES.rows(tx, {"machine": instance_id})))


def was_not_taken(tx: sa.Connection, now: datetime, held: sa.Row[Any]) -> bool:
    """Of a holder: it is heard and EC2 shows it running, long after the end that its notices named.

    Not where a notice came before its epoch: who was given one and let go again for the same notice reads that still.
    """
    heard_at: datetime | None = _RUNNING.scalar(tx, {"machine": held.instance_id})
    if heard_at is None or now - heard_at > _HEARD_WITHIN:
        return False
    notices = _NOTICES.rows(tx, {"machine": held.instance_id})
    return all(row.detected_at >= held.granted_at and now - _end(row) > TAKEN_WITHIN for row in notices)


def was_noticed_before(tx: sa.Connection, held: sa.Row[Any]) -> bool:
    """Of a holder: a notice had come before it was given its epoch."""
    notices = _NOTICES.rows(tx, {"machine": held.instance_id})
    return any(row.detected_at < held.granted_at for row in notices)


def is_being_taken(tx: sa.Connection, now: datetime, instance_id: InstanceId) -> bool:
    """The end that a notice names is not long over: AWS needs nobody's help with it."""
    notices = _NOTICES.rows(tx, {"machine": instance_id})
    return any(now - _end(row) < timedelta(minutes=1) for row in notices)


def has_passed(notice: sa.Row[Any]) -> bool:
    """It was closed long after the end that it named: AWS did not carry it out."""
    closed_at: datetime | None = notice.resolved_at
    return closed_at is not None and closed_at - _end(notice) > TAKEN_WITHIN


def _end(notice: sa.Row[Any]) -> datetime:
    told: datetime | None = notice.action_time
    sent: datetime = min(notice.signal_time, notice.detected_at)
    return told or sent + timedelta(seconds=NOTICE_SECONDS)
