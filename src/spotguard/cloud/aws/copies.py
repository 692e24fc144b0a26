"""Snapshots and images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

from spotguard.cloud.aws.connection import Connection
from spotguard.cloud.aws.errors import read
from spotguard.cloud.aws.filters import (
    by_filters,
    filter_of,
    once_each,
    tag_filters,
    tag_specifications,
    tags_of,
)
from spotguard.cloud.aws.instance_views import whole_second
from spotguard.domain.errors import NotVisible
from spotguard.domain.ids import ImageId, InstanceId, SnapshotId, VolumeId
from spotguard.ports.cloud import CopyState, ImageView, SnapshotView, Tags

_STATES = {
    "pending": CopyState.PENDING,
    "transient": CopyState.PENDING,
    "recovering": CopyState.PENDING,
    "recoverable": CopyState.PENDING,
    "available": CopyState.DONE,
    "completed": CopyState.DONE,
}
_FORGOTTEN = ("deregistered",)


def create_snapshot(connection: Connection, volume_id: VolumeId, tags: Tags) -> SnapshotId:
    answer = connection.change(
        "create_snapshot", VolumeId=volume_id, TagSpecifications=tag_specifications(tags, "snapshot")
    )
    return SnapshotId(read(itemgetter("SnapshotId"), answer))


def snapshots(
    connection: Connection, ids: Iterable[SnapshotId], tags: Tags | None
) -> tuple[SnapshotView, ...]:
    shown = [
        read(snapshot_view, one)
        for filters in by_filters(ids, "snapshot-id", tag_filters(tags))
        for one in connection.pages("describe_snapshots", "Snapshots", OwnerIds=["self"], Filters=filters)
    ]
    return once_each(shown, lambda view: view.snapshot_id)


def snapshot_view(shown: Mapping[str, Any]) -> SnapshotView:
    return SnapshotView(
        snapshot_id=SnapshotId(shown["SnapshotId"]),
        volume_id=VolumeId(shown.get("VolumeId", "")),
        state=_STATES.get(shown["State"], CopyState.FAILED),
        size_gib=shown["VolumeSize"],
        started_at=whole_second(shown["StartTime"]),
        tags=tags_of(shown),
    )


def delete_snapshot(connection: Connection, snapshot_id: SnapshotId) -> None:
    with suppress(NotVisible):  # what deletion is for: again is harmless
        connection.change("delete_snapshot", SnapshotId=snapshot_id)


def create_image(connection: Connection, instance_id: InstanceId, name: str, tags: Tags) -> ImageId:
    """Without a reboot (E9): who asks has closed the gate and flushed. Not tied to one call: the name is the handle."""
    answer = connection.change(
        "create_image",
        InstanceId=instance_id,
        Name=name,
        NoReboot=True,
        TagSpecifications=tag_specifications(tags, "image", "snapshot"),
    )
    return ImageId(read(itemgetter("ImageId"), answer))


def images(
    connection: Connection, ids: Iterable[ImageId], name: str | None, tags: Tags | None
) -> tuple[ImageView, ...]:
    """By id also somebody else's; by name and tags our own."""
    wanted = list(ids)
    others = [*([filter_of("name", name)] if name is not None else ()), *tag_filters(tags)]
    owners: dict[str, Any] = {} if wanted else {"Owners": ["self"]}
    shown = [
        read(image_view, one)
        for filters in by_filters(wanted, "image-id", others)
        for one in connection.pages("describe_images", "Images", Filters=filters, **owners)
        if one.get("State") not in _FORGOTTEN
    ]
    return once_each(shown, lambda view: view.image_id)


def image_view(shown: Mapping[str, Any]) -> ImageView:
    return ImageView(
        image_id=ImageId(shown["ImageId"]),
        name=shown.get("Name", ""),
        state=_STATES.get(shown["State"], CopyState.FAILED),
        created_at=datetime.fromisoformat(shown["CreationDate"]).astimezone(UTC).replace(microsecond=0),
        snapshots={
            disk["DeviceName"]: SnapshotId(disk["Ebs"]["SnapshotId"])
            for disk in shown.get("BlockDeviceMappings", ())
            if disk.get("Ebs", {}).get("SnapshotId")
        },
        tags=tags_of(shown),
    )


def deregister(connection: Connection, image_id: ImageId) -> None:
    with suppress(NotVisible):  # InvalidAMIID.Unavailable is what a deregistered one answers
        connection.change("deregister_image", ImageId=image_id)
