"""What is left behind: volumes of ended instances, snapshots and images of moves, machines whose role is over.

Slow and careful (invariant 7): only what carries our tags or what its owner had wanted deleted with its instance,
never an instance that ever held an epoch, seen twice where nothing names it, and capped per pass.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import sqlalchemy as sa

from spotguard.coordinator import doubtful
from spotguard.coordinator.agenda import Agenda, Work
from spotguard.coordinator.context import REST, Beat, Context, Row
from spotguard.coordinator.refusals import TOO_EARLY
from spotguard.coordinator.turns import Turns
from spotguard.domain.errors import Doubtful, NeedsPerson, NotVisible, Refused, Throttled
from spotguard.domain.ids import ClientId, ImageId, InstanceId, SnapshotId, VolumeId
from spotguard.domain.instances import InstanceState
from spotguard.domain.switches import SwitchStatus
from spotguard.execution.ending import look_before_end
from spotguard.planning.cleaning import DELETED, UNKNOWN_LAUNCH, may_go_at
from spotguard.planning.deadlines import KEEP_AFTER_LOSS, lacks_writes
from spotguard.ports.cloud import Cloud, VolumeState
from spotguard.ports.intentions import Intention
from spotguard.store import (
    deaths,
    events,
    fleet,
    forsaken,
    left_alone,
    left_for_people,
    leftover_rows,
    move_rows,
    served,
    storage,
    suspects,
)
from spotguard.store.invariant_moves import ENDS_IDLE

NOT_OURS = "not_ours_to_end"
NOTHING_REFERS = "nothing refers to it"
AGAIN = timedelta(seconds=30)
"""Asked again when EC2 had no time: sooner than the next beat, more seldom than in every pass, which it is short of."""
_ENDING = (InstanceState.SHUTTING_DOWN.value, InstanceState.TERMINATED.value)


class Leftovers:
    """Machines whose role is over, and resources that nothing refers to."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self._beat = Beat(ctx.settings.orphans_seconds)
        self._idle_turns: Turns[str] = Turns(ctx)
        self._again_at: datetime | None = None  # EC2 had no time for something that was due
        self._tried: dict[str, datetime] = {}  # when each of what is suspect was last tried

    def run(self, now: datetime, agenda: Agenda) -> int:
        ended = self.ctx.each(
            "idle machines",
            self._idle_turns.of(self.ctx.awake(agenda.of(Work.IDLE), now)),
            lambda row_id: self._end_idle(now, row_id),
        )
        if self._is_due(now):
            ended += self.sweep(now)
        if self._again_at is not None:
            self.ctx.soon(now, (self._again_at - now).total_seconds())
        return ended

    def _is_due(self, now: datetime) -> bool:
        if self._beat.is_due(now):
            return True
        return self._again_at is not None and now >= self._again_at

    def _end_idle(self, now: datetime, instance_id: str) -> bool:
        """The machine of a replica that was retired, or of a move that came to nothing, and that never served."""
        row = self.ctx.db.read(lambda tx: leftover_rows.idle_machine(tx, InstanceId(instance_id)))
        if row is None or row.ec2_state in _ENDING:
            return False
        return self._terminate(now, row, "its role is over and it never served")

    def _terminate(self, now: datetime, row: Row, because: str) -> bool:
        if self._is_left_alone(now, row):
            return False
        cloud = self.ctx.clouds(ClientId(row.client_id))
        if cloud is None:
            self.ctx.db.write(lambda tx: _ask_agent(tx, now, row, because))
            return False
        if not self._is_ours(now, cloud, row):
            return False
        if not self.ctx.db.write(lambda tx: _announce(tx, now, row, because)):
            return False
        try:
            cloud.terminate_instance(InstanceId(row.id))
        except NotVisible:
            return False
        except NeedsPerson as error:
            _needs_person(self.ctx, now, row, "instance", error)
            raise
        self.ctx.soon(now, 5)
        return True

    def _is_left_alone(self, now: datetime, row: Row) -> bool:
        """Also in the two minutes that AWS leaves it: they cost next to nothing, and who serves may die in them."""
        if self.ctx.db.read(lambda tx: deaths.is_being_taken(tx, now, row.id)):
            return True
        why = self.ctx.db.read(lambda tx: left_alone.why_left_alone(tx, row))
        if why is None:
            return False
        if why == UNKNOWN_LAUNCH:
            self._keep_unknown(now, row)
        self.ctx.rest(row.id, now, now + REST)
        return True

    def _is_ours(self, now: datetime, cloud: Cloud, row: Row) -> bool:
        """An agent's word made the row; the tags that EC2 shows say whose the machine is."""
        try:
            shown = look_before_end(cloud, InstanceId(row.id), row.agent_id, self.ctx.maker(row.client_id))
        except Refused as refusal:
            self.ctx.rest(row.id, now, now + REST)
            if self.ctx.news(row.id, "not ours", now):
                message, detail = str(refusal), {"instance_id": row.id}
                self.ctx.db.write(
                    lambda tx: events.append(tx, now, row.client_id, row.agent_id, NOT_OURS, message, detail)
                )
            return False
        return shown is not None

    def sweep(self, now: datetime) -> int:
        """What nothing refers to: noted when it is first seen, ended or deleted a minute later at the earliest."""
        self._again_at = None
        unsettled = self.ctx.db.read(forsaken.of_all)
        self.ctx.each("launches", unsettled, lambda one: self._settle(now, *one))
        machines, things = self.ctx.db.read(_unclaimed)
        kept = self.ctx.db.read(left_for_people.of_all)
        if self.ctx.db.read(lambda tx: suspects.changed(tx, machines, things, kept)):
            self.ctx.db.write(lambda tx: suspects.note(tx, now, machines, things, kept))
        self._tried = {row.id: self._tried[row.id] for row in (*machines, *things) if row.id in self._tried}
        ended = self.ctx.each(
            "orphans",
            self._turns(machines, now),
            lambda row: self._unless_busy(now, lambda: self._end_orphan(now, row)),
        )
        return ended + self.ctx.each(
            "leftovers",
            self._turns(things, now),
            lambda row: self._unless_busy(now, lambda: self._delete(now, row)),
        )

    def _turns(self, rows: list[Row], now: datetime) -> list[Row]:
        """As many as a pass may end, who has waited longest first: what EC2 goes on refusing holds up nothing else."""
        due = sorted(_due(rows, now), key=lambda row: self._tried.get(row.id, row.suspect_since))
        turns = due[: self.ctx.settings.most_deletions_per_pass]
        self._tried.update((row.id, now) for row in turns)
        return turns

    def _unless_busy(self, now: datetime, work: Callable[[], bool]) -> bool:
        try:
            return work()
        except (Throttled, Doubtful):
            self._again_at = now + AGAIN
            raise

    def _settle(self, now: datetime, client_id: ClientId, launch: Intention) -> bool:
        """Its replica or move is over, and its answer never came."""
        cloud = self.ctx.clouds(client_id)
        return cloud is not None and not doubtful.settle(self.ctx, now, cloud, client_id, [launch])

    def _delete(self, now: datetime, row: Row) -> bool:
        """After the last look: since the sweep began EC2 was asked for much, and who serves may have died."""
        if not self.ctx.db.read(lambda tx: _is_loose_still(tx, row)):
            return False
        return delete(self.ctx, now, row, NOTHING_REFERS)

    def _end_orphan(self, now: datetime, row: Row) -> bool:
        """Ours by its token, and nothing refers to it: in two looks."""
        return row.ec2_state not in _ENDING and self._terminate(now, row, NOTHING_REFERS)

    def _keep_unknown(self, now: datetime, row: Row) -> None:
        if not self.ctx.news(row.id, UNKNOWN_LAUNCH, now):
            return
        message, detail = f"{row.id} is not ended: {UNKNOWN_LAUNCH}", {"instance_id": row.id}
        self.ctx.db.write(
            lambda tx: events.append(tx, now, row.client_id, row.agent_id, "needs_person", message, detail)
        )


