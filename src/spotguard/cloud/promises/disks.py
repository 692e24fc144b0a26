"""Promises about volumes, snapshots and images."""

from __future__ import annotations

from functools import partial

from spotguard.cloud.promises.stage import Stage, refused, require
from spotguard.domain.errors import NeedsPerson, TokenMismatch
from spotguard.domain.ids import InstanceId, SnapshotId, VolumeId
from spotguard.ports.cloud import BlockDevice, CopyState, VolumeState, VolumeView

DEVICE = "/dev/sdf"


def _volume(stage: Stage, az: str | None = None) -> VolumeId:
    made = stage.cloud.create_volume(stage.token(), az or stage.home.az, 1, stage.tags)
    stage.until(lambda: _see(stage, made).state is VolumeState.AVAILABLE, f"{made} is available")
    return made


def _see(stage: Stage, volume_id: VolumeId) -> VolumeView:
    return stage.until(lambda: stage.cloud.describe_volumes([volume_id]), f"{volume_id} shows")[0]


def _attached(stage: Stage, volume_id: VolumeId, instance_id: InstanceId) -> None:
    stage.cloud.attach_volume(volume_id, instance_id, DEVICE)
    stage.until(lambda: _see(stage, volume_id).state is VolumeState.IN_USE, "it is in use")


def a_volume_is_made_once_and_found_again(stage: Stage) -> None:
    token = stage.token()
    first = stage.cloud.create_volume(token, stage.home.az, 1, stage.tags)
    again = stage.cloud.create_volume(token, stage.home.az, 1, stage.tags)
    require(first == again, f"{again} besides {first}")
    refused(TokenMismatch, lambda: stage.cloud.create_volume(token, stage.home.az, 2, stage.tags))
    view = _see(stage, first)
    require((view.az, view.size_gib) == (stage.home.az, 1), f"{view.az}, {view.size_gib} GiB")
    for found in (stage.cloud.describe_volumes(token=token), stage.cloud.describe_volumes(tags=stage.tags)):
        require([v.volume_id for v in found] == [first], f"{len(found)} found")


def a_volume_is_in_one_instances_hands_alone(stage: Stage) -> None:
    """Single attachment is a fence."""
    volume, one, other = _volume(stage), stage.running(), stage.running()
    _attached(stage, volume, one)
    stage.cloud.attach_volume(volume, one, DEVICE)  # again is harmless
    view = _see(stage, volume)
    require((view.attached_to, view.device) == (one, DEVICE), f"{view.attached_to} {view.device}")
    refused(NeedsPerson, lambda: stage.cloud.attach_volume(volume, other, DEVICE), "VolumeInUse")
    refused(NeedsPerson, lambda: stage.cloud.delete_volume(volume), "VolumeInUse")


def a_volume_stays_in_its_zone(stage: Stage) -> None:
    volume, machine = _volume(stage, stage.elsewhere.az), stage.running()
    refused(
        NeedsPerson,
        lambda: stage.cloud.attach_volume(volume, machine, DEVICE),
        "InvalidVolume.ZoneMismatch",
    )


def a_volume_is_not_taken_from_another_than_was_named(stage: Stage) -> None:
    volume, machine, other = _volume(stage), stage.running(), stage.running()
    _attached(stage, volume, machine)
    refused(NeedsPerson, lambda: stage.cloud.detach_volume(volume, other), "InvalidAttachment.NotFound")
    require(_see(stage, volume).state is VolumeState.IN_USE, "it was taken away")
    stage.cloud.detach_volume(volume, machine)
    stage.until(lambda: _see(stage, volume).state is VolumeState.AVAILABLE, "it is available")


def a_detached_volume_becomes_available(stage: Stage) -> None:
    volume, machine = _volume(stage), stage.running()
    _attached(stage, volume, machine)
    stage.cloud.detach_volume(volume)
    stage.cloud.detach_volume(volume)  # again is harmless
    stage.until(lambda: _see(stage, volume).state is VolumeState.AVAILABLE, "it is available")
    require(_see(stage, volume).attached_to is None, "attached still")
    stage.cloud.detach_volume(volume)
    stage.cloud.delete_volume(volume)
    stage.cloud.delete_volume(volume)
    stage.until(lambda: _is_gone(stage, volume), "it is gone")


