"""Disks as a launch asks for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from spotguard.ports.cloud import BlockDevice

VOLUME_TYPE = "gp3"  # what our storage rates are for


def mappings(devices: Iterable[BlockDevice]) -> list[dict[str, Any]]:
    return [_mapping(device) for device in devices]


def _mapping(wanted: BlockDevice) -> dict[str, Any]:
    """What EC2 is not told, the image's own mapping of that device says."""
    if wanted.no_device:
        return {"DeviceName": wanted.device, "NoDevice": ""}
    volume: dict[str, Any] = {"DeleteOnTermination": wanted.delete_on_termination}
    if wanted.size_gib:
        volume |= {"VolumeSize": wanted.size_gib, "VolumeType": VOLUME_TYPE}
    if wanted.snapshot_id is not None:
        volume["SnapshotId"] = wanted.snapshot_id
    return {"DeviceName": wanted.device, "Ebs": volume}
