"""What EC2 and AWS have said of an instance's end, as the coordinator last saw or heard it (rulings B4, B9)."""

from __future__ import annotations

import sqlalchemy as sa

from spotguard.domain.ids import InstanceId
from spotguard.domain.instances import InstanceState, Mode, is_proof_of_death
from spotguard.domain.signals import SignalType
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
_NOTICED = sa.exists().where(
    spot_interruption_events.c.instance_id == instances.c.id,
    spot_interruption_events.c.signal_type == SignalType.TERMINATION.value,
)
_FIT = Prepared(
    sa.select(instances.c.id).where(
        instances.c.id == sa.bindparam("machine"),
        instances.c.is_active,
        *may_serve(),
        sa.or_(
            instances.c.ec2_state.is_(None),
            instances.c.ec2_state.not_in([state.value for state in _DYING]),
        ),
        sa.not_(_NOTICED),
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


def can_serve(tx: sa.Connection, instance_id: InstanceId) -> bool:
    """It lives, and AWS has not said that it is about to take it (rulings B9)."""
    return _FIT.first(tx, {"machine": instance_id}) is not None
