"""An instance as DescribeInstances and RunInstances show it, under our names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from spotguard.cloud.aws.filters import tags_of
from spotguard.domain.ids import ClientToken, ImageId, InstanceId, VolumeId
from spotguard.domain.instances import EndReason, InstanceState, Mode
from spotguard.domain.pools import LINUX, Pool
from spotguard.ports.cloud import AttachedVolume, InstanceView

_MOMENT = re.compile(r"\((\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (?:GMT|UTC)\)")
_HIBERNATED = "Client.UserInitiatedHibernate"
_BY_REQUEST = frozenset({"Client.UserInitiatedShutdown", "Client.InstanceInitiatedShutdown", _HIBERNATED})
_BY_SPOT = ("Server.SpotInstanceTermination", "Server.SpotInstanceShutdown")
_PRODUCTS = (  # how PlatformDetails begins, and the product that the spot market knows it as
    ("Windows", "Windows"),
    ("Red Hat", "Red Hat Enterprise Linux"),
    ("SUSE", "SUSE Linux"),
)
_ENDED = frozenset({"stopping", "stopped", "shutting-down", "terminated"})


def instance_view(shown: Mapping[str, Any]) -> InstanceView:
    state = shown["State"]["Name"]
    reason = shown.get("StateReason") or {}
    code = reason.get("Code") if state in _ENDED else None
    return InstanceView(
        instance_id=InstanceId(shown["InstanceId"]),
        state=InstanceState(state),
        pool=pool_of(shown),
        mode=Mode.SPOT if shown.get("InstanceLifecycle") == "spot" else Mode.ONDEMAND,
        image_id=ImageId(shown.get("ImageId", "")),
        launched_at=whole_second(shown["LaunchTime"]),
        private_ip=shown.get("PrivateIpAddress", ""),
        tags=tags_of(shown),
        volumes=tuple(sorted(map(_attached, _disks(shown)), key=lambda volume: volume.device)),
        token=ClientToken(shown["ClientToken"]) if shown.get("ClientToken") else None,
        public_ip=shown.get("PublicIpAddress") or None,
        ended_at=ended_at(shown.get("StateTransitionReason", "")) if state in _ENDED else None,
        end_reason=end_reason(code, shown.get("StateTransitionReason", "")),
        end_code=code,
        hibernates=bool(shown.get("HibernationOptions", {}).get("Configured")) or code == _HIBERNATED,
    )


def pool_of(shown: Mapping[str, Any]) -> Pool:
    place = shown["Placement"]
    return Pool(
        shown["InstanceType"],
        place["AvailabilityZone"],
        product_of(shown),
        az_id=place.get("AvailabilityZoneId") or None,
    )


def product_of(shown: Mapping[str, Any]) -> str:
    """The product whose spot price it pays; what the spot market does not tell apart is plain Linux."""
    details = shown.get("PlatformDetails") or ("Windows" if shown.get("Platform") == "windows" else "")
    return next((product for start, product in _PRODUCTS if details.startswith(start)), LINUX)


def _disks(shown: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [disk for disk in shown.get("BlockDeviceMappings", ()) if disk.get("Ebs", {}).get("VolumeId")]


def _attached(disk: Mapping[str, Any]) -> AttachedVolume:
    volume = disk["Ebs"]
    return AttachedVolume(
        VolumeId(volume["VolumeId"]), disk["DeviceName"], bool(volume.get("DeleteOnTermination"))
    )


def ended_at(transition_reason: str) -> datetime | None:
    """`User initiated (2026-01-05 10:00:00 GMT)`; None when EC2 does not say."""
    found = _MOMENT.search(transition_reason)
    return None if found is None else datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)


def end_reason(code: str | None, transition_reason: str) -> EndReason | None:
    """AWS took it, somebody asked for it, or neither (None): a failure of EC2's or of the launch's own parameters."""
    if code is not None and code.startswith(_BY_SPOT):
        return EndReason.INTERRUPTED
    if code in _BY_REQUEST or (code is None and transition_reason.startswith("User initiated")):
        return EndReason.REQUESTED
    return None


def whole_second(moment: datetime) -> datetime:
    """EC2's times are whole seconds in UTC; some answers carry milliseconds that others round away."""
    return moment.astimezone(UTC).replace(microsecond=0)