def _is_gone(stage: Stage, volume: VolumeId) -> bool:
    return all(v.state is VolumeState.DELETING for v in stage.cloud.describe_volumes([volume]))


def what_may_serve_outlives_its_instance(stage: Stage) -> None:
    machine = stage.running(devices=[BlockDevice(DEVICE, size_gib=1)])
    volumes = {volume.device: volume for volume in stage.see(machine).volumes}
    require(DEVICE in volumes and len(volumes) > 1, f"volumes {sorted(volumes)}")
    require(not volumes[DEVICE].delete_on_termination, "the data volume would go")
    stage.cloud.keep_volumes(machine)
    stage.until(
        lambda: not any(v.delete_on_termination for v in stage.see(machine).volumes), "every volume stays"
    )
    stage.end(machine)
    for volume in volumes.values():
        stage.until(partial(_is_free, stage, volume.volume_id), f"{volume.device} is free")


def _is_free(stage: Stage, volume_id: VolumeId) -> bool:
    return _see(stage, volume_id).state is VolumeState.AVAILABLE


def _snapshot_done(stage: Stage, snapshot: SnapshotId) -> bool:
    shown = stage.cloud.describe_snapshots([snapshot])
    return bool(shown) and shown[0].state is CopyState.DONE


def a_snapshot_is_made_of_a_volume_and_a_volume_of_it(stage: Stage) -> None:
    volume = _volume(stage)
    snapshot = stage.cloud.create_snapshot(volume, stage.tags)
    stage.until(lambda: _snapshot_done(stage, snapshot), "the snapshot is complete")
    (view,) = stage.cloud.describe_snapshots(tags=stage.tags)
    require((view.snapshot_id, view.volume_id) == (snapshot, volume), f"{view}")
    token = stage.token()
    copy = stage.cloud.create_volume(token, stage.elsewhere.az, 1, stage.tags, snapshot)
    require(_see(stage, copy).snapshot_id == snapshot, "the copy does not name its source")
    stage.cloud.delete_snapshot(snapshot)
    stage.cloud.delete_snapshot(snapshot)  # again is harmless
    stage.until(lambda: not stage.cloud.describe_snapshots([snapshot]), "the snapshot is gone")


def an_image_has_one_name_and_owns_its_snapshots(stage: Stage) -> None:
    machine = stage.running(devices=[BlockDevice(DEVICE, size_gib=1)])
    name = f"spotguard-{stage.run}"
    image = stage.cloud.create_image(machine, name, stage.tags)
    refused(
        NeedsPerson,
        lambda: stage.cloud.create_image(machine, name, stage.tags),
        "InvalidAMIName.Duplicate",
    )
    for look in (
        lambda: stage.cloud.describe_images([image]),
        lambda: stage.cloud.describe_images(name=name),
        lambda: stage.cloud.describe_images(tags=stage.tags),
    ):
        found = stage.until(look, "it shows")
        require([view.image_id for view in found] == [image], f"{len(found)} found")
    stage.until(
        lambda: [v.state for v in stage.cloud.describe_images([image])] == [CopyState.DONE], "it is available"
    )
    (view,) = stage.cloud.describe_images([image])
    require(DEVICE in view.snapshots and len(view.snapshots) > 1, f"snapshots {dict(view.snapshots)}")
    clone = stage.launched(image_id=image).instance_id
    stage.until(lambda: DEVICE in {v.device for v in stage.see(clone).volumes}, "a clone has its disks")
    owned = view.snapshots[DEVICE]
    refused(NeedsPerson, lambda: stage.cloud.delete_snapshot(owned), "InvalidSnapshot.InUse")
    stage.cloud.deregister_image(image)
    stage.cloud.deregister_image(image)  # again is harmless
    stage.until(lambda: not stage.cloud.describe_images([image]), "it is gone")
    require(bool(stage.cloud.describe_snapshots([owned])), "its snapshots went with it")


PROMISES = (
    a_volume_is_made_once_and_found_again,
    a_volume_is_in_one_instances_hands_alone,
    a_volume_stays_in_its_zone,
    a_volume_is_not_taken_from_another_than_was_named,
    a_detached_volume_becomes_available,
    what_may_serve_outlives_its_instance,
    a_snapshot_is_made_of_a_volume_and_a_volume_of_it,
    an_image_has_one_name_and_owns_its_snapshots,
)
