"""Launching, looking, ending: unmodified boto3 over real HTTP."""

from dataclasses import replace
from datetime import timedelta

import pytest

from spotguard.cloud.aws.instance_views import instance_view
from spotguard.cloud.simulated.physics import Bucket, Quotas, fixed
from spotguard.domain.ids import InstanceId
from tests.cloud.scene import EXACT, QUIET, START, A, B, C
from tests.wire.scene import TAGGED, refused, served

QUOTA_OF_ONE = replace(QUIET, quotas=Quotas(usual=2))


class TestLaunching:
    def test_a_spot_instance_where_it_was_wanted(self, scene):
        told = scene.launch(B.az)
        assert told["Placement"]["AvailabilityZone"] == B.az
        assert told["InstanceLifecycle"] == "spot"
        assert told["State"]["Name"] == "pending"
        scene.wait(10)
        seen = scene.see(told["InstanceId"])
        assert seen["State"] == {"Code": 16, "Name": "running"}
        assert seen["Tags"] == TAGGED
        assert seen["LaunchTime"] == START + timedelta(seconds=10)

    def test_on_demand_has_no_lifecycle(self, scene):
        assert "InstanceLifecycle" not in scene.launch(spot=False)

    def test_a_subnet_says_the_zone(self, scene):
        subnets = scene.client.describe_subnets()["Subnets"]
        (of_c,) = [subnet for subnet in subnets if subnet["AvailabilityZone"] == C.az]
        asked = scene.request() | {"SubnetId": of_c["SubnetId"]}
        del asked["Placement"]
        (told,) = scene.client.run_instances(**asked)["Instances"]
        assert (told["Placement"]["AvailabilityZone"], told["SubnetId"]) == (C.az, of_c["SubnetId"])

    def test_the_same_token_once(self, scene):
        one, again = scene.launch(token="t"), scene.launch(token="t")
        assert one["InstanceId"] == again["InstanceId"]
        assert len(scene.client.describe_instances()["Reservations"]) == 1

    def test_the_same_token_in_another_zone_launches_a_second_instance(self, scene):
        """E1: an account's tokens are zonal."""
        assert scene.launch(A.az, token="t")["InstanceId"] != scene.launch(B.az, token="t")["InstanceId"]

    @pytest.mark.parametrize(
        "other", [{"InstanceType": "c5.large"}, {"EbsOptimized": True}, {"UserData": "hello"}]
    )
    def test_the_same_token_with_other_parameters_is_refused(self, scene, other):
        scene.launch(token="t")
        with refused("IdempotentParameterMismatch", 400):
            scene.launch(token="t", **other)

    def test_a_token_whose_instance_ended_gives_that_one_again(self, scene):
        instance_id = scene.running(token="t")
        scene.client.terminate_instances(InstanceIds=[instance_id])
        scene.wait(60)
        again = scene.launch(token="t")
        assert (again["InstanceId"], again["State"]["Name"]) == (instance_id, "terminated")

    def test_disks_are_made_and_tagged_as_asked(self, scene):
        tagged = [{"ResourceType": "volume", "Tags": [{"Key": "of", "Value": "volume"}]}]
        data = {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 20, "DeleteOnTermination": False}}
        told = scene.launch(BlockDeviceMappings=[data], TagSpecifications=tagged)
        assert [disk["DeviceName"] for disk in told["BlockDeviceMappings"]] == ["/dev/sdf", "/dev/xvda"]
        assert told.get("Tags", []) == []
        inventory = scene.story.ec2.inventory()
        assert {volume.size_gib for volume in inventory.volumes} == {8, 20}
        assert all(volume.tags == {"of": "volume"} for volume in inventory.volumes)

    def test_what_a_clone_must_keep_is_kept(self, scene):
        group = scene.client.create_security_group(GroupName="g", Description="d")["GroupId"]
        scene.client.create_key_pair(KeyName="k")
        iam = scene.other("iam")
        profile = iam.create_instance_profile(InstanceProfileName="p")["InstanceProfile"]["Arn"]
        seen = scene.see(
            scene.running(
                SecurityGroupIds=[group],
                KeyName="k",
                IamInstanceProfile={"Name": "p"},
                MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
            )
        )
        assert [said["GroupId"] for said in seen["SecurityGroups"]] == [group]
        assert (seen["KeyName"], seen["IamInstanceProfile"]["Arn"]) == ("k", profile)
        options = seen["MetadataOptions"]
        assert (options["HttpTokens"], options["HttpPutResponseHopLimit"]) == ("required", 2)


