"""Volumes, snapshots and images over real HTTP."""

from dataclasses import replace

import pytest

from spotguard.cloud.simulated.physics import fixed
from tests.cloud.scene import EXACT, QUIET, A, B, Notes
from tests.wire.scene import refused, served

NOBODY = "vol-0123456789abcdef0"


@pytest.fixture
def volume(scene):
    made = made_in(scene, A.az, token="v")
    scene.wait(2)
    return made["VolumeId"]


def made_in(scene, az, *, token="v", size=10, **more):
    return scene.client.create_volume(ClientToken=token, AvailabilityZone=az, Size=size, **more)


def see(scene, volume_id):
    (volume,) = scene.client.describe_volumes(VolumeIds=[volume_id])["Volumes"]
    return volume


def attach(scene, volume_id, instance_id, device="/dev/sdf"):
    return scene.client.attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device=device)


class TestVolumes:
    def test_creating_then_available_and_as_asked(self, scene):
        tagged = [{"ResourceType": "volume", "Tags": [{"Key": "k", "Value": "v"}]}]
        asked = {"VolumeType": "io2", "Iops": 500, "Encrypted": True, "TagSpecifications": tagged}
        told = made_in(scene, A.az, **asked)
        assert told["State"] == "creating"
        scene.wait(2)
        seen = see(scene, told["VolumeId"])
        assert (seen["State"], seen["Size"], seen["AvailabilityZone"]) == ("available", 10, A.az)
        assert (seen["VolumeType"], seen["Iops"], seen["Encrypted"]) == ("io2", 500, True)
        assert seen["Tags"] == [{"Key": "k", "Value": "v"}]

    def test_a_token_makes_one_and_is_zonal(self, scene):
        first = made_in(scene, A.az)["VolumeId"]
        assert made_in(scene, A.az)["VolumeId"] == first
        assert made_in(scene, B.az)["VolumeId"] != first
        for other in ({"size": 11}, {"VolumeType": "io2", "Iops": 100}):
            with refused("IdempotentParameterMismatch"):
                made_in(scene, A.az, **other)

    def test_single_attachment_is_a_fence(self, scene, volume):
        one, two = scene.running(), scene.running()
        assert attach(scene, volume, one)["State"] == "attaching"
        (held,) = see(scene, volume)["Attachments"]
        assert (held["InstanceId"], held["Device"], held["DeleteOnTermination"]) == (one, "/dev/sdf", False)
        for anybody in (one, two):  # the port calls it harmless on the same one, EC2 does not
            with refused("VolumeInUse"):
                attach(scene, volume, anybody)
        with refused("VolumeInUse"):
            scene.client.delete_volume(VolumeId=volume)

    def test_detached_after_a_while_and_refused_when_it_is_free(self, scene, volume):
        attach(scene, volume, scene.running())
        assert scene.client.detach_volume(VolumeId=volume)["State"] == "detaching"
        assert see(scene, volume)["Attachments"][0]["State"] == "detaching"
        scene.wait(5)
        assert (see(scene, volume)["State"], see(scene, volume)["Attachments"]) == ("available", [])
        with refused("IncorrectState"):
            scene.client.detach_volume(VolumeId=volume)

    def test_what_cannot_be_attached(self, scene, volume):
        with refused("InvalidVolume.ZoneMismatch"):
            attach(scene, volume, scene.running(B.az))
        here = scene.running()
        with refused("InvalidParameterValue"):
            attach(scene, volume, here, "/dev/xvda")
        with refused("InvalidVolume.NotFound"):
            attach(scene, NOBODY, here)
        with refused("InvalidInstanceID.NotFound"):
            attach(scene, volume, "i-0123456789abcdef0")
        with refused("OperationNotPermitted"):
            scene.client.detach_volume(VolumeId=scene.see(here)["BlockDeviceMappings"][0]["Ebs"]["VolumeId"])

    def test_deleted_once(self, scene, volume):
        scene.client.delete_volume(VolumeId=volume)
        for again in (scene.client.delete_volume, scene.client.detach_volume):
            with refused("InvalidVolume.NotFound", 400):
                again(VolumeId=volume)
        with refused("InvalidVolume.NotFound"):
            see(scene, volume)

    def test_found_by_filters(self, scene, volume):
        instance_id = scene.running()
        attach(scene, volume, instance_id)

        def found(name, value):
            filters = [{"Name": name, "Values": [value]}]
            return {v["VolumeId"] for v in scene.client.describe_volumes(Filters=filters)["Volumes"]}

        assert found("attachment.instance-id", instance_id) > {volume}
        assert found("attachment.device", "/dev/sdf") == {volume}
        assert found("volume-id", NOBODY) == set()
        assert found("status", "available") == set()

    def test_what_outlives_its_instance(self, scene):
        data = {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 20, "DeleteOnTermination": True}}
        instance_id = scene.running(BlockDeviceMappings=[data])
        fates = [{"DeviceName": d, "Ebs": {"DeleteOnTermination": False}} for d in ("/dev/xvda", "/dev/sdf")]
        scene.client.modify_instance_attribute(InstanceId=instance_id, BlockDeviceMappings=fates[1:])
        assert fate_of(scene, instance_id) == {"/dev/sdf": False, "/dev/xvda": True}
        scene.client.modify_instance_attribute(InstanceId=instance_id, BlockDeviceMappings=fates)
        assert fate_of(scene, instance_id) == {"/dev/sdf": False, "/dev/xvda": False}
        scene.client.terminate_instances(InstanceIds=[instance_id])
        scene.wait(30)
        states = [volume["State"] for volume in scene.client.describe_volumes()["Volumes"]]
        assert states == ["available", "available"]
        with refused("InvalidInstanceAttributeValue"):
            wrong = [{"DeviceName": "/dev/sdz", "Ebs": {"DeleteOnTermination": False}}]
            scene.client.modify_instance_attribute(InstanceId=scene.running(), BlockDeviceMappings=wrong)


