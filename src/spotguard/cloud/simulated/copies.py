"""Snapshots and images: copies of volumes as of one instant, finished minutes later."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

from spotguard.cloud.simulated.content import VolumeContent
from spotguard.cloud.simulated.labels import require_legal_image_name, require_legal_tags
from spotguard.cloud.simulated.state import Image, Machine, Snapshot, Volume
from spotguard.cloud.simulated.volumes import ROOT_DEVICE
from spotguard.cloud.simulated.world import World
from spotguard.domain.errors import NeedsPerson, NotVisible, Throttled
from spotguard.domain.ids import ImageId, InstanceId, SnapshotId, VolumeId
from spotguard.domain.instances import InstanceState
from spotguard.ports.cloud import CopyState, Tags, VolumeState

_IMAGEABLE = frozenset({InstanceState.RUNNING, InstanceState.STOPPED})
_COPYABLE = frozenset({VolumeState.AVAILABLE, VolumeState.IN_USE})


class Copies:
    """Makes and forgets snapshots and images."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._dice = world.dice("copies")

    def create_snapshot(self, volume_id: VolumeId, tags: Tags) -> SnapshotId:
        require_legal_tags(tags)
        return self._snapshot(self._world.volume(volume_id), tags).snapshot_id

    def _snapshot(self, volume: Volume, tags: Tags) -> Snapshot:
        self._require_copyable(volume)
        snapshot = Snapshot(
            snapshot_id=SnapshotId(self._world.new_id("snap")),
            volume_id=volume.volume_id,
            size_gib=volume.size_gib,
            started_at=self._world.now,
            ready_at=self._ready_at(volume),
            visible_at=self._world.visible_at(),
            tags=dict(tags),
            content=volume.content.fork(),
        )
        self._world.snapshots[snapshot.snapshot_id] = snapshot
        self._world.at(snapshot.ready_at, partial(self._finish, snapshot))
        return snapshot

    def _require_copyable(self, volume: Volume) -> None:
        if volume.state not in _COPYABLE:
            raise NeedsPerson("IncorrectState", f"{volume.volume_id} is {volume.state}")
        pending = sum(copy.state is CopyState.PENDING for copy in self._of(volume))
        if pending >= self._world.physics.pending_snapshots_per_volume:
            raise Throttled("ConcurrentSnapshotLimitExceeded", f"{volume.volume_id} has {pending} pending")

    def _of(self, volume: Volume) -> list[Snapshot]:
        return [
            copy
            for copy in self._world.snapshots.values()
            if copy.volume_id == volume.volume_id and copy.deleted_at is None
        ]

    def _ready_at(self, volume: Volume) -> datetime:
        physics = self._world.physics
        later = any(copy.state is CopyState.DONE for copy in self._of(volume))
        share = physics.incremental_share if later else 1.0
        copying = volume.size_gib * physics.snapshot_seconds_per_gib * share * self._dice.uniform(0.5, 1.5)
        return self._world.later(physics.snapshot_seconds) + timedelta(seconds=int(copying))

    def _finish(self, copy: Snapshot | Image) -> None:
        if copy.state is CopyState.PENDING:
            copy.state = CopyState.DONE

    def create_image(self, instance_id: InstanceId, name: str, tags: Tags) -> ImageId:
        machine = self._world.machine(instance_id)
        require_legal_tags(tags)
        require_legal_image_name(name)
        if machine.state not in _IMAGEABLE:
            raise NeedsPerson("IncorrectState", f"{instance_id} is {machine.state}")
        if any(image.name == name and not image.deregistered for image in self._world.images.values()):
            raise NeedsPerson("InvalidAMIName.Duplicate", name)
        snapshots = self._snapshots_of(machine, tags)
        image = self._register(name, tags, {device: copy.snapshot_id for device, copy in snapshots.items()})
        extra = self._world.later(self._world.physics.image_extra_seconds) - self._world.now
        last = max((copy.ready_at for copy in snapshots.values()), default=self._world.now)
        self._world.at(last + extra, partial(self._finish_image, image))
        return image.image_id

    def _snapshots_of(self, machine: Machine, tags: Tags) -> dict[str, Snapshot]:
        for volume in machine.volumes.values():
            self._require_copyable(volume)  # all or nothing
        return {device: self._snapshot(volume, tags) for device, volume in sorted(machine.volumes.items())}

    def _register(self, name: str, tags: Tags, snapshots: dict[str, SnapshotId]) -> Image:
        image = Image(
            image_id=ImageId(self._world.new_id("ami")),
            name=name,
            created_at=self._world.now,
            visible_at=self._world.visible_at(),
            tags=dict(tags),
            snapshots=snapshots,
        )
        self._world.images[image.image_id] = image
        return image

    def _finish_image(self, image: Image) -> None:
        parts = [self._world.snapshots[snapshot_id] for snapshot_id in image.snapshots.values()]
        if any(copy.state is CopyState.FAILED for copy in parts):
            image.state = CopyState.FAILED
        self._finish(image)

    def public_image(self, name: str, content: VolumeContent, size_gib: int) -> ImageId:
        """Somebody else's image, as a customer starts from: there at once, its snapshot not ours."""
        snapshot = Snapshot(
            snapshot_id=SnapshotId(self._world.new_id("snap")),
            volume_id=VolumeId(self._world.new_id("vol")),
            size_gib=size_gib,
            started_at=self._world.now,
            ready_at=self._world.now,
            visible_at=self._world.now,
            tags={},
            content=content,
            state=CopyState.DONE,
            is_public=True,
        )
        self._world.snapshots[snapshot.snapshot_id] = snapshot
        image = self._register(name, {}, {ROOT_DEVICE: snapshot.snapshot_id})
        image.visible_at, image.state, image.is_public = self._world.now, CopyState.DONE, True
        return image.image_id

    def deregister(self, image_id: ImageId) -> None:
        """Its snapshots stay; instances made from it run on."""
        known = self._world.images.get(image_id)
        if known is not None and known.deregistered:
            return
        image = self._world.image(image_id)
        if image.is_public:
            raise NeedsPerson("AuthFailure", f"{image_id} belongs to another account")
        image.deregistered = True

    def delete_snapshot(self, snapshot_id: SnapshotId) -> None:
        known = self._world.snapshots.get(snapshot_id)
        if known is not None and known.deleted_at is not None:
            return
        snapshot = self._world.snapshot(snapshot_id)
        for image in self._world.images.values():
            if not image.deregistered and snapshot_id in image.snapshots.values():
                raise NeedsPerson("InvalidSnapshot.InUse", f"{snapshot_id} belongs to {image.image_id}")
        snapshot.deleted_at = self._world.now

    def fail(self, copy_id: ImageId | SnapshotId) -> None:
        """What EC2 rarely does: a pending image or snapshot comes to nothing."""
        copy = self._world.images.get(ImageId(copy_id)) or self._world.snapshots.get(SnapshotId(copy_id))
        if copy is None:
            raise NotVisible("InvalidSnapshot.NotFound", copy_id)
        if copy.state is CopyState.PENDING:
            copy.state = CopyState.FAILED
