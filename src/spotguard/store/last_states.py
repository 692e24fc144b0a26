"""Disks that hold what a workload lost when it came back from an image: kept for a person, whosever they were."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from spotguard.domain.replicas import ReplicaStatus
from spotguard.domain.switches import MoveKind, SwitchStatus
from spotguard.store.prepared import Prepared
from spotguard.store.tables import epoch_grants, replica_instances, storage_resources, switches

Row = sa.Row[Any]
_s = storage_resources.c
_r = replica_instances.c
_e = epoch_grants.c
_FROM_AN_IMAGE = (
    switches.c.agent_id == _s.agent_id,
    switches.c.is_recovery,
    switches.c.kind == MoveKind.IMAGE.value,
    switches.c.status.in_([SwitchStatus.COMMITTED.value, SwitchStatus.COMPLETED.value]),
)


def is_last_state() -> sa.ColumnElement[bool]:
    """For a WHERE on `storage_resources`: nothing was taken from it by the recovery that followed its machine's death.

    A disk of the holder that died; of an earlier one that had not been cleaned up by then, since the image may be older
    than what it left; or of a standby that had been in sync and was gone by then, too.
    """
    of_holder = sa.exists().where(
        *_FROM_AN_IMAGE,
        _e.agent_id == _s.agent_id,
        _e.instance_id == _s.last_attached_to,
        _e.epoch <= switches.c.from_epoch,
    )
    of_standby = sa.exists().where(
        *_FROM_AN_IMAGE,
        _r.agent_id == _s.agent_id,
        _r.instance_id == _s.last_attached_to,
        _r.synced_at.is_not(None),
        _r.status != ReplicaStatus.PROMOTED.value,
        _r.created_at <= switches.c.created_at,
    )
    return sa.or_(of_holder, of_standby)


_ALL = Prepared(
    sa.select(storage_resources)
    .where(
        _s.kind == "volume",
        _s.ended_at.is_(None),
        _s.attached_to.is_(None),
        sa.or_(_s.is_ours, _s.delete_with_instance),
        is_last_state(),
    )
    .order_by(_s.created_at, _s.id)
)


def of_all(tx: sa.Connection) -> list[Row]:
    """Of every tenant."""
    return list(_ALL.rows(tx, {}))
