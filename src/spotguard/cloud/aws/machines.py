"""What a launch is told so that the clone is shaped like its original, and where it is put."""

from __future__ import annotations

from typing import Any

from spotguard.domain.errors import PoolDry
from spotguard.domain.pools import Pool
from spotguard.ports.shape import MetadataOptions, Shape

BURSTABLE = ("t2.", "t3.", "t3a.", "t4g.")  # the families that take a credit specification
_FIRST_INTERFACE = 0


def machine(shape: Shape | None, instance_type: str) -> dict[str, Any]:
    """Parameters of RunInstances and of a launch template alike. Without a shape: nothing but IMDSv2."""
    if shape is None:
        return {"MetadataOptions": _metadata(MetadataOptions())}
    told: dict[str, Any] = {"MetadataOptions": _metadata(shape.metadata)}
    if shape.key_name is not None:
        told["KeyName"] = shape.key_name
    if shape.instance_profile is not None:
        told["IamInstanceProfile"] = {"Arn": shape.instance_profile}
    if shape.credits is not None and takes_credits(instance_type):
        told["CreditSpecification"] = {"CpuCredits": shape.credits}
    if shape.ebs_optimized:
        told["EbsOptimized"] = True
    if shape.detailed_monitoring:
        told["Monitoring"] = {"Enabled": True}
    return told


def takes_credits(instance_type: str) -> bool:
    """EC2 refuses the specification for others; where it is missing it bursts t3 and later ones without limit (E24)."""
    return instance_type.startswith(BURSTABLE)


def _metadata(options: MetadataOptions) -> dict[str, Any]:
    told: dict[str, Any] = {
        "HttpTokens": "required" if options.tokens_required else "optional",
        "HttpPutResponseHopLimit": options.hop_limit,
        "HttpEndpoint": "enabled" if options.enabled else "disabled",
        "InstanceMetadataTags": "enabled" if options.instance_tags else "disabled",
    }
    if options.ipv6:
        told["HttpProtocolIpv6"] = "enabled"
    return told


def subnet_in(shape: Shape | None, az: str) -> str | None:
    """None without a shape: the zone's default subnet. `PoolDry` where its VPC has no subnet: another zone has."""
    if shape is None or not shape.subnets:
        return None
    if az not in shape.subnets:
        raise PoolDry("NoSubnetInZone", f"its VPC {shape.vpc_id} has no subnet in {az}")
    return shape.subnets[az]


def place(shape: Shape | None, pool: Pool) -> dict[str, Any]:
    """Zone or subnet, groups, address and tenancy. The subnet of a zone is fixed by the shape: a token is zonal,
    and the same token in another subnet would launch a second instance (E1).
    """
    tenancy = {} if shape is None or shape.tenancy == "default" else {"Tenancy": shape.tenancy}
    subnet = subnet_in(shape, pool.az)
    if subnet is None:
        told: dict[str, Any] = {"Placement": {"AvailabilityZone": pool.az, **tenancy}}
    else:
        told = {"Placement": tenancy} if tenancy else {}
    groups = list(shape.security_groups) if shape is not None else []
    if shape is None or shape.public_ip is None or subnet is None:
        told |= {"SubnetId": subnet} if subnet is not None else {}
        return told | ({"SecurityGroupIds": groups} if groups else {})
    interface = {"DeviceIndex": _FIRST_INTERFACE, "SubnetId": subnet, **address(shape)}
    return {**told, "NetworkInterfaces": [interface]}


def address(shape: Shape) -> dict[str, Any]:
    """Of the first interface; it goes with its instance."""
    told: dict[str, Any] = {"DeleteOnTermination": True}
    if shape.public_ip is not None:
        told["AssociatePublicIpAddress"] = shape.public_ip
    if shape.security_groups:
        told["Groups"] = list(shape.security_groups)
    return told
