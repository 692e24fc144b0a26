"""Images of who served: which is the newest to come back from, and which lack a volume that their machine was to
have, since they were made while it was attached to nobody.
"""

from __future__ import annotations

from collections.abc import Container
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from spotguard.domain.ids import AgentId, InstanceId
from spotguard.ports.cloud import CopyState, ImageView
from spotguard.store import storage
from spotguard.store.prepared import Prepared
from spotguard.store.tables import epoch_grants, storage_resources

Row = sa.Row[Any]
_HELD_THEN = Prepared(
    sa.select(epoch_grants.c.instance_id)
    .where(
        epoch_grants.c.agent_id == sa.bindparam("agent"), epoch_grants.c.granted_at <= sa.bindparam("then")
    )
    .order_by(epoch_grants.c.epoch.desc())
    .limit(1)
)

_s = storage_resources.c
_volume = storage_resources.alias("volume").c
_COMPLETE = Prepared(
    sa.select(storage_resources)
    .where(
        _s.agent_id == sa.bindparam("agent"),
        _s.kind == "image",
        _s.ended_at.is_(None),
        _s.state == CopyState.DONE.value,
    )
    .order_by(_s.created_at.desc(), _s.id)
)
_DEVICES = Prepared(
    sa.select(_volume.device)
    .join(storage_resources, _s.source_id == _volume.id)
    .where(_s.kind == "snapshot", _s.image_id == sa.bindparam("image"), _volume.device.is_not(None))
)


def newest_of(tx: sa.Connection, agent_id: AgentId | str) -> Row | None:
    """Of the complete ones; an older one instead of one that lacks a volume only where that has it."""
    complete = _COMPLETE.rows(tx, {"agent": agent_id})
    newest = next(iter(complete), None)
    if newest is None or not newest.is_partial:
        return newest
    whole = next((row for row in complete if not row.is_partial), None)
    has_more = whole is not None and bool(_devices(tx, whole) - _devices(tx, newest))
    return whole if has_more else newest


def _devices(tx: sa.Connection, image: Row) -> set[str]:
    return {row.device for row in _DEVICES.rows(tx, {"image": image.id})}


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
        sa.update(storage_resources).where(_s.id == row.id, _s.is_partial.is_(None)).values(is_partial=lacks)
    )
