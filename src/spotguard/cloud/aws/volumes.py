"""Volumes: single attachment is a fence, so every refusal is looked into before it is called harmless."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from operator import itemgetter
from typing import Any

from spotguard.cloud.aws.connection import Connection
from spotguard.cloud.aws.devices import VOLUME_TYPE
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
from spotguard.domain.errors import NeedsPerson, NotVisible
from spotguard.domain.ids import ClientToken, InstanceId, SnapshotId, VolumeId
from spotguard.ports.cloud import Attachment, Tags, VolumeState, VolumeView
from spotguard.ports.intentions import TOKEN_TAG

_GONE = ("deleted", "error")


def create(
    connection: Connection,
    token: ClientToken,
    az: str,
    size_gib: int,
    tags: Tags,
    snapshot_id: SnapshotId | None,
) -> VolumeId:
    """DescribeVolumes knows no token, so the token is a tag as well."""
    source = {} if snapshot_id is None else {"SnapshotId": snapshot_id}
    answer = connection.change(
        "create_volume",
        ClientToken=token,
        AvailabilityZone=az,
        Size=size_gib,
        VolumeType=VOLUME_TYPE,
        TagSpecifications=tag_specifications({TOKEN_TAG: token, **tags}, "volume"),
        **source,
    )
    return VolumeId(read(itemgetter("VolumeId"), answer))


def volumes(
    connection: Connection, ids: Iterable[VolumeId], token: ClientToken | None, tags: Tags | None
) -> tuple[VolumeView, ...]:
    others = tag_filters(tags if token is None else {**(tags or {}), TOKEN_TAG: token})
    shown = [
        read(volume_view, one)
        for filters in by_filters(ids, "volume-id", others)
        for one in connection.pages("describe_volumes", "Volumes", size=500, Filters=filters)
        if one.get("State") not in _GONE
    ]
    return once_each(shown, lambda view: view.volume_id)


def volume_view(shown: Mapping[str, Any]) -> VolumeView:
    held = _held(shown)
    return VolumeView(
        volume_id=VolumeId(shown["VolumeId"]),
        state=VolumeState(shown["State"]),
        az=shown["AvailabilityZone"],
        size_gib=shown["Size"],
        created_at=whole_second(shown["CreateTime"]),
        tags=tags_of(shown),
        attached_to=InstanceId(held["InstanceId"]) if held.get("InstanceId") else None,
        device=held.get("Device") or None,
        snapshot_id=SnapshotId(shown["SnapshotId"]) if shown.get("SnapshotId") else None,
        shared_by=_shared_by(shown) if shown.get("MultiAttachEnabled") else None,
    )


def _shared_by(shown: Mapping[str, Any]) -> tuple[Attachment, ...]:
    return tuple(
        Attachment(InstanceId(one["InstanceId"]), one.get("Device") or None) for one in _attachments(shown)
    )


def attach(connection: Connection, volume_id: VolumeId, instance_id: InstanceId, device: str) -> None:
    try:
        connection.change("attach_volume", VolumeId=volume_id, InstanceId=instance_id, Device=device)
    except NeedsPerson:
        held = _attachment(connection, volume_id, instance_id)
        there = (held.get("InstanceId"), held.get("Device")) == (instance_id, device)
        if not there or held.get("State") == "detaching":
            raise


def detach(connection: Connection, volume_id: VolumeId, holder: InstanceId | None) -> None:
    """Never by force: a volume that the guest still writes to would be torn (E16)."""
    whose = {} if holder is None else {"InstanceId": holder}
    try:
        connection.change("detach_volume", VolumeId=volume_id, **whose)
    except NeedsPerson:
        held = _attachment(connection, volume_id, holder)
        if held and held.get("State") != "detaching":
            raise


def _attachment(
    connection: Connection, volume_id: VolumeId, instance_id: InstanceId | None
) -> Mapping[str, Any]:
    """Its attachment as EC2 shows it now, empty if there is none; of several that to this instance.

    `NotVisible` when EC2 shows no such volume.
    """
    for shown in connection.pages("describe_volumes", "Volumes", Filters=[filter_of("volume-id", volume_id)]):
        return _held(shown, instance_id)
    raise NotVisible("InvalidVolume.NotFound", volume_id)


def _held(shown: Mapping[str, Any], instance_id: InstanceId | None = None) -> Mapping[str, Any]:
    attachments = _attachments(shown)
    theirs = (held for held in attachments if held.get("InstanceId") == instance_id)
    return next(theirs, next(iter(attachments), {}))


def _attachments(shown: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """By instance: EC2 lists them in any order."""
    living = [held for held in shown.get("Attachments", []) if held.get("State") != "detached"]
    return sorted(living, key=lambda held: held.get("InstanceId") or "")


def delete(connection: Connection, volume_id: VolumeId) -> None:
    with suppress(NotVisible):  # what deletion is for: again is harmless
        connection.change("delete_volume", VolumeId=volume_id)
