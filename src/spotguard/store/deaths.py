"""What EC2 has said of an instance's end, as the coordinator last saw it (ruling B4)."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from spotguard.domain.ids import InstanceId
from spotguard.domain.instances import InstanceState, Mode, is_proof_of_death
from spotguard.store.tables import instances

_STATE: sa.Select[Any] = sa.select(instances.c.ec2_state, instances.c.current_mode).where(
    instances.c.id == sa.bindparam("machine")
)


def is_dead(tx: sa.Connection, instance_id: InstanceId) -> bool:
    """EC2 says terminated (stopped, if on demand), as the coordinator last saw it (ruling B4)."""
    row = tx.execute(_STATE, {"machine": instance_id}).one_or_none()
    if row is None or row.ec2_state is None or row.current_mode is None:
        return False
    return is_proof_of_death(InstanceState(row.ec2_state), Mode(row.current_mode))


def is_stopped(tx: sa.Connection, instance_id: InstanceId) -> bool:
    """Dead by ruling B4 while it is on demand, and yet somebody may start it again."""
    row = tx.execute(_STATE, {"machine": instance_id}).one_or_none()
    return row is not None and row.ec2_state == InstanceState.STOPPED.value