def fate_of(scene, instance_id):
    disks = scene.see(instance_id)["BlockDeviceMappings"]
    return {disk["DeviceName"]: disk["Ebs"]["DeleteOnTermination"] for disk in disks}


def copy_of(scene, volume, **more):
    return scene.client.create_snapshot(VolumeId=volume, **more)["SnapshotId"]


class TestSnapshots:
    def test_pending_then_completed_then_a_volume_of_it_elsewhere(self, scene, volume):
        with scene.wire.exclusively() as ec2:
            ec2.controls.content_of(volume).lines.append("kept")
        tagged = [{"ResourceType": "snapshot", "Tags": [{"Key": "k", "Value": "v"}]}]
        copy = copy_of(scene, volume, Description="d", TagSpecifications=tagged)
        (seen,) = scene.client.describe_snapshots(SnapshotIds=[copy])["Snapshots"]
        assert (seen["State"], seen["Description"], seen["VolumeId"]) == ("pending", "d", volume)
        with refused("IncorrectState"):
            scene.client.create_volume(AvailabilityZone=B.az, SnapshotId=copy)
        scene.wait(60)
        (seen,) = scene.client.describe_snapshots(
            Filters=[{"Name": "tag:k", "Values": ["v"]}], OwnerIds=["self"]
        )["Snapshots"]
        assert (seen["State"], seen["Progress"]) == ("completed", "100%")
        made = scene.client.create_volume(AvailabilityZone=B.az, SnapshotId=copy)
        assert (made["Size"], made["SnapshotId"]) == (10, copy)
        with scene.wire.exclusively() as ec2:
            assert ec2.controls.content_of(made["VolumeId"]) == Notes(["kept"])

    def test_all_volumes_of_an_instance_as_of_one_instant(self, scene):
        data = {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 20}}
        instance_id = scene.running(BlockDeviceMappings=[data])
        asked = {"InstanceId": instance_id}
        both = scene.client.create_snapshots(InstanceSpecification=asked)["Snapshots"]
        assert sorted(copy["VolumeSize"] for copy in both) == [8, 20]
        assert len({copy["StartTime"] for copy in both}) == 1
        (one,) = scene.client.create_snapshots(InstanceSpecification={**asked, "ExcludeBootVolume": True})[
            "Snapshots"
        ]
        assert one["VolumeSize"] == 20

    def test_too_many_at_once(self, scene, volume):
        for _ in range(5):
            copy_of(scene, volume)
        with refused("ConcurrentSnapshotLimitExceeded", 400):
            copy_of(scene, volume)

    def test_deleted_once_and_not_while_an_image_owns_it(self, scene, volume):
        copy = copy_of(scene, volume)
        scene.client.delete_snapshot(SnapshotId=copy)
        with refused("InvalidSnapshot.NotFound"):
            scene.client.delete_snapshot(SnapshotId=copy)
        with refused("InvalidSnapshot.NotFound"):
            scene.client.describe_snapshots(SnapshotIds=[copy])
        image = image_of(scene, scene.running())
        with refused("InvalidSnapshot.InUse"):
            scene.client.delete_snapshot(SnapshotId=parts_of(scene, image)[0])


def image_of(scene, instance_id, name="spotguard-1", **more):
    asked = {"NoReboot": True, **more}
    return scene.client.create_image(InstanceId=instance_id, Name=name, **asked)["ImageId"]


