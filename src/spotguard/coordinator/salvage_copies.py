"""The copy of a dead holder's volume in the new primary's zone, by way of a snapshot: made, and deleted.

The salvage's row stands before the first call and names the token of the volume. A snapshot has no token: it is looked
for by its tags, and one that was asked for may not show for a while.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

import sqlalchemy as sa

from spotguard.coordinator.context import Context, Row
from spotguard.domain.errors import NeedsPerson, NotVisible
from spotguard.domain.ids import AgentId, ClientId, ClientToken, InstanceId, SwitchId, VolumeId
from spotguard.domain.salvages import PURPOSE, SalvageStatus
from spotguard.domain.tags import PURPOSE_TAG, SWITCH_TAG
from spotguard.planning.cleaning import DELETED
from spotguard.ports.cloud import Cloud, CopyState, SnapshotView, VolumeState
from spotguard.store import events, launch_orders, salvages, sightings, storage

T = TypeVar("T")
SHOWS_WITHIN = timedelta(minutes=1)
_IN_USE = ("VolumeInUse", "IncorrectState", "InvalidSnapshot.InUse")


def make(ctx: Context, now: datetime, cloud: Cloud, row: Row) -> bool:
    """One step; True when the row has got on. `NeedsPerson`: EC2 makes no copy."""
    found = _snapshots(cloud, row)
    if not found:
        _ask_snapshot(ctx, now, cloud, row)
        return False
    snapshot = found[0]
    if snapshot.state is CopyState.FAILED:
        raise NeedsPerson("error", f"EC2 could not make the snapshot {snapshot.snapshot_id}")
    if snapshot.state is CopyState.PENDING:
        return False
    here = ctx.db.read(lambda tx: sightings.get(tx, InstanceId(row.instance_id)))
    if here is None:
        return False
    copy = cloud.create_volume(
        ClientToken(row.id), here.az, snapshot.size_gib, _tags(ctx, row), snapshot.snapshot_id
    )
    due = now + salvages.LOOKS_WITHIN
    return ctx.db.write(
        lambda tx: salvages.move(tx, row, SalvageStatus.WAITING, copy_id=copy, deadline_at=due)
    )


def clear(ctx: Context, now: datetime, cloud: Cloud, row: Row) -> bool:
    """True when EC2 shows nothing any more that was made for it, and has had time to show it."""
    left = _was_just_asked(ctx, now, row)
    for volume in cloud.describe_volumes(tags=_marks(row)):
        if volume.state is VolumeState.AVAILABLE and _delete(cloud.delete_volume, VolumeId(volume.volume_id)):
            _tell(ctx, now, row, "volume", volume.volume_id)
        left |= volume.state is not VolumeState.DELETING
    for snapshot in _snapshots(cloud, row):
        if _delete(cloud.delete_snapshot, snapshot.snapshot_id):
            _tell(ctx, now, row, "snapshot", snapshot.snapshot_id)
        left = True
    return not left


def _snapshots(cloud: Cloud, row: Row) -> tuple[SnapshotView, ...]:
    """Of the dead one's volume: a backup of the copy has the copy's tags."""
    shown = cloud.describe_snapshots(tags=_marks(row))
    return tuple(one for one in shown if one.volume_id == row.volume_id)


def _ask_snapshot(ctx: Context, now: datetime, cloud: Cloud, row: Row) -> None:
    if _was_just_asked(ctx, now, row):
        return
    ctx.told[row.id, "snapshot"] = now
    cloud.create_snapshot(VolumeId(row.volume_id), _tags(ctx, row))


def _was_just_asked(ctx: Context, now: datetime, row: Row) -> bool:
    asked = ctx.told.get((row.id, "snapshot"))
    return asked is not None and now - asked < SHOWS_WITHIN


def _marks(row: Row) -> dict[str, str]:
    return {SWITCH_TAG: row.switch_id, PURPOSE_TAG: PURPOSE}


def _tags(ctx: Context, row: Row) -> dict[str, str]:
    def look(tx: sa.Connection) -> dict[str, str]:
        client_id, agent_id = ClientId(row.client_id), AgentId(row.agent_id)
        return launch_orders.tags_of(tx, client_id, agent_id, PURPOSE, switch_id=SwitchId(row.switch_id))

    return ctx.db.read(look)


def _delete(call: Callable[[T], None], resource_id: T) -> bool:
    """False where it is not time yet, or it is gone already."""
    try:
        call(resource_id)
    except NotVisible:
        return False
    except NeedsPerson as error:
        if error.code not in _IN_USE:
            raise
        return False
    return True


def _tell(ctx: Context, now: datetime, row: Row, kind: str, resource_id: str) -> None:
    because = f"the copy of {row.volume_id} was made for a look, and that is over"
    detail = {"kind": kind, "resource_ids": [resource_id], "because": because}
    message = f"{kind} {resource_id} is deleted: {because}"

    def over(tx: sa.Connection) -> None:
        storage.gone(tx, now, [resource_id])  # or the sweep finds it too, and tells its deletion again
        events.append(tx, now, row.client_id, row.agent_id, DELETED, message, detail)

    ctx.db.write(over)
