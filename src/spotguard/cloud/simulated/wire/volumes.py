"""Volumes: the simulator's, with EC2's refusals where the port forgives a repetition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from spotguard.cloud.simulated.state import Volume
from spotguard.cloud.simulated.wire.answers import Answers, require_known, tag_list
from spotguard.cloud.simulated.wire.errors import WireError
from spotguard.cloud.simulated.wire.filters import Reader, passing
from spotguard.cloud.simulated.wire.launching import fingerprint
from spotguard.cloud.simulated.wire.xml import Told
from spotguard.domain.ids import ClientToken, InstanceId, SnapshotId, VolumeId

UNKNOWN = "InvalidVolume.NotFound"
_KEPT = ("VolumeType", "Iops", "Throughput", "Encrypted", "KmsKeyId")
_READERS: Mapping[str, Reader] = {
    "attachment.device": lambda volume: [volume.device] if volume.machine else [],
    "attachment.instance-id": lambda volume: [volume.machine.instance_id] if volume.machine else [],
    "availability-zone": lambda volume: [volume.az],
    "size": lambda volume: [volume.size_gib],
    "snapshot-id": lambda volume: [volume.snapshot_id or ""],
    "status": lambda volume: [volume.state.value],
    "volume-id": lambda volume: [volume.volume_id],
}


class VolumeAnswers(Answers):
    """CreateVolume, DescribeVolumes, AttachVolume, DetachVolume, DeleteVolume."""

    def describe_volumes(self) -> Told:
        self.error_on_dryrun()
        ids, filters = self.items("VolumeIds"), self.filters()
        wanted = ids or filters.get("volume-id", [])
        views = self.ec2.describe_volumes(
            [VolumeId(volume_id) for volume_id in wanted if "*" not in volume_id]
        )
        if ids:
            require_known(ids, [view.volume_id for view in views], UNKNOWN)
        records = [self.ec2.world.volumes[view.volume_id] for view in views]
        answer = self.page("Volumes", passing(records, filters, _READERS, lambda volume: volume.tags))
        answer["Volumes"] = [self._shown(volume) for volume in answer["Volumes"]]
        return Told(answer)

    def create_volume(self) -> Told:
        az, wanted = self.text("AvailabilityZone"), {**self.params}
        named = self._get_param("SnapshotId")
        snapshot_id = SnapshotId(named) if named else None
        size = self._get_param("Size")
        if size is None:
            if snapshot_id is None:
                raise WireError("MissingParameter", "The request must contain size or snapshotId")
            size = self.ec2.world.snapshot(snapshot_id).size_gib
        self.error_on_dryrun()
        token = ClientToken(self._get_param("ClientToken") or str(uuid4()))
        asked = fingerprint(wanted)
        self.require_same("CreateVolume", token, az, asked)
        volumes = self.ec2.world.volumes
        known = len(volumes)
        try:
            made = self.ec2.create_volume(
                token,
                az,
                int(size),
                self.tags_for("volume"),
                snapshot_id,
            )
        finally:
            for volume_id in list(volumes)[known:]:  # also when the answer is lost
                self.account.facts[volume_id] = {name: wanted[name] for name in _KEPT if name in wanted}
                self.account.fingerprints["CreateVolume", token, az] = asked
        return Told(self._shown(volumes[made]))

    def attach_volume(self) -> Told:
        volume = self._volume()
        machine = self.ec2.world.machine(InstanceId(self.text("InstanceId")))
        device = self.text("Device")
        self.error_on_dryrun()
        if volume.machine is machine and not volume.detaching:
            raise WireError("VolumeInUse", f"{volume.volume_id} is already attached to {machine.instance_id}")
        self.ec2.attach_volume(volume.volume_id, machine.instance_id, device)
        return Told({**self._attachment(volume), "State": "attaching"})

    def detach_volume(self) -> Told:
        volume = self._volume()
        instance_id, machine = self._get_param("InstanceId"), volume.machine
        if machine is None:
            raise WireError("IncorrectState", f"Volume '{volume.volume_id}' is in the 'available' state")
        if instance_id not in {None, machine.instance_id}:
            raise WireError("InvalidAttachment.NotFound", f"{volume.volume_id} is not on {instance_id}")
        self.error_on_dryrun()
        self.ec2.detach_volume(volume.volume_id)
        return Told(self._attachment(volume))

    def delete_volume(self) -> Told:
        volume = self._volume()
        self.error_on_dryrun()
        self.ec2.delete_volume(volume.volume_id)
        return Told({})

    def _volume(self) -> Volume:
        """The record; unknown once it is deleted, while the port calls a second deletion harmless."""
        return self.ec2.world.volume(VolumeId(self.text("VolumeId")))

    def _shown(self, volume: Volume) -> dict[str, Any]:
        facts = self.account.facts.get(volume.volume_id, {})
        return {
            "VolumeId": volume.volume_id,
            "Size": volume.size_gib,
            "AvailabilityZone": volume.az,
            "State": volume.state.value,
            "CreateTime": volume.created_at,
            "SnapshotId": volume.snapshot_id or "",
            "VolumeType": "gp3",
            "Iops": 3000,
            "Encrypted": False,
            "MultiAttachEnabled": False,
            **facts,
            "Attachments": [self._attachment(volume)] if volume.machine is not None else [],
            "Tags": tag_list(volume.tags),
        }

    @staticmethod
    def _attachment(volume: Volume) -> dict[str, Any]:
        machine = volume.machine
        return {
            "VolumeId": volume.volume_id,
            "InstanceId": None if machine is None else machine.instance_id,
            "Device": volume.device,
            "State": "detaching" if volume.detaching else "attached",
            "AttachTime": volume.created_at,
            "DeleteOnTermination": volume.delete_on_termination,
        }
