"""Stands beside EC2 and sees what SpotGuard asks of it: nothing is ended or deleted that serves or may be needed again.

And once a minute it compares what is said of the way back with what is there, and looks whether who was granted an
epoch has ever heard the server: nobody can take an epoch back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from spotguard.cloud.simulated.ec2 import SimulatedEc2
from spotguard.domain.drills import DrillStatus
from spotguard.domain.epochs import GrantStatus
from spotguard.domain.errors import Doubtful, NeedsPerson, Throttled
from spotguard.domain.ids import ImageId, InstanceId, SnapshotId, VolumeId
from spotguard.domain.replicas import SyncStatus
from spotguard.domain.switches import MoveKind, Step, SwitchStatus
from spotguard.planning.deadlines import KEEP_AFTER_LOSS
from spotguard.planning.switching import STATE_DEVICE
from spotguard.simulation.hangs import may_be_ended
from spotguard.simulation.machine import state_of
from spotguard.simulation.world import Reach, World
from spotguard.store import fallbacks
from spotguard.store.prepared import Prepared
from spotguard.store.steps import IS_GRANTED, has
from spotguard.store.tables import agents, drills, epoch_grants, storage_resources, switches

FORBIDDEN = "UnauthorizedOperation"
LOOK_EVERY = timedelta(minutes=1)
OLDEST_IN_SYNC = fallbacks.FRESH + timedelta(
    seconds=150
)  # its highest lag, a pass, and a minute between two looks


class Witness:
    """Passes everything on, and remembers what was told to end, or deleted, since it was last asked.

    `refused` tells of each resource when EC2 was last asked for its end, and would not.
    """

    def __init__(self) -> None:
        self._told_to_end: list[InstanceId] = []
        self._deleted: list[VolumeId] = []
        self.refused: dict[str, datetime] = {}
        self._looks_at: datetime | None = None

    def reach(self, ec2: SimulatedEc2) -> Reach:
        """Server and agents call EC2 past this witness."""
        watched: Any = _Watched(ec2, self._told_to_end, self._deleted, self.refused)
        return Reach(watched, watched)

    def complaints(self, world: World) -> list[str]:
        """What was ended since the last look, and should not have been. An ended guest runs on for a few seconds."""
        return [*self._ended(world), *self._gone(world), *self._looks(world)]

    def _ended(self, world: World) -> list[str]:
        told = list(dict.fromkeys(self._told_to_end))
        self._told_to_end.clear()
        if not told:
            return []
        hanging = may_be_ended(world)
        told = [instance for instance in told if instance not in hanging]
        held, needed, rehearsing = _holders(world), _not_replaced_yet(world), _rehearsing(world)
        serving = {instance for register in world.registers.values() for instance in register.serving()}
        return [
            *(f"{instance} was told to end while it served" for instance in told if instance in serving),
            *(f"{instance} was told to end and holds the epoch" for instance in told if instance in held),
            *(
                f"{instance} was told to end before its successor had proven itself"
                for instance in told
                if instance in needed
            ),
            *(f"{instance} was told to end amid its drill" for instance in told if instance in rehearsing),
        ]

    def _gone(self, world: World) -> list[str]:
        gone = list(dict.fromkeys(self._deleted))
        self._deleted.clear()
        kept = _kept_for_a_person(world) if gone else set()
        return [f"{volume} was deleted, and holds what a standby lacked" for volume in gone if volume in kept]

    def _looks(self, world: World) -> list[str]:
        now = world.clock.now()
        if self._looks_at is not None and now < self._looks_at:
            return []
        since, self._looks_at = now - LOOK_EVERY, now + LOOK_EVERY
        return [*_deaf(world, since), *_ways_back(world, now)]


class _Watched:
    """A `Cloud` under the witness's eyes."""

    def __init__(
        self,
        inner: SimulatedEc2,
        told_to_end: list[InstanceId],
        deleted: list[VolumeId],
        refused: dict[str, datetime],
    ) -> None:
        self._inner, self._told_to_end, self._deleted = inner, told_to_end, deleted
        self._refused = refused

    def terminate_instance(self, instance_id: InstanceId) -> None:
        self._told_to_end.append(instance_id)
        with self._noting(instance_id):
            self._inner.terminate_instance(instance_id)

    def delete_volume(self, volume_id: VolumeId) -> None:
        self._deleted.append(volume_id)
        with self._noting(volume_id):
            self._inner.delete_volume(volume_id)

    def delete_snapshot(self, snapshot_id: SnapshotId) -> None:
        with self._noting(snapshot_id):
            self._inner.delete_snapshot(snapshot_id)

    def deregister_image(self, image_id: ImageId) -> None:
        with self._noting(image_id):
            self._inner.deregister_image(image_id)

    def describe_instances(self, ids: Iterable[InstanceId] = (), **more: Any) -> Any:
        return self._shown(self._inner.describe_instances, tuple(ids), more)

    def describe_volumes(self, ids: Iterable[VolumeId] = (), **more: Any) -> Any:
        return self._shown(self._inner.describe_volumes, tuple(ids), more)

    def _shown(self, describe: Callable[..., Any], ids: tuple[str, ...], more: dict[str, Any]) -> Any:
        """The look at one resource before its end is a part of the asking."""
        if len(ids) != 1:
            return describe(ids, **more)
        with self._noting(ids[0]):
            return describe(ids, **more)

    @contextmanager
    def _noting(self, resource_id: str) -> Iterator[None]:
        """Busy, silent or forbidding: nobody could do it. Still in use is no refusal: whoever uses it must let go."""
        try:
            yield
        except (Throttled, Doubtful, NeedsPerson) as error:
            if not isinstance(error, NeedsPerson) or error.code == FORBIDDEN:
                self._refused[resource_id] = self._inner.world.now
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def _holders(world: World) -> set[str]:
    held = sa.select(epoch_grants.c.instance_id).where(epoch_grants.c.status == GrantStatus.HELD.value)
    return set(world.db.read(lambda tx: tx.scalars(held).all()))