def _announce(tx: sa.Connection, now: datetime, row: Row, because: str) -> bool:
    """The last look at its role, and the word that it is ended, in one transaction; False: it is not ended now."""
    if not _is_idle_still(tx, now, row):
        return False
    message, detail = f"{row.id} is ended: {because}", {"instance_id": row.id}
    events.append(tx, now, row.client_id, row.agent_id, ENDS_IDLE, message, detail)
    return True


def _ask_agent(tx: sa.Connection, now: datetime, row: Row, because: str) -> bool:
    """Where the server has no EC2, after the same last look."""
    return _is_idle_still(tx, now, row) and leftover_rows.ask_agent_to_end(tx, now, row, because)


def _is_idle_still(tx: sa.Connection, now: datetime, row: Row) -> bool:
    fleet.hold(tx, now, row.agent_id)
    idle = leftover_rows.idle_machine(tx, InstanceId(row.id))
    return idle is not None and left_alone.why_left_alone(tx, idle) is None


def _due(rows: list[Row], now: datetime) -> list[Row]:
    return [row for row in rows if (at := may_go_at(row.suspect_since)) is not None and now >= at]


def _unclaimed(tx: sa.Connection) -> tuple[list[Row], list[Row]]:
    """Machines, and things. Of whoever has stopped everything no thing: in the copy of a backup, what these rows take
    for left over may be the state of who serves.
    """
    things = [row for row in leftover_rows.unreferenced(tx) if left_alone.why_stopped(tx, row) is None]
    return leftover_rows.orphan_machines(tx), things


