"""Records as the Describe calls show them."""

from __future__ import annotations

from collections.abc import Iterable

from spotguard.cloud.simulated.state import Image, Machine, Snapshot, Volume
from spotguard.cloud.simulated.world import World
from spotguard.domain.ids import ClientToken, ImageId, InstanceId, SnapshotId, VolumeId
from spotguard.ports.cloud import (
    AttachedVolume,
    ImageView,
    InstanceView,
    SnapshotView,
    Tags,
    VolumeView,
)


def instances(
    world: World, ids: Iterable[InstanceId], token: ClientToken | None, tags: Tags | None
) -> tuple[InstanceView, ...]:
    """A coordinator asks this every few seconds: views are kept until their machine changes."""
    wanted, now = frozenset(ids), world.now
    return tuple(
        machine.view or instance_view(machine)
        for machine in world.shown.values()
        if machine.visible_at <= now
        and (not wanted or machine.instance_id in wanted)
        and (token is None or machine.token == token)
        and (not tags or _has(machine.tags, tags))
    )


def volumes(
    world: World, ids: Iterable[VolumeId], token: ClientToken | None, tags: Tags | None
) -> tuple[VolumeView, ...]:
    wanted = frozenset(ids)
    return tuple(
        volume_view(volume)
        for volume in world.volumes.values()
        if volume.deleted_at is None
        and volume.visible_at <= world.now
        and (not wanted or volume.volume_id in wanted)
        and (token is None or volume.token == token)
        and (not tags or _has(volume.tags, tags))
    )


def snapshots(world: World, ids: Iterable[SnapshotId], tags: Tags | None) -> tuple[SnapshotView, ...]:
    wanted = frozenset(ids)
    return tuple(
        snapshot_view(snapshot)
        for snapshot in world.snapshots.values()
        if snapshot.deleted_at is None
        and not snapshot.is_public
        and snapshot.visible_at <= world.now
        and (not wanted or snapshot.snapshot_id in wanted)
        and (not tags or _has(snapshot.tags, tags))
    )


def images(
    world: World, ids: Iterable[ImageId], name: str | None, tags: Tags | None
) -> tuple[ImageView, ...]:
    """Somebody else's public image shows only when asked for by id."""
    wanted = frozenset(ids)
    return tuple(
        image_view(image)
        for image in world.images.values()
        if not image.deregistered
        and image.visible_at <= world.now
        and (image.image_id in wanted if wanted else not image.is_public)
        and (name is None or image.name == name)
        and (not tags or _has(image.tags, tags))
    )


def _has(tags: Tags, wanted: Tags) -> bool:
    return all(tags.get(key) == value for key, value in wanted.items())


def instance_view(machine: Machine) -> InstanceView:
    machine.view = InstanceView(
        instance_id=machine.instance_id,
        state=machine.state,
        pool=machine.pool,
        mode=machine.mode,
        image_id=machine.image_id,
        launched_at=machine.launched_at,
        private_ip=machine.private_ip,
        tags=machine.tags,
        volumes=tuple(
            AttachedVolume(volume.volume_id, device, volume.delete_on_termination)
            for device, volume in sorted(machine.volumes.items())
        ),
        token=machine.token,
        public_ip=machine.public_ip,
        ended_at=machine.ended_at,
        end_reason=machine.end_reason,
        hibernates=machine.hibernates,
    )
    return machine.view


def volume_view(volume: Volume) -> VolumeView:
    return VolumeView(
        volume_id=volume.volume_id,
        state=volume.state,
        az=volume.az,
        size_gib=volume.size_gib,
        created_at=volume.created_at,
        tags=volume.tags,
        attached_to=None if volume.machine is None else volume.machine.instance_id,
        device=volume.device,
        snapshot_id=volume.snapshot_id,
    )


def snapshot_view(snapshot: Snapshot) -> SnapshotView:
    return SnapshotView(
        snapshot_id=snapshot.snapshot_id,
        volume_id=snapshot.volume_id,
        state=snapshot.state,
        size_gib=snapshot.size_gib,
        started_at=snapshot.started_at,
        tags=snapshot.tags,
    )


def image_view(image: Image) -> ImageView:
    return ImageView(
        image_id=image.image_id,
        name=image.name,
        state=image.state,
        created_at=image.created_at,
        snapshots=dict(image.snapshots),
        tags=image.tags,
    )
