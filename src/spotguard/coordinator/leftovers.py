"""What is left behind: volumes of ended instances, snapshots and images of moves, machines whose role is over.

Slow and careful (invariant 7): only what carries our tags or what its owner had wanted deleted with its instance,
never an instance that ever held an epoch, seen twice where nothing names it, and capped per pass.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from spotguard.coordinator.agenda import Agenda, Work
from spotguard.coordinator.context import Beat, Context, Row
from spotguard.domain.errors import NeedsPerson, NotVisible
from spotguard.domain.ids import ClientId, ImageId, InstanceId, SnapshotId, VolumeId
from spotguard.domain.instances import InstanceState
from spotguard.planning.deadlines import KEEP_AFTER_LOSS
from spotguard.ports.cloud import Cloud, VolumeState
from spotguard.store import events, leftover_rows, storage
from spotguard.store.invariant_facts import ENDS_IDLE

SEEN_TWICE = timedelta(seconds=60)
_ENDING = (InstanceState.SHUTTING_DOWN.value, InstanceState.TERMINATED.value)


class Leftovers:
    """Machines whose role is over, and resources that nothing refers to."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self._beat = Beat(ctx.settings.orphans_seconds)
        self._suspects: dict[str, datetime] = {}

    def run(self, now: datetime, agenda: Agenda) -> int:
        ended = self.ctx.each(
            "idle machines", agenda.of(Work.IDLE), lambda row_id: self._end_idle(now, row_id)
        )
        if not self._beat.is_due(now):
            return ended
        return ended + self._orphans(now)

    def _end_idle(self, now: datetime, instance_id: str) -> bool:
        """The machine of a replica that was retired, or of a move that came to nothing, and that never served."""
        row = self.ctx.db.read(lambda tx: leftover_rows.idle_machine(tx, InstanceId(instance_id)))
        if row is None or row.ec2_state in _ENDING:
            return False
        return self._terminate(now, row, "its role is over and it never served")

    def _terminate(self, now: datetime, row: Row, because: str) -> bool:
        cloud = self.ctx.clouds(ClientId(row.client_id))
        if cloud is None:
            self.ctx.db.write(lambda tx: leftover_rows.ask_agent_to_end(tx, now, row, because))
            return False
        message, detail = f"{row.id} is ended: {because}", {"instance_id": row.id}
        self.ctx.db.write(
            lambda tx: events.append(tx, now, row.client_id, row.agent_id, ENDS_IDLE, message, detail)
        )
        try:
            cloud.terminate_instance(InstanceId(row.id))
        except NotVisible:
            return False
        self.ctx.soon(now, 5)
        return True

    def _orphans(self, now: datetime) -> int:
        machines, things = self.ctx.db.read(_unclaimed)
        done = self.ctx.each("orphans", machines, lambda row: self._end_orphan(now, row))
        self._suspects = {row.id: self._suspects[row.id] for row in machines if row.id in self._suspects}
        fresh = [row.id for row in things if row.suspect_since is None]
        known = {row.id for row in things}
        if fresh:
            self.ctx.db.write(lambda tx: storage.suspect(tx, now, fresh))
        cleared = self.ctx.db.read(lambda tx: leftover_rows.cleared(tx, known))
        if cleared:
            self.ctx.db.write(lambda tx: storage.clear(tx, cleared))
        due = [
            row for row in things if row.suspect_since is not None and now - row.suspect_since >= SEEN_TWICE
        ]
        most = self.ctx.settings.most_deletions_per_pass
        return done + self.ctx.each("leftovers", due[:most], lambda row: delete(self.ctx, now, row))

    def _end_orphan(self, now: datetime, row: Row) -> bool:
        """Ours by its tags, and nothing refers to it: in two looks."""
        seen = self._suspects.setdefault(row.id, now)
        if now - seen < SEEN_TWICE or row.ec2_state in _ENDING:
            return False
        return self._terminate(now, row, "nothing refers to it")


def _unclaimed(tx: sa.Connection) -> tuple[list[Row], list[Row]]:
    return leftover_rows.orphan_machines(tx), leftover_rows.unreferenced(tx)


def of_switch(ctx: Context, now: datetime, switch: Row) -> bool:
    """Delete what the old instance of a finished move left; True when nothing is left to delete."""
    lost = switch.lost_seconds is not None and switch.lost_seconds > 0
    if lost and now - switch.created_at < KEEP_AFTER_LOSS:
        return False
    cloud = ctx.clouds(ClientId(switch.client_id))
    if cloud is None:
        return True  # whoever calls EC2 for this client sees to it
    rows = ctx.db.read(lambda tx: leftover_rows.of_switch(tx, switch))
    waiting = [row for row in rows if not delete(ctx, now, row)]
    if waiting:
        ctx.soon(now, 5)
    return not waiting


def delete(ctx: Context, now: datetime, row: Row) -> bool:
    """Delete one resource, as EC2 shows it now; True when it is gone."""
    cloud = ctx.clouds(ClientId(row.client_id))
    if cloud is None:
        return False
    try:
        gone = _DELETE[row.kind](cloud, row.id)
    except NeedsPerson as error:
        if error.code not in {"VolumeInUse", "InvalidSnapshot.InUse", "IncorrectState"}:
            raise
        return False
    except NotVisible:
        gone = [row.id]
    if gone:
        ctx.db.write(lambda tx: storage.gone(tx, now, gone))
    return bool(gone)


def _delete_volume(cloud: Cloud, volume_id: str) -> list[str]:
    shown = cloud.describe_volumes([VolumeId(volume_id)])
    if shown and shown[0].state is not VolumeState.AVAILABLE:
        return [volume_id] if shown[0].state is VolumeState.DELETING else []
    cloud.delete_volume(VolumeId(volume_id))
    return [volume_id]


def _delete_snapshot(cloud: Cloud, snapshot_id: str) -> list[str]:
    cloud.delete_snapshot(SnapshotId(snapshot_id))
    return [snapshot_id]


def _delete_image(cloud: Cloud, image_id: str) -> list[str]:
    """With the snapshots that it owns: deregistering alone would leave them."""
    shown = cloud.describe_images([ImageId(image_id)])
    snapshots = [snapshot for view in shown for snapshot in view.snapshots.values()]
    cloud.deregister_image(ImageId(image_id))
    for snapshot in snapshots:
        cloud.delete_snapshot(snapshot)
    return [image_id, *snapshots]


_DELETE = {"volume": _delete_volume, "snapshot": _delete_snapshot, "image": _delete_image}
