"""Snapshots and images: minutes in the making, unique in their names, outliving what they were made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spotguard.cloud.simulated.state import Image, Snapshot
from spotguard.cloud.simulated.volumes import ROOT_DEVICE
from spotguard.cloud.simulated.wire.answers import Answers, require_known, tag_list
from spotguard.cloud.simulated.wire.filters import Reader, passing
from spotguard.cloud.simulated.wire.xml import Told
from spotguard.domain.ids import ImageId, InstanceId, SnapshotId, VolumeId
from spotguard.domain.instances import InstanceState
from spotguard.ports.cloud import CopyState

_SNAPSHOT_STATES = {CopyState.PENDING: "pending", CopyState.DONE: "completed", CopyState.FAILED: "error"}
_IMAGE_STATES = {CopyState.PENDING: "pending", CopyState.DONE: "available", CopyState.FAILED: "failed"}
_OF_SNAPSHOTS: Mapping[str, Reader] = {
    "snapshot-id": lambda copy: [copy.snapshot_id],
    "status": lambda copy: [_SNAPSHOT_STATES[copy.state]],
    "volume-id": lambda copy: [copy.volume_id],
    "volume-size": lambda copy: [copy.size_gib],
}
_OF_IMAGES: Mapping[str, Reader] = {
    "block-device-mapping.snapshot-id": lambda image: image.snapshots.values(),
    "image-id": lambda image: [image.image_id],
    "is-public": lambda image: [image.is_public],
    "name": lambda image: [image.name],
    "root-device-name": lambda _: [ROOT_DEVICE],
    "state": lambda image: [_IMAGE_STATES[image.state]],
}


class CopyAnswers(Answers):
    """CreateSnapshot(s), CreateImage, and their Describe and Delete."""

    def create_snapshot(self) -> Told:
        volume_id = self.ec2.world.volume(VolumeId(self.text("VolumeId"))).volume_id
        self.error_on_dryrun()
        return Told(self._snapshot_of(volume_id, self.tags_for("snapshot")))

    def create_snapshots(self) -> Told:
        """All volumes of an instance as of one instant: the simulator's time stands still meanwhile."""
        asked = self._get_param("InstanceSpecification", {})
        machine = self.ec2.world.machine(InstanceId(asked.get("InstanceId", "")))
        self.error_on_dryrun()
        left_out = {*asked.get("ExcludeDataVolumeIds", ())}
        volumes = [
            volume
            for device, volume in sorted(machine.volumes.items())
            if volume.volume_id not in left_out
            and not (device == ROOT_DEVICE and asked.get("ExcludeBootVolume"))
        ]
        copied = self._get_param("CopyTagsFromSource") == "volume"
        made = [
            self._snapshot_of(
                volume.volume_id, {**(volume.tags if copied else {}), **self.tags_for("snapshot")}
            )
            for volume in volumes
        ]
        return Told({"Snapshots": made})

    def _snapshot_of(self, volume_id: VolumeId, tags: dict[str, str]) -> dict[str, Any]:
        made = self.ec2.create_snapshot(volume_id, tags)
        self.account.facts[made] = {"Description": self._get_param("Description") or ""}
        return self._shown_snapshot(self.ec2.world.snapshots[made])

    def describe_snapshots(self) -> Told:
        self.error_on_dryrun()
        ids, filters = self.items("SnapshotIds"), self.filters()
        views = self.ec2.describe_snapshots([SnapshotId(snapshot_id) for snapshot_id in ids])
        require_known(ids, [view.snapshot_id for view in views], "InvalidSnapshot.NotFound")
        records = [self.ec2.world.snapshots[view.snapshot_id] for view in views]
        answer = self.page("Snapshots", passing(records, filters, _OF_SNAPSHOTS, lambda copy: copy.tags))
        answer["Snapshots"] = [self._shown_snapshot(copy) for copy in answer["Snapshots"]]
        return Told(answer)

    def delete_snapshot(self) -> Told:
        copy = self.ec2.world.snapshot(SnapshotId(self.text("SnapshotId")))
        self.error_on_dryrun()
        self.ec2.delete_snapshot(copy.snapshot_id)
        return Told({})

    def _shown_snapshot(self, copy: Snapshot) -> dict[str, Any]:
        return {
            "SnapshotId": copy.snapshot_id,
            "VolumeId": copy.volume_id,
            "VolumeSize": copy.size_gib,
            "State": _SNAPSHOT_STATES[copy.state],
            "StartTime": copy.started_at,
            "Progress": "100%" if copy.state is CopyState.DONE else "0%",
            "OwnerId": self.account.number,
            "Encrypted": False,
            "Tags": tag_list(copy.tags),
            **self.account.facts.get(copy.snapshot_id, {}),
        }

    def create_image(self) -> Told:
        """Reboots the instance unless told not to, as EC2 does (E9)."""
        machine = self.ec2.world.machine(InstanceId(self.text("InstanceId")))
        name = self.text("Name")
        self.error_on_dryrun()
        images = self.ec2.world.images
        known = len(images)
        try:
            made = self.ec2.create_image(machine.instance_id, name, self.tags_for("image"))
        finally:
            for image in list(images.values())[known:]:  # also when the answer is lost
                self.account.facts[image.image_id] = {"Description": self._get_param("Description") or ""}
                for snapshot_id in image.snapshots.values():
                    self.ec2.controls.retag(snapshot_id, self.tags_for("snapshot"))
                if not self._get_param("NoReboot") and machine.state is InstanceState.RUNNING:
                    self.ec2.controls.reboot(machine.instance_id)
        return Told({"ImageId": made})

    def describe_images(self) -> Told:
        self.error_on_dryrun()
        ids, filters = self.items("ImageIds"), self.filters()
        for image_id in ids:
            self.ec2.world.image(ImageId(image_id))
        wanted = ids or [image_id for image_id in filters.get("image-id", ()) if "*" not in image_id]
        views = self.ec2.describe_images([ImageId(image_id) for image_id in wanted])
        records = [self.ec2.world.images[view.image_id] for view in views]
        owners = {"self", self.account.number}
        if self.items("Owners"):
            ours = bool(owners & set(self.items("Owners")))
            records = [image for image in records if image.is_public is not ours]
        answer = self.page("Images", passing(records, filters, _OF_IMAGES, lambda image: image.tags))
        answer["Images"] = [self._shown_image(image) for image in answer["Images"]]
        return Told(answer)

    def deregister_image(self) -> Told:
        image = self.ec2.world.image(ImageId(self.text("ImageId")))
        self.error_on_dryrun()
        self.ec2.deregister_image(image.image_id)
        results = []
        if self._get_param("DeleteAssociatedSnapshots"):
            for snapshot_id in image.snapshots.values():
                self.ec2.delete_snapshot(snapshot_id)
                results.append({"SnapshotId": snapshot_id, "ReturnCode": "success"})
        return Told({"Return": True, "DeleteSnapshotResults": results})

    def _shown_image(self, image: Image) -> dict[str, Any]:
        snapshots = self.ec2.world.snapshots
        return {
            "ImageId": image.image_id,
            "Name": image.name,
            "State": _IMAGE_STATES[image.state],
            "CreationDate": image.created_at.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "OwnerId": "amazon" if image.is_public else self.account.number,
            "Public": image.is_public,
            "Architecture": "x86_64",
            "ImageType": "machine",
            "PlatformDetails": "Linux/UNIX",
            "VirtualizationType": "hvm",
            "Hypervisor": "xen",
            "EnaSupport": True,
            "RootDeviceType": "ebs",
            "RootDeviceName": ROOT_DEVICE,
            "BlockDeviceMappings": [
                {
                    "DeviceName": device,
                    "Ebs": {
                        "SnapshotId": snapshot_id,
                        "VolumeSize": snapshots[snapshot_id].size_gib,
                        "VolumeType": "gp3",
                        "DeleteOnTermination": device == ROOT_DEVICE,
                    },
                }
                for device, snapshot_id in sorted(image.snapshots.items())
            ],
            "Tags": tag_list(image.tags),
            **self.account.facts.get(image.image_id, {}),
        }
