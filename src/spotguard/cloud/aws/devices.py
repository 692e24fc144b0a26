"""Disks as a launch asks for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from spotguard.ports.cloud import BlockDevice
from spotguard.ports.shape import DiskShape, Shape

VOLUME_TYPE = "gp3"  # what our storage rates are for
_IOPS, _MIB_PER_SECOND = 3000, 125  # what every gp3 volume has, and what it is not asked for
_IOPS_PER_GIB, _IOPS_PER_MIB_PER_SECOND = (
    500,
    4,
)  # EBS user guide, "General Purpose SSD volumes": at most, at least


def mappings(devices: Iterable[BlockDevice], shape: Shape | None) -> list[dict[str, Any]]:
    disks = {} if shape is None else shape.disks
    return [_mapping(device, disks.get(device.device, DiskShape())) for device in devices]


def _mapping(wanted: BlockDevice, alike: DiskShape) -> dict[str, Any]:
    """What EC2 is not told, the image's own mapping of that device says."""
    if wanted.no_device:
        return {"DeviceName": wanted.device, "NoDevice": ""}
    volume: dict[str, Any] = {"DeleteOnTermination": wanted.delete_on_termination}
    if wanted.size_gib:
        volume |= {"VolumeSize": wanted.size_gib, "VolumeType": VOLUME_TYPE}
        volume |= _performance(alike, wanted.size_gib)
    if wanted.snapshot_id is not None:
        volume["SnapshotId"] = wanted.snapshot_id
    elif wanted.size_gib and alike.encrypted:
        volume["Encrypted"] = True  # with the account's key for EBS: another's rights its caller may not have
    return {"DeviceName": wanted.device, "Ebs": volume}


def _performance(alike: DiskShape, size_gib: int) -> dict[str, int]:
    """Within what EC2 allows for this size, which may be another: a launch is not refused for it."""
    iops = min(alike.iops or _IOPS, max(_IOPS, size_gib * _IOPS_PER_GIB))
    mib_per_second = min(alike.mib_per_second or _MIB_PER_SECOND, iops // _IOPS_PER_MIB_PER_SECOND)
    told = {"Iops": iops} if iops > _IOPS else {}
    return told | ({"Throughput": mib_per_second} if mib_per_second > _MIB_PER_SECOND else {})