def parts_of(scene, image_id):
    (image,) = scene.client.describe_images(ImageIds=[image_id])["Images"]
    return [disk["Ebs"]["SnapshotId"] for disk in image["BlockDeviceMappings"]]


class TestImages:
    def test_minutes_until_it_can_be_launched(self, scene):
        image = image_of(scene, scene.running())
        (seen,) = scene.client.describe_images(ImageIds=[image])["Images"]
        assert (seen["State"], seen["Name"]) == ("pending", "spotguard-1")
        with refused("InvalidAMIID.Unavailable"):
            scene.launch(ImageId=image)
        scene.wait(90)
        (seen,) = scene.client.describe_images(
            Owners=["self"], Filters=[{"Name": "name", "Values": ["spotguard-1"]}]
        )["Images"]
        assert seen["State"] == "available"
        assert scene.launch(ImageId=image)["ImageId"] == image

    def test_its_name_is_unique(self, scene):
        instance_id = scene.running()
        image = image_of(scene, instance_id)
        with refused("InvalidAMIName.Duplicate"):
            image_of(scene, instance_id)
        scene.client.deregister_image(ImageId=image)
        image_of(scene, instance_id)

    def test_tags_of_image_and_snapshots_are_apart(self, scene):
        tagged = [
            {"ResourceType": kind, "Tags": [{"Key": "of", "Value": kind}]} for kind in ("image", "snapshot")
        ]
        image = image_of(scene, scene.running(), TagSpecifications=tagged)
        (seen,) = scene.client.describe_images(ImageIds=[image])["Images"]
        assert seen["Tags"] == [{"Key": "of", "Value": "image"}]
        (copy,) = scene.client.describe_snapshots(SnapshotIds=parts_of(scene, image))["Snapshots"]
        assert copy["Tags"] == [{"Key": "of", "Value": "snapshot"}]

    def test_somebody_elses_shows_by_id_and_not_among_ours(self, scene):
        public = scene.story.image
        (seen,) = scene.client.describe_images(ImageIds=[public])["Images"]
        assert (seen["Public"], seen["OwnerId"]) == (True, "amazon")
        assert scene.client.describe_images(Owners=["self"])["Images"] == []
        with refused("AuthFailure"):
            scene.client.deregister_image(ImageId=public)

    def test_deregistered_it_is_unavailable_and_its_snapshots_stay(self, scene):
        image = image_of(scene, scene.running())
        parts = parts_of(scene, image)
        scene.client.deregister_image(ImageId=image)
        for ask in (
            lambda: scene.client.deregister_image(ImageId=image),
            lambda: scene.client.describe_images(ImageIds=[image]),
        ):
            with refused("InvalidAMIID.Unavailable"):
                ask()
        assert len(scene.client.describe_snapshots(SnapshotIds=parts)["Snapshots"]) == 1
        with refused("InvalidAMIID.NotFound"):
            scene.client.describe_images(ImageIds=["ami-0123456789abcdef0"])

    def test_or_they_go_with_it_when_asked(self, scene):
        image = image_of(scene, scene.running())
        parts = parts_of(scene, image)
        scene.client.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)
        with refused("InvalidSnapshot.NotFound"):
            scene.client.describe_snapshots(SnapshotIds=parts)

    @pytest.mark.parametrize("no_reboot", [True, False])
    def test_it_reboots_unless_told_not_to(self, scene, no_reboot):
        """E9."""
        instance_id = scene.running()
        scene.wait(60)
        scene.story.heard(instance_id)
        image_of(scene, instance_id, NoReboot=no_reboot)
        assert [kind.value for _, kind in scene.story.heard(instance_id)] == (
            [] if no_reboot else ["rebooted"]
        )

    def test_one_that_fails(self, scene):
        image = image_of(scene, scene.running())
        scene.control("fail-copy", copy_id=image)
        assert scene.client.describe_images(ImageIds=[image])["Images"][0]["State"] == "failed"


def test_fresh_ids_are_unknown_for_a_while():
    """E4: of every kind."""
    with served(replace(QUIET, physics=replace(EXACT, visible_after_seconds=fixed(3)))) as scene:
        volume = made_in(scene, A.az)["VolumeId"]
        with refused("InvalidVolume.NotFound"):
            see(scene, volume)
        scene.wait(3)
        copy = copy_of(scene, volume)
        with refused("InvalidSnapshot.NotFound"):
            scene.client.describe_snapshots(SnapshotIds=[copy])
        scene.wait(3)
        assert len(scene.client.describe_snapshots(SnapshotIds=[copy])["Snapshots"]) == 1
