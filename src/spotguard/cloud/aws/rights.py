"""Which calls of a move EC2 would let us make: each is asked as a dry run, which changes nothing (E37).

The requests are those of a move, with its tags: policies are conditioned on them (E29). Deletions are not asked about:
they name what a move has made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from spotguard.cloud.aws import launching
from spotguard.cloud.aws.connection import Connection
from spotguard.cloud.aws.filters import tag_filters, tag_specifications
from spotguard.domain.agents import Executor
from spotguard.domain.errors import CloudError
from spotguard.domain.ids import ClientToken, ImageId
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.planning.eligibility.facts import Instance, Permission
from spotguard.planning.findings import Unseen
from spotguard.ports.cloud import LaunchRequest, Tags

ALLOWED = "DryRunOperation"
DENIED = frozenset({"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"})
DRY = "spotguard-dry-run"
_NOT_OURS = (
    "denied from its own image; a move launches from an image that SpotGuard has made, and there is none yet"
)


@dataclass(frozen=True)
class _Call:
    """`on_instance`: it changes what was there before us. `doubt`: why a denial would prove nothing."""

    action: str
    operation: str
    parameters: Mapping[str, Any]
    on_instance: bool = False
    doubt: str = ""


def permissions(
    connection: Connection, instance: Instance | None, executor: Executor, tags: Tags
) -> tuple[Permission, ...]:
    calls = [*_new(connection, instance, executor, tags)]
    if instance is not None:
        calls += _old(instance, executor, tags)
    return tuple(_asked(connection, call) for call in calls)


def _asked(connection: Connection, call: _Call) -> Permission:
    try:
        connection.change(call.operation, DryRun=True, **call.parameters)
    except CloudError as refusal:
        if refusal.code in DENIED and call.doubt:
            return Permission(call.action, None, call.doubt, call.on_instance)
        known = {ALLOWED: True, **dict.fromkeys(DENIED, False)}.get(refusal.code)
        return Permission(call.action, known, "" if known else refusal.code, call.on_instance)
    return Permission(call.action, None, "EC2 took the dry run for the call itself", call.on_instance)


def _new(
    connection: Connection, instance: Instance | None, executor: Executor, tags: Tags
) -> Iterator[_Call]:
    """What makes something."""
    if executor is Executor.SERVER:
        yield _Call(
            "ec2:CreateLaunchTemplate",
            "create_launch_template",
            {
                "LaunchTemplateName": DRY,
                "LaunchTemplateData": {"InstanceType": "t3.micro"},
                "TagSpecifications": tag_specifications(tags, "launch-template"),
            },
        )
    if instance is not None:
        own = _own_image(connection, tags)
        request = LaunchRequest(
            token=ClientToken(DRY),
            pool=Pool(instance.instance_type, instance.az),
            mode=Mode.SPOT,
            image_id=own or ImageId(instance.image_id),
            tags=tags,
        )
        doubt = "" if own else _NOT_OURS
        yield _Call("ec2:RunInstances", "run_instances", launching.parameters(request), doubt=doubt)


def _own_image(connection: Connection, tags: Tags) -> ImageId | None:
    found = connection.pages("describe_images", "Images", Owners=["self"], Filters=tag_filters(tags))
    return next((ImageId(one["ImageId"]) for one in found if one.get("State") == "available"), None)


def _old(instance: Instance, executor: Executor, tags: Tags) -> Iterator[_Call]:
    """What changes the instance and its volumes."""
    named = {"InstanceId": instance.instance_id}
    image = {
        "Name": f"{DRY}-{instance.instance_id}",
        "NoReboot": True,
        "TagSpecifications": tag_specifications(tags, "image", "snapshot"),
    }
    yield _Call("ec2:CreateImage", "create_image", {**named, **image}, on_instance=True)
    ended = {"InstanceIds": [instance.instance_id]}
    yield _Call("ec2:TerminateInstances", "terminate_instances", ended, on_instance=True)
    if isinstance(instance.volumes, Unseen):
        return
    for volume in instance.volumes[:1]:
        one = {"VolumeId": volume.volume_id}
        yield _Call("ec2:DetachVolume", "detach_volume", one, on_instance=True)
        attached = {**one, **named, "Device": volume.device}
        yield _Call("ec2:AttachVolume", "attach_volume", attached, on_instance=True)
        if executor is Executor.SERVER:
            kept = [{"DeviceName": volume.device, "Ebs": {"DeleteOnTermination": False}}]
            fates = {**named, "BlockDeviceMappings": kept}
            yield _Call("ec2:ModifyInstanceAttribute", "modify_instance_attribute", fates, on_instance=True)
            marks = {"TagSpecifications": tag_specifications(tags, "snapshot")}
            yield _Call("ec2:CreateSnapshot", "create_snapshot", {**one, **marks}, on_instance=True)
