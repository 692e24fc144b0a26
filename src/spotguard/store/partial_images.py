"""Images that lack a volume which their machine was to have: made while it was attached to nobody."""

from __future__ import annotations

from collections.abc import Container
from datetime import datetime

import sqlalchemy as sa

from spotguard.domain.ids import InstanceId
from spotguard.ports.cloud import CopyState, ImageView
from spotguard.store import storage
from spotguard.store.prepared import Prepared
from spotguard.store.tables import epoch_grants, storage_resources

_HELD_THEN = Prepared(
    sa.select(epoch_grants.c.instance_id)
    .where(
        epoch_grants.c.agent_id == sa.bindparam("agent"), epoch_grants.c.granted_at <= sa.bindparam("then")
    )
    .order_by(epoch_grants.c.epoch.desc())
    .limit(1)
)


def lacking(
    tx: sa.Connection, machine: InstanceId, devices: Container[str], before: datetime | None = None
) -> list[str]:
    """The volumes of the machine, besides its root, at none of the devices. `before`: of those made by then."""
    return [
        row.id
        for row in storage.data_volumes_of(tx, machine)
        if row.device not in devices and (before is None or row.created_at <= before)
    ]


def saw(tx: sa.Connection, view: ImageView) -> None:
    """When it is seen complete for the first time, what its machine has is compared with what it holds: later volumes
    may have come.
    """
    row = storage.row_of(tx, view.image_id)
    if row is None or view.state is not CopyState.DONE or row.is_partial is not None:
        return
    held = _HELD_THEN.first(tx, {"agent": row.agent_id, "then": view.created_at})
    machine = None if held is None else InstanceId(held.instance_id)
    lacks = machine is not None and bool(lacking(tx, machine, view.snapshots, view.created_at))
    tx.execute(
        sa.update(storage_resources)
        .where(storage_resources.c.id == row.id, storage_resources.c.is_partial.is_(None))
        .values(is_partial=lacks)
    )
