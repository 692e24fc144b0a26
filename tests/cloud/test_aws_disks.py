"""Volumes, images and what outlives an instance, as the AWS room asks for them and reads EC2's refusals."""

import pytest

from spotguard.domain.errors import NeedsPerson, NotVisible
from tests.cloud.aws_scene import FOUND, INSTANCE, answer, refuse, scripted

VOLUME = "vol-0123456789abcdef0"


class TestVolumes:
    def held(self, state, instance_id=INSTANCE, device="/dev/sdf"):
        where = f"<instanceId>{instance_id}</instanceId><device>{device}</device>"
        attachment = f"<item>{where}<status>{state}</status></item>"
        return answer(
            "DescribeVolumes",
            f"<volumeSet><item><volumeId>{VOLUME}</volumeId><size>4</size><status>in-use</status>"
            f"<availabilityZone>us-east-1a</availabilityZone><createTime>2026-01-05T10:00:00Z</createTime>"
            f"<attachmentSet>{attachment if state else ''}</attachmentSet></item></volumeSet>",
        )

    @pytest.mark.parametrize("state", ["attaching", "attached"])
    def test_attached_there_already_is_harmless(self, state):
        with scripted(AttachVolume=[refuse("VolumeInUse")], DescribeVolumes=[self.held(state)]) as (cloud, _):
            cloud.attach_volume(VOLUME, INSTANCE, "/dev/sdf")

    @pytest.mark.parametrize(
        ("state", "instance_id", "device"),
        [
            ("attached", "i-other", "/dev/sdf"),
            ("attached", INSTANCE, "/dev/sdz"),
            ("detaching", INSTANCE, "/dev/sdf"),
            ("", INSTANCE, ""),
        ],
    )
    def test_any_other_refusal_to_attach_is_told(self, state, instance_id, device):
        """Single attachment is a fence: what is in another's hands, or on its way out, is not here."""
        with (
            scripted(
                AttachVolume=[refuse("VolumeInUse")],
                DescribeVolumes=[self.held(state, instance_id, device)],
            ) as (cloud, _),
            pytest.raises(NeedsPerson, match="VolumeInUse"),
        ):
            cloud.attach_volume(VOLUME, INSTANCE, "/dev/sdf")

    @pytest.mark.parametrize("state", ["", "detaching"])
    def test_detached_already_is_harmless(self, state):
        with scripted(DetachVolume=[refuse("IncorrectState")], DescribeVolumes=[self.held(state)]) as (
            cloud,
            _,
        ):
            cloud.detach_volume(VOLUME)

    def test_a_volume_that_another_one_has_by_now_is_left_with_it(self):
        answers = {
            "DetachVolume": [refuse("InvalidAttachment.NotFound")],
            "DescribeVolumes": [self.held("attached")],
        }
        with scripted(**answers) as (cloud, endpoint), pytest.raises(NeedsPerson, match="InvalidAttachment"):
            cloud.detach_volume(VOLUME, "i-held-before")
        assert endpoint.asked("DetachVolume")[0]["InstanceId"] == "i-held-before"

    def test_a_detachment_that_ec2_refuses_is_told_and_nothing_is_forced(self):
        answers = {
            "DetachVolume": [refuse("OperationNotPermitted")],
            "DescribeVolumes": [self.held("attached")],
        }
        with scripted(**answers) as (cloud, endpoint):
            with pytest.raises(NeedsPerson, match="OperationNotPermitted"):
                cloud.detach_volume(VOLUME)
            assert "Force" not in endpoint.asked("DetachVolume")[0]

    def test_deleting_again_is_harmless(self):
        with scripted(
            DeleteVolume=[refuse("InvalidVolume.NotFound")],
            DeleteSnapshot=[refuse("InvalidSnapshot.NotFound")],
            DeregisterImage=[refuse("InvalidAMIID.Unavailable")],
        ) as (cloud, _):
            cloud.delete_volume(VOLUME)
            cloud.delete_snapshot("snap-1")
            cloud.deregister_image("ami-1")

    def test_the_token_of_a_volume_is_a_tag_too(self):
        """DescribeVolumes cannot be asked by token."""
        made = answer("CreateVolume", f"<volumeId>{VOLUME}</volumeId>")
        with scripted(CreateVolume=[made], DescribeVolumes=[self.held("")]) as (cloud, endpoint):
            cloud.create_volume("vol-token", "us-east-1a", 4, {"a": "b"})
            assert cloud.describe_volumes(token="vol-token")
        assert endpoint.calls[0]["ClientToken"] == "vol-token"
        assert endpoint.calls[1]["Filter.1.Name"] == "tag:spotguard:token"


class TestImages:
    def test_an_image_never_reboots_its_instance(self):
        """E9: the default would."""
        made = answer("CreateImage", "<imageId>ami-2</imageId>")
        with scripted(CreateImage=[made]) as (cloud, endpoint):
            assert cloud.create_image(INSTANCE, "name", {"a": "b"}) == "ami-2"
        (told,) = endpoint.calls
        assert told["NoReboot"] == "true"
        assert {told["TagSpecification.1.ResourceType"], told["TagSpecification.2.ResourceType"]} == {
            "image",
            "snapshot",
        }

    def test_keeping_volumes_names_only_those_that_would_go(self):
        disks = "".join(
            f"<item><deviceName>{device}</deviceName><ebs><volumeId>{volume}</volumeId>"
            f"<deleteOnTermination>{goes}</deleteOnTermination></ebs></item>"
            for device, volume, goes in (("/dev/xvda", "vol-1", "true"), ("/dev/sdf", "vol-2", "false"))
        )
        shown = FOUND.replace(
            "<instanceLifecycle>", f"<blockDeviceMapping>{disks}</blockDeviceMapping><instanceLifecycle>"
        )
        with scripted(
            DescribeInstances=[answer("DescribeInstances", shown)],
            ModifyInstanceAttribute=[answer("ModifyInstanceAttribute", "<return>true</return>")],
        ) as (cloud, endpoint):
            cloud.keep_volumes(INSTANCE)
        (told,) = endpoint.asked("ModifyInstanceAttribute")
        assert {k: v for k, v in told.items() if k.startswith("BlockDeviceMapping")} == {
            "BlockDeviceMapping.1.DeviceName": "/dev/xvda",
            "BlockDeviceMapping.1.Ebs.VolumeId": "vol-1",
            "BlockDeviceMapping.1.Ebs.DeleteOnTermination": "false",
        }

    def test_keeping_what_ec2_does_not_show(self):
        none = answer("DescribeInstances", "<reservationSet/>")
        with scripted(DescribeInstances=[none]) as (cloud, _), pytest.raises(NotVisible):
            cloud.keep_volumes(INSTANCE)