def _is_loose_still(tx: sa.Connection, row: Row) -> bool:
    again = leftover_rows.unreferenced_of(tx, row.agent_id)
    return any(one.id == row.id for one in again) and left_alone.why_stopped(tx, row) is None


def of_switch(ctx: Context, now: datetime, switch: Row) -> bool:
    """Delete what the old instance of a finished move left; True when nothing is left to delete."""
    kept_until = switch.created_at + KEEP_AFTER_LOSS
    if lacks_writes(switch.lost_seconds, is_recovery=switch.is_recovery) and now < kept_until:
        ctx.rest(switch.id, now, kept_until)
        return False
    cloud = ctx.clouds(ClientId(switch.client_id))
    if cloud is None:
        return True  # whoever calls EC2 for this client sees to it
    if (rows := ctx.db.read(lambda tx: _needless(tx, switch))) is None:
        return False
    because = f"the old instance {switch.old_instance_id} of a finished move left it"
    waiting = [row for row in rows if not delete(ctx, now, row, because)]
    if waiting:
        ctx.soon(now, 5)
    return not waiting


def _needless(tx: sa.Connection, switch: Row) -> list[Row] | None:
    """None: what is left may be needed once more, its user has stopped everything, or its agent was deleted since the
    move was looked at.
    """
    goes_on = move_rows.get(tx, switch.id).status == SwitchStatus.COMMITTED
    if not goes_on or not served.is_served(tx, switch.agent_id):
        return None
    rows = leftover_rows.of_switch(tx, switch)
    return None if rows and left_alone.why_stopped(tx, switch) is not None else rows


def delete(ctx: Context, now: datetime, row: Row, because: str) -> bool:
    """Delete one resource, as EC2 shows it now; True when it is gone. An event tells what was deleted and why."""
    cloud = ctx.clouds(ClientId(row.client_id))
    if cloud is None:
        return False
    try:
        gone = _DELETE[row.kind](cloud, row.id)
    except NeedsPerson as error:
        if error.code not in TOO_EARLY:
            _needs_person(ctx, now, row, row.kind, error)
            raise
        return False
    except NotVisible:
        gone = [row.id]
    if gone:
        ctx.db.write(lambda tx: _gone(tx, now, row, gone, because))
    return bool(gone)


def _needs_person(ctx: Context, now: datetime, row: Row, kind: str, error: NeedsPerson) -> None:
    """Told when it begins; asked again with every look all the same, since nobody tells us when it is mended."""
    if not ctx.news(row.id, error.code, now):
        return
    message = f"EC2 refuses the end of the {kind} {row.id}, which nothing needs; a person must act: {error}"
    detail = {"kind": kind, "resource_id": row.id, "code": error.code}
    ctx.db.write(
        lambda tx: events.append(tx, now, row.client_id, row.agent_id, "needs_person", message, detail)
    )


def _gone(tx: sa.Connection, now: datetime, row: Row, gone: list[str], because: str) -> None:
    storage.gone(tx, now, gone)
    detail = {"kind": row.kind, "resource_ids": gone, "because": because}
    message = f"{row.kind} {row.id} is deleted: {because}"
    events.append(tx, now, row.client_id, row.agent_id, DELETED, message, detail)


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
