"""The shape of an instance, read from EC2, and the facts of instance types."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from spotguard.cloud.aws import looking
from spotguard.cloud.aws.connection import Connection
from spotguard.cloud.aws.devices import VOLUME_TYPE
from spotguard.cloud.aws.errors import read
from spotguard.cloud.aws.filters import filter_of, tags_of
from spotguard.cloud.aws.machines import BURSTABLE
from spotguard.domain.errors import NeedsPerson
from spotguard.domain.ids import InstanceId
from spotguard.planning.compatibility import MachineNeeds, TypeFacts
from spotguard.ports.shape import USER_DATA_TAG, DiskShape, MetadataOptions, Shape, UserDataPolicy, owner_tags

_FEW_ADDRESSES = 8  # a subnet with fewer is left alone where there is another
_MOST_TYPES = 100
_GATEWAYS = (  # where a route may lead
    "GatewayId",
    "NatGatewayId",
    "TransitGatewayId",
    "NetworkInterfaceId",
    "InstanceId",
    "VpcPeeringConnectionId",
    "EgressOnlyInternetGatewayId",
    "LocalGatewayId",
    "CarrierGatewayId",
    "CoreNetworkArn",
)


def describe(connection: Connection, instance_id: InstanceId) -> Shape:
    shown = looking.instance(connection, instance_id)
    return read(lambda told: _shape(connection, instance_id, told), shown)


def _shape(connection: Connection, instance_id: InstanceId, shown: Mapping[str, Any]) -> Shape:
    tags = tags_of(shown)
    policy = UserDataPolicy.KEEP if tags.get(USER_DATA_TAG) == "keep" else UserDataPolicy.REPLACE
    monitoring = shown.get("Monitoring", {}).get("State", "disabled")
    return Shape(
        metadata=metadata_of(shown.get("MetadataOptions", {})),
        security_groups=tuple(sorted(group["GroupId"] for group in shown.get("SecurityGroups", ()))),
        key_name=shown.get("KeyName") or None,
        instance_profile=(shown.get("IamInstanceProfile") or {}).get("Arn"),
        credits=_credits(connection, instance_id, shown["InstanceType"]),
        ebs_optimized=bool(shown.get("EbsOptimized")),
        detailed_monitoring=monitoring in ("enabled", "pending"),
        tenancy=shown["Placement"].get("Tenancy") or "default",
        vpc_id=shown.get("VpcId") or None,
        subnets=_subnets(connection, shown),
        public_ip=_public_ip(shown),
        owner_tags=owner_tags(tags),
        user_data_policy=policy,
        user_data=_user_data(connection, instance_id) if policy is UserDataPolicy.KEEP else None,
        disks=_disks(connection, shown),
        needs=needs_of(shown),
    )


def _disks(connection: Connection, shown: Mapping[str, Any]) -> dict[str, DiskShape]:
    mapped = shown.get("BlockDeviceMappings", ())
    devices = {
        disk["Ebs"]["VolumeId"]: disk["DeviceName"] for disk in mapped if "VolumeId" in disk.get("Ebs", {})
    }
    if not devices:
        return {}
    found = connection.pages("describe_volumes", "Volumes", Filters=[filter_of("volume-id", *devices)])
    return {devices[one["VolumeId"]]: disk_of(one) for one in found if one["VolumeId"] in devices}


def disk_of(told: Mapping[str, Any]) -> DiskShape:
    """What other types of volumes do is left out: gp3 has limits of its own."""
    encrypted = bool(told.get("Encrypted"))
    if told.get("VolumeType") != VOLUME_TYPE:
        return DiskShape(encrypted)
    return DiskShape(encrypted, told.get("Iops"), told.get("Throughput"))


def metadata_of(told: Mapping[str, Any]) -> MetadataOptions:
    return MetadataOptions(
        tokens_required=told.get("HttpTokens") == "required",
        hop_limit=told.get("HttpPutResponseHopLimit", 1),
        enabled=told.get("HttpEndpoint", "enabled") == "enabled",
        instance_tags=told.get("InstanceMetadataTags") == "enabled",
        ipv6=told.get("HttpProtocolIpv6") == "enabled",
    )


def needs_of(shown: Mapping[str, Any]) -> MachineNeeds:
    """Whether it uses its instance store only its agent can tell."""
    return MachineNeeds(
        architecture=shown.get("Architecture", "x86_64"),
        virtualization=shown.get("VirtualizationType", "hvm"),
        boot_mode=shown.get("BootMode"),
        ena=bool(shown.get("EnaSupport", False)),
        network_interfaces=max(1, len(shown.get("NetworkInterfaces", ()))),
    )


def _credits(connection: Connection, instance_id: InstanceId, instance_type: str) -> str | None:
    if not instance_type.startswith(BURSTABLE):
        return None
    answer = connection.look("describe_instance_credit_specifications", InstanceIds=[instance_id])
    return next((c.get("CpuCredits") for c in answer.get("InstanceCreditSpecifications", ())), None)


def _public_ip(shown: Mapping[str, Any]) -> bool | None:
    """Whether it has one, an Elastic IP too: through its subnet's gateway nobody reaches the world without. Until that
    address follows its clone needs one of its own to enrol with; EC2 takes it back then.
    """
    for interface in shown.get("NetworkInterfaces", ()):
        if interface.get("Attachment", {}).get("DeviceIndex", 0) == 0:
            return interface.get("Association") is not None
    return None


def _subnets(connection: Connection, shown: Mapping[str, Any]) -> dict[str, str]:
    if not shown.get("VpcId"):
        return {}
    in_its_vpc = [filter_of("vpc-id", shown["VpcId"])]
    found = list(
        connection.pages(
            "describe_subnets", "Subnets", Filters=[*in_its_vpc, filter_of("state", "available")]
        )
    )
    return choose_subnets(found, shown.get("SubnetId"), _ways_out(connection, in_its_vpc))


def _ways_out(connection: Connection, in_its_vpc: list[dict[str, Any]]) -> dict[str | None, str]:
    """Empty for a caller who may not look: who launches with an older policy of ours launches on."""
    try:
        tables = connection.pages("describe_route_tables", "RouteTables", size=100, Filters=in_its_vpc)
        return ways_out(list(tables))
    except NeedsPerson:
        return {}


def ways_out(tables: Sequence[Mapping[str, Any]]) -> dict[str | None, str]:
    """What leads each subnet to the world (igw, nat, tgw …; empty: nothing); under None, those that have no route
    table of their own.
    """
    return {
        None if one.get("Main") else one.get("SubnetId", ""): _way_out(table)
        for table in tables
        for one in table.get("Associations", ())
    }


def _way_out(table: Mapping[str, Any]) -> str:
    for route in table.get("Routes", ()):
        if route.get("DestinationCidrBlock") == "0.0.0.0/0" and route.get("State") != "blackhole":
            return next((str(route[name]).split("-")[0] for name in _GATEWAYS if route.get(name)), "")
    return ""


def choose_subnets(
    subnets: Sequence[Mapping[str, Any]], own: str | None, ways: Mapping[str | None, str]
) -> dict[str, str]:
    """One for each zone: its own at home; elsewhere one with the same way out, then one that gives public addresses or
    none as its own does, with most room. `ways`: as `ways_out` tells them.

    A public address is of no use behind a NAT gateway, nor an internet gateway without one. A subnet that is almost
    full is chosen only where there is no other.
    """
    home = next((subnet for subnet in subnets if subnet["SubnetId"] == own), {})
    public = home.get("MapPublicIpOnLaunch")

    def way(subnet_id: str | None) -> str | None:
        return ways.get(subnet_id, ways.get(None))

    def rank(subnet: Mapping[str, Any]) -> tuple[bool, bool, bool, bool, int, str]:
        name, free = subnet["SubnetId"], subnet.get("AvailableIpAddressCount", 0)
        elsewhere = bool(home) and way(name) != way(own)
        alike = public is None or subnet.get("MapPublicIpOnLaunch") == public
        return elsewhere, free < _FEW_ADDRESSES, name != own, not alike, -free, name

    chosen: dict[str, str] = {}
    for subnet in sorted(subnets, key=rank):
        chosen.setdefault(subnet["AvailabilityZone"], subnet["SubnetId"])
    return dict(sorted(chosen.items()))


def _user_data(connection: Connection, instance_id: InstanceId) -> str | None:
    answer = connection.look("describe_instance_attribute", InstanceId=instance_id, Attribute="userData")
    encoded = answer.get("UserData", {}).get("Value")
    return base64.b64decode(encoded).decode("utf-8", "replace") if encoded else None


def instance_types(connection: Connection, wanted: Iterable[str]) -> tuple[TypeFacts, ...]:
    """By filter: an unknown name in the list of types would fail the call."""
    names = list(dict.fromkeys(wanted))
    shown = [
        read(type_facts, one)
        for start in range(0, len(names), _MOST_TYPES)
        for one in connection.pages(
            "describe_instance_types",
            "InstanceTypes",
            size=100,
            Filters=[filter_of("instance-type", *names[start : start + _MOST_TYPES])],
        )
    ]
    return tuple({facts.instance_type: facts for facts in shown}.values())


def type_facts(told: Mapping[str, Any]) -> TypeFacts:
    network = told.get("NetworkInfo", {})
    return TypeFacts(
        instance_type=told["InstanceType"],
        architectures=frozenset(told.get("ProcessorInfo", {}).get("SupportedArchitectures", ())),
        virtualization=frozenset(told.get("SupportedVirtualizationTypes", ())),
        boot_modes=frozenset(told.get("SupportedBootModes", ())),
        ena=network.get("EnaSupport", "unsupported"),
        nvme=told.get("EbsInfo", {}).get("NvmeSupport", "unsupported"),
        memory_mib=told.get("MemoryInfo", {}).get("SizeInMiB", 0),
        vcpus=told.get("VCpuInfo", {}).get("DefaultVCpus", 0),
        network_interfaces=network.get("MaximumNetworkInterfaces", 1),
        network_cards=network.get("MaximumNetworkCards", 1),
        instance_store=bool(told.get("InstanceStorageSupported")),
        spot="spot" in told.get("SupportedUsageClasses", ("spot",)),
        burstable=bool(told.get("BurstablePerformanceSupported")),
        bare_metal=bool(told.get("BareMetal")),
    )