def _not_replaced_yet(world: World) -> set[str]:
    """Old instances of moves that were granted, and whose new one has not been verified (invariant 3)."""
    verified = has(switches.c.id, Step.VERIFIED)
    waiting = sa.select(switches.c.old_instance_id).where(
        switches.c.status == SwitchStatus.COMMITTED.value, sa.not_(verified)
    )
    return {instance for instance in world.db.read(lambda tx: tx.scalars(waiting).all()) if instance}


def _rehearsing(world: World) -> set[str]:
    """Clones whose drill is not judged yet."""
    running = sa.select(drills.c.instance_id).where(drills.c.status == DrillStatus.RUNNING.value)
    return {instance for instance in world.db.read(lambda tx: tx.scalars(running).all()) if instance}


def _kept_for_a_person(world: World) -> set[str]:
    """State volumes of dead holders whose standbys lack writes: a person may want them for a day."""
    s = storage_resources.c
    kept = (
        sa.select(s.id)
        .join(switches, switches.c.old_instance_id == s.last_attached_to)
        .where(
            s.kind == "volume",
            s.device == STATE_DEVICE,
            switches.c.is_recovery,
            switches.c.kind == MoveKind.SYNCED.value,
            switches.c.lost_seconds > 0,
            IS_GRANTED,
            switches.c.created_at > world.clock.now() - KEEP_AFTER_LOSS,
        )
    )
    return set(world.db.read(lambda tx: tx.scalars(kept).all()))


_former = epoch_grants.alias()
_TAKEN_OVER = Prepared(
    sa.select(epoch_grants.c.instance_id, epoch_grants.c.epoch)
    .join(_former, _former.c.agent_id == epoch_grants.c.agent_id)
    .where(
        epoch_grants.c.granted_at > sa.bindparam("since"),
        _former.c.epoch == epoch_grants.c.epoch - 1,
        _former.c.instance_id != epoch_grants.c.instance_id,
    )
)


def _deaf(world: World, since: datetime) -> list[str]:
    """New holders since then, but for those that held the epoch before, in another boot."""
    return [
        f"{row.instance_id} was granted epoch {row.epoch}, and has never heard the server"
        for row in world.db.read(lambda tx: _TAKEN_OVER.rows(tx, {"since": since}))
        if (process := world.processes.get(InstanceId(row.instance_id))) and not process.has_enrolled
    ]


def _ways_back(world: World, now: datetime) -> list[str]:
    """Who is told to be in sync lacks no more than the passes under way."""
    told = world.db.read(lambda tx: _WAYS_BACK.rows(tx, {}))
    return [line for row in told if (line := _overrated(world, now, row))]


_WAYS_BACK = Prepared(
    sa.select(switches, agents.c.logical_agent_id)
    .join(agents, agents.c.id == switches.c.agent_id)
    .where(
        switches.c.status == SwitchStatus.COMMITTED.value,
        switches.c.fallback_status == SyncStatus.SYNCED.value,
    )
)


def _overrated(world: World, now: datetime, switch: Any) -> str | None:
    """Its old instance is said to have it all, and lacks more than that."""
    state = fallbacks.state_of(switch, now)
    content = state_of(world.ec2, InstanceId(switch.old_instance_id))
    if state is None or state.sync_status is not SyncStatus.SYNCED or content is None:
        return None
    register = world.registers[switch.logical_agent_id]
    register.flush(now)
    lacks = timedelta(seconds=(register.acknowledged - content.last) * register.seconds_per_record)
    if lacks <= OLDEST_IN_SYNC:
        return None
    return (
        f"{switch.old_instance_id} is told to be in sync, and lacks {lacks.total_seconds():.0f} s of writes"
    )
