"""Which calls of a move EC2 would let us make: each is asked as a dry run, which changes nothing (E37)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spotguard.cloud.aws.connection import Connection
from spotguard.cloud.aws.filters import tag_specifications
from spotguard.domain.errors import CloudError
from spotguard.planning.eligibility.facts import Instance, Permission
from spotguard.planning.findings import Unseen

ALLOWED = "DryRunOperation"
DENIED = frozenset({"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"})
MANAGED = "spotguard:managed"
Call = tuple[str, str, Mapping[str, Any]]  # action as IAM names it, operation, parameters


def permissions(
    connection: Connection, instance: Instance | None, installation: str
) -> tuple[Permission, ...]:
    tags = {MANAGED: installation}
    calls = [
        *_general(connection, tags),
        *(_of_instance(instance, tags) if instance is not None else ()),
    ]
    return tuple(_asked(connection, *call) for call in calls)


def _asked(connection: Connection, action: str, operation: str, parameters: Mapping[str, Any]) -> Permission:
    try:
        connection.change(operation, DryRun=True, **parameters)
    except CloudError as refusal:
        if refusal.code == ALLOWED:
            return Permission(action, allowed=True)
        if refusal.code in DENIED:
            return Permission(action, allowed=False, because=refusal.code)
        return Permission(action, allowed=None, because=refusal.code)
    return Permission(action, allowed=None, because="EC2 took the dry run for the call itself")


def _general(connection: Connection, tags: Mapping[str, str]) -> Iterator[Call]:
    """What needs nothing that exists: each takes the first zone."""
    zones = connection.look("describe_availability_zones").get("AvailabilityZones", ())
    zone = next((one["ZoneName"] for one in zones), "")
    yield (
        "ec2:CreateVolume",
        "create_volume",
        {
            "AvailabilityZone": zone,
            "Size": 1,
            "VolumeType": "gp3",
            "TagSpecifications": tag_specifications(tags, "volume"),
        },
    )
    yield (
        "ec2:CreateLaunchTemplate",
        "create_launch_template",
        {
            "LaunchTemplateName": "spotguard-dry-run",
            "LaunchTemplateData": {"InstanceType": "t3.micro"},
            "TagSpecifications": tag_specifications(tags, "launch-template"),
        },
    )


def _of_instance(instance: Instance, tags: Mapping[str, str]) -> Iterator[Call]:
    yield (
        "ec2:RunInstances",
        "run_instances",
        {
            "ImageId": instance.image_id,
            "InstanceType": instance.instance_type,
            "MinCount": 1,
            "MaxCount": 1,
            "SubnetId": instance.subnet_id,
            "TagSpecifications": tag_specifications(tags, "instance", "volume"),
        },
    )
    name = f"spotguard-dry-run-{instance.instance_id}"
    yield (
        "ec2:CreateImage",
        "create_image",
        {
            "InstanceId": instance.instance_id,
            "Name": name,
            "NoReboot": True,
            "TagSpecifications": tag_specifications(tags, "image", "snapshot"),
        },
    )
    yield "ec2:TerminateInstances", "terminate_instances", {"InstanceIds": [instance.instance_id]}
    marks = [{"Key": key, "Value": value} for key, value in tags.items()]
    yield "ec2:CreateTags", "create_tags", {"Resources": [instance.instance_id], "Tags": marks}
    if isinstance(instance.volumes, Unseen):
        return
    for volume in instance.volumes[:1]:
        kept = [{"DeviceName": volume.device, "Ebs": {"DeleteOnTermination": False}}]
        yield (
            "ec2:ModifyInstanceAttribute",
            "modify_instance_attribute",
            {
                "InstanceId": instance.instance_id,
                "BlockDeviceMappings": kept,
            },
        )
        yield (
            "ec2:CreateSnapshot",
            "create_snapshot",
            {
                "VolumeId": volume.volume_id,
                "TagSpecifications": tag_specifications(tags, "snapshot"),
            },
        )
        yield "ec2:DetachVolume", "detach_volume", {"VolumeId": volume.volume_id}