class TestRefusals:
    def test_a_dry_pool_is_a_500(self, scene):
        """aws-facts: botocore would repeat it by itself, as with the real one."""
        scene.story.ec2.controls.make_dry(A)
        with refused("InsufficientInstanceCapacity", 500):
            scene.launch()

    def test_quotas(self):
        with served(QUOTA_OF_ONE) as scene:
            scene.launch()
            with refused("MaxSpotInstanceCountExceeded", 400):
                scene.launch()
            scene.launch(spot=False)
            with refused("VcpuLimitExceeded", 400):
                scene.launch(spot=False)

    def test_too_many_calls_are_a_503(self):
        buckets = {"describe": Bucket(1, 0.001)}
        with served(replace(QUIET, physics=replace(EXACT, buckets=buckets))) as scene:
            scene.client.describe_instances()
            with refused("RequestLimitExceeded", 503):
                scene.client.describe_instances()

    @pytest.mark.parametrize(
        ("wrong", "code"),
        [
            ({"ImageId": "ami-0123"}, "InvalidAMIID.NotFound"),
            ({"InstanceType": "z9.large"}, "InvalidParameterValue"),
            ({"SecurityGroupIds": ["sg-0123"]}, "InvalidGroup.NotFound"),
            ({"SubnetId": "subnet-0123"}, "InvalidSubnetID.NotFound"),
            ({"KeyName": "nobody"}, "InvalidKeyPair.NotFound"),
            ({"MinCount": 2, "MaxCount": 2}, "UnsupportedOperation"),
            ({"ClientToken": "x" * 65}, "InvalidParameterValue"),
        ],
    )
    def test_nothing_is_launched_by_a_wrong_request(self, scene, wrong, code):
        with refused(code, 400):
            scene.client.run_instances(**scene.request() | wrong)
        assert scene.story.ec2.inventory().instances == ()

    def test_a_maximum_price_below_the_price(self, scene):
        options = {"MarketType": "spot", "SpotOptions": {"MaxPrice": "0.01"}}
        with refused("SpotMaxPriceTooLow", 400):
            scene.launch(InstanceMarketOptions=options)

    def test_a_dry_run_launches_nothing(self, scene):
        with refused("DryRunOperation", 412):
            scene.launch(DryRun=True)
        with refused("InvalidAMIID.NotFound"):
            scene.launch(DryRun=True, ImageId="ami-0123")
        assert scene.story.ec2.inventory().instances == ()

    def test_another_regions_signature(self, scene):
        with refused("AuthFailure", 401):
            scene.other("ec2", region="eu-west-1").describe_instances()


class TestLooking:
    def test_by_id_token_tag_and_state(self, scene):
        one, two = scene.running(token="one"), scene.running(B.az, token="two", spot=False)

        def found(**by):
            pages = scene.client.describe_instances(
                Filters=[{"Name": name.replace("_", "-"), "Values": values} for name, values in by.items()]
            )
            return {i["InstanceId"] for r in pages["Reservations"] for i in r["Instances"]}

        assert found(client_token=["one"]) == {one}
        assert found(client_token=["one", "two"]) == {one, two}
        assert found(availability_zone=["us-east-1?"]) == {one, two}
        assert found(instance_lifecycle=["spot"]) == {one}
        assert found(instance_state_name=["pending", "stopped"]) == set()
        assert found(**{"tag:spotguard:managed": ["de*"]}) == {one, two}
        assert found(**{"tag:spotguard:managed": ["demo"], "client_token": ["two"]}) == {two}
        assert found(**{"tag-key": ["other"]}) == set()
        with refused("InvalidParameterValue", 400):
            found(colour=["blue"])

    def test_an_unknown_id_is_an_error_here_although_the_port_leaves_it_out(self, scene):
        known = scene.running()
        with refused("InvalidInstanceID.NotFound", 400):
            scene.client.describe_instances(InstanceIds=[known, "i-0123456789abcdef0"])

    def test_a_fresh_id_is_unknown_for_a_while(self):
        """E4."""
        with served(replace(QUIET, physics=replace(EXACT, visible_after_seconds=fixed(3)))) as scene:
            instance_id = scene.launch()["InstanceId"]
            for ask in (scene.client.describe_instances, scene.client.terminate_instances):
                with refused("InvalidInstanceID.NotFound"):
                    ask(InstanceIds=[instance_id])
            scene.wait(3)
            assert scene.see(instance_id)["InstanceId"] == instance_id

    def test_pages(self, scene):
        ids = {scene.launch()["InstanceId"] for _ in range(7)}
        paginator = scene.client.get_paginator("describe_instances")
        pages = list(paginator.paginate(PaginationConfig={"PageSize": 5}))
        assert [len(page["Reservations"]) for page in pages] == [5, 2]
        assert {i["InstanceId"] for p in pages for r in p["Reservations"] for i in r["Instances"]} == ids
        with refused("InvalidParameterCombination"):
            scene.client.describe_instances(InstanceIds=list(ids), MaxResults=5)

    def test_status_checks(self, scene):
        instance_id = scene.launch()["InstanceId"]
        asked = {"InstanceIds": [instance_id]}
        assert scene.client.describe_instance_status(**asked)["InstanceStatuses"] == []
        (pending,) = scene.client.describe_instance_status(**asked, IncludeAllInstances=True)[
            "InstanceStatuses"
        ]
        assert pending["InstanceState"]["Name"] == "pending"
        scene.wait(10)
        (well,) = scene.client.describe_instance_status(**asked)["InstanceStatuses"]
        assert well["SystemStatus"]["Status"] == well["InstanceStatus"]["Status"] == "ok"
        scene.control("impair", instance_id=instance_id)
        (ill,) = scene.client.describe_instance_status(**asked)["InstanceStatuses"]
        assert ill["InstanceStatus"]["Status"] == "impaired"
        assert ill["InstanceStatus"]["Details"][0]["ImpairedSince"] is not None


