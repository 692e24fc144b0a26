"""An instance as the eligibility report sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spotguard.cloud.aws import looking
from spotguard.cloud.aws.connection import Connection
from spotguard.cloud.aws.errors import read
from spotguard.cloud.aws.filters import filter_of, once_each, tags_of
from spotguard.cloud.aws.machines import BURSTABLE
from spotguard.domain.errors import CloudError
from spotguard.domain.ids import InstanceId, VolumeId
from spotguard.domain.instances import Mode
from spotguard.planning.eligibility.facts import Instance, Interface, Volume
from spotguard.planning.findings import Unseen


def instance(connection: Connection, instance_id: InstanceId) -> Instance:
    shown = looking.instance(connection, instance_id)
    kind = str(shown.get("InstanceType", ""))
    credit = _credits(connection, instance_id) if kind.startswith(BURSTABLE) else None
    return read(
        lambda told: instance_of(
            told,
            credit,
            _protected(connection, instance_id),
            _volumes(connection, told),
            _persistent_request(connection, told),
        ),
        shown,
    )


def running(connection: Connection) -> tuple[Instance, ...]:
    """Every one of the region, as DescribeInstances alone shows it; a page's instance comes once."""
    not_asked = Unseen("DescribeInstances does not tell")
    found = [
        read(lambda told: instance_of(told, not_asked, not_asked, not_asked, not_asked), shown)
        for shown in looking.each_shown(connection, [filter_of("instance-state-name", "running")])
    ]
    return once_each(found, lambda one: one.instance_id)


def instance_of(
    shown: Mapping[str, Any],
    credit: str | Unseen | None,
    protected: bool | Unseen,  # noqa: FBT001 - a fact, not a switch
    volumes: tuple[Volume, ...] | Unseen,
    persistent_request: str | Unseen = "",
) -> Instance:
    """DescribeInstances under our names."""
    place, metadata = shown["Placement"], shown.get("MetadataOptions", {})
    interfaces = shown.get("NetworkInterfaces", ())
    reservation = shown.get("CapacityReservationSpecification", {}).get("CapacityReservationTarget", {})
    return Instance(
        instance_id=InstanceId(shown["InstanceId"]),
        instance_type=shown["InstanceType"],
        az=place["AvailabilityZone"],
        mode=Mode.SPOT if shown.get("InstanceLifecycle") == "spot" else Mode.ONDEMAND,
        image_id=shown.get("ImageId", ""),
        architecture=shown.get("Architecture", ""),
        platform=_platform(shown),
        product_codes={one["ProductCodeId"]: one["ProductCodeType"] for one in shown.get("ProductCodes", ())},
        root_device=shown.get("RootDeviceType", ""),
        private_ip=shown.get("PrivateIpAddress", ""),
        public_ip=shown.get("PublicIpAddress") or None,
        elastic=any(_is_elastic(one) for one in interfaces),
        vpc_id=shown.get("VpcId", ""),
        subnet_id=shown.get("SubnetId", ""),
        group_ids=tuple(group["GroupId"] for group in shown.get("SecurityGroups", ())),
        interfaces=tuple(map(_interface, interfaces)),
        hibernates=bool(shown.get("HibernationOptions", {}).get("Configured")),
        tenancy=place.get("Tenancy") or "default",
        placement_group=place.get("GroupName", ""),
        reservation=reservation.get("CapacityReservationId", ""),
        enclave=bool(shown.get("EnclaveOptions", {}).get("Enabled")),
        licences=tuple(one["LicenseConfigurationArn"] for one in shown.get("Licenses", ())),
        ena=bool(shown.get("EnaSupport")),
        credits=credit,
        metadata_enabled=metadata.get("HttpEndpoint", "enabled") == "enabled",
        tokens_required=metadata.get("HttpTokens") == "required",
        hop_limit=int(metadata.get("HttpPutResponseHopLimit", 1)),
        tags=tags_of(shown),
        protected=protected,
        volumes=volumes,
        persistent_request=persistent_request,
        root_name=shown.get("RootDeviceName", ""),
    )


def _platform(shown: Mapping[str, Any]) -> str:
    usual = "Windows" if shown.get("Platform") == "windows" else "Linux/UNIX"
    return str(shown.get("PlatformDetails") or usual)


def _is_elastic(interface: Mapping[str, Any]) -> bool:
    association = interface.get("Association") or {}
    return bool(association.get("PublicIp")) and association.get("IpOwnerId") != "amazon"


def _interface(told: Mapping[str, Any]) -> Interface:
    more = [one["PrivateIpAddress"] for one in told.get("PrivateIpAddresses", ()) if not one.get("Primary")]
    kind, forwards = told.get("InterfaceType") or "interface", told.get("SourceDestCheck") is False
    return Interface(told["NetworkInterfaceId"], kind, tuple(more), forwards)


def _credits(connection: Connection, instance_id: InstanceId) -> str | Unseen | None:
    try:
        answer = connection.look("describe_instance_credit_specifications", InstanceIds=[instance_id])
    except CloudError as refusal:
        return Unseen(str(refusal))
    return next((c.get("CpuCredits") for c in answer.get("InstanceCreditSpecifications", ())), None)


def _protected(connection: Connection, instance_id: InstanceId) -> bool | Unseen:
    try:
        answer = connection.look(
            "describe_instance_attribute", InstanceId=instance_id, Attribute="disableApiTermination"
        )
    except CloudError as refusal:
        return Unseen(str(refusal))
    return bool(answer.get("DisableApiTermination", {}).get("Value"))


def _persistent_request(connection: Connection, shown: Mapping[str, Any]) -> str | Unseen:
    """One that was cancelled launches nothing any more, though its instance runs on."""
    request = shown.get("SpotInstanceRequestId")
    if not request:
        return ""
    try:
        found = list(
            connection.pages(
                "describe_spot_instance_requests",
                "SpotInstanceRequests",
                Filters=[filter_of("spot-instance-request-id", request)],
            )
        )
    except CloudError as refusal:
        return Unseen(str(refusal))
    if not found:
        return Unseen(f"EC2 does not show its spot request {request}")
    return str(request) if _launches_again(found[0]) else ""


def _launches_again(request: Mapping[str, Any]) -> bool:
    return request.get("Type") == "persistent" and request.get("State") not in (
        "cancelled",
        "closed",
        "failed",
    )


def _volumes(connection: Connection, shown: Mapping[str, Any]) -> tuple[Volume, ...] | Unseen:
    devices = {
        disk["Ebs"]["VolumeId"]: disk["DeviceName"]
        for disk in shown.get("BlockDeviceMappings", ())
        if disk.get("Ebs", {}).get("VolumeId")
    }
    if not devices:
        return ()
    try:
        found = list(
            connection.pages("describe_volumes", "Volumes", Filters=[filter_of("volume-id", *devices)])
        )
    except CloudError as refusal:
        return Unseen(str(refusal))
    return tuple(
        Volume(
            VolumeId(one["VolumeId"]),
            devices[one["VolumeId"]],
            bool(one.get("Encrypted")),
            one.get("KmsKeyId") or None,
            bool(one.get("MultiAttachEnabled")),
        )
        for one in sorted(found, key=lambda one: devices[one["VolumeId"]])
    )
