"""The end of an instance, and what must outlive it."""

from __future__ import annotations

from spotguard.cloud.aws import looking
from spotguard.cloud.aws.connection import Connection
from spotguard.cloud.aws.errors import read
from spotguard.cloud.aws.instance_views import instance_view
from spotguard.domain.ids import InstanceId


def terminate(connection: Connection, instance_id: InstanceId) -> None:
    connection.change("terminate_instances", InstanceIds=[instance_id])


def keep_volumes(connection: Connection, instance_id: InstanceId) -> None:
    """`DeleteOnTermination = false` on every volume that would go with it (E15)."""
    view = read(instance_view, looking.instance(connection, instance_id))
    going = [volume for volume in view.volumes if volume.delete_on_termination]
    if going:
        connection.change(
            "modify_instance_attribute",
            InstanceId=instance_id,
            BlockDeviceMappings=[
                {"DeviceName": v.device, "Ebs": {"VolumeId": v.volume_id, "DeleteOnTermination": False}}
                for v in going
            ],
        )