class TestEnding:
    def test_terminated_by_its_owner(self, scene):
        instance_id = scene.running()
        (change,) = scene.client.terminate_instances(InstanceIds=[instance_id])["TerminatingInstances"]
        assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == (
            "running",
            "shutting-down",
        )
        scene.wait(30)
        seen = scene.see(instance_id)
        assert seen["State"]["Name"] == "terminated"
        assert seen["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
        assert seen["StateTransitionReason"] == "User initiated (2026-01-05 00:00:10 GMT)"
        scene.client.terminate_instances(InstanceIds=[instance_id])
        scene.wait(3600)
        with refused("InvalidInstanceID.NotFound"):
            scene.client.terminate_instances(InstanceIds=[instance_id])

    def test_interrupted_by_aws(self, scene):
        instance_id = scene.running()
        scene.control("interrupt", instance_id=instance_id)
        scene.wait(150)
        seen = scene.see(instance_id)
        assert seen["StateReason"]["Code"] == "Server.SpotInstanceTermination"
        assert seen["StateTransitionReason"].startswith("Service initiated (2026-01-05 00:02:10")

    def test_one_unknown_id_and_nothing_ends(self, scene):
        known = scene.running()
        with refused("InvalidInstanceID.NotFound"):
            scene.client.terminate_instances(InstanceIds=[known, "i-0123456789abcdef0"])
        assert scene.see(known)["State"]["Name"] == "running"

    def test_whether_it_may_hibernate_is_told_and_only_then_it_does(self, scene):
        plain, other = scene.running(spot=False), scene.running(spot=False)
        scene.story.ec2.controls.configure_hibernation(InstanceId(other))
        shown = scene.see(plain), scene.see(other)
        assert [one["HibernationOptions"]["Configured"] for one in shown] == [False, True]
        assert [instance_view(one).hibernates for one in shown] == [False, True]
        with refused("UnsupportedHibernationConfiguration", 400):
            scene.client.stop_instances(InstanceIds=[plain], Hibernate=True)
        scene.client.stop_instances(InstanceIds=[other], Hibernate=True)
        scene.wait(20)
        assert scene.see(other)["State"]["Name"] == "stopped"

    def test_on_demand_stops_and_starts_and_spot_does_not(self, scene):
        spot, ondemand = scene.running(), scene.running(spot=False)
        with refused("UnsupportedOperation", 400):
            scene.client.stop_instances(InstanceIds=[spot])
        scene.client.stop_instances(InstanceIds=[ondemand])
        scene.wait(20)
        assert scene.see(ondemand)["State"]["Name"] == "stopped"
        scene.client.start_instances(InstanceIds=[ondemand])
        scene.wait(10)
        assert scene.see(ondemand)["State"]["Name"] == "running"
        scene.client.reboot_instances(InstanceIds=[spot])
