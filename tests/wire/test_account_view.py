"""What the account shows of an instance before it is enrolled, asked over real HTTP by unmodified boto3."""

import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from spotguard.cloud.aws.account_view import AwsAccountView
from spotguard.cloud.aws.cloud import AwsCloud
from spotguard.cloud.aws.connection import Account
from spotguard.cloud.aws.sighting import instance_of
from spotguard.cloud.simulated.physics import Quotas
from spotguard.cloud.simulated.settings import Settings
from spotguard.domain.agents import Executor
from spotguard.domain.instances import Mode
from spotguard.domain.quotas import QuotaClass
from spotguard.planning.eligibility.facts import Key, Permission, Quota
from spotguard.planning.eligibility.pointers import PointerKind
from spotguard.planning.findings import Unseen
from spotguard.planning.permissions.roles import Role, statements
from spotguard.planning.permissions.scope import Scope
from spotguard.planning.permissions.statements import actions_of
from tests.cloud.scene import EXACT, STILL
from tests.wire.scene import REGION, served


@pytest.fixture(autouse=True)
def _credentials(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAWIRE000000000000")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")


def view_of(scene):
    return AwsAccountView(Account(REGION, scene.wire.url), {"spotguard:managed": "demo"})


def sight(scene, instance_id):
    return view_of(scene).instance(instance_id)


def user(scene, *actions):
    """The credentials of somebody who may do these alone."""
    iam = scene.other("iam")
    iam.create_user(UserName="enroller")
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}],
    }
    iam.put_user_policy(UserName="enroller", PolicyName="p", PolicyDocument=json.dumps(document))
    return iam.create_access_key(UserName="enroller")["AccessKey"]


@contextmanager
def asking_as(scene, monkeypatch, *actions):
    key = user(scene, *actions)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    with scene.wire.iam_enforced():
        yield view_of(scene)


class TestTheInstance:
    def test_as_ec2_shows_it(self, scene):
        instance_id = scene.running(spot=False, MetadataOptions={"HttpTokens": "required"})
        seen = sight(scene, instance_id)
        assert (seen.instance_id, seen.instance_type, seen.az) == (instance_id, "m5.large", "us-east-1a")
        assert (seen.mode, seen.platform, seen.root_device) == (Mode.ONDEMAND, "Linux/UNIX", "ebs")
        assert (seen.tokens_required, seen.protected, seen.credits) == (True, False, None)
        assert [volume.device for volume in seen.volumes] == ["/dev/xvda"]
        assert (seen.public_ip is not None, seen.elastic) == (True, False)

    def test_protection_is_an_attribute_of_its_own(self, scene):
        instance_id = scene.running(spot=False)
        scene.client.modify_instance_attribute(InstanceId=instance_id, DisableApiTermination={"Value": True})
        assert sight(scene, instance_id).protected is True

    def test_an_elastic_ip_is_told_from_an_assigned_address(self, scene):
        instance_id = scene.running()
        made = scene.client.allocate_address(Domain="vpc")
        scene.client.associate_address(InstanceId=instance_id, AllocationId=made["AllocationId"])
        seen = sight(scene, instance_id)
        assert (seen.public_ip, seen.elastic) == (made["PublicIp"], True)
        shape = AwsCloud(Account(REGION, scene.wire.url)).describe_shape(instance_id)
        assert shape.public_ip is True, (
            "before the address follows, its clone reaches nobody without one of its own"
        )

    def test_one_that_is_not_there_is_unseen(self, scene):
        assert "InvalidInstanceID.NotFound" in sight(scene, "i-0123456789abcdef0").because

    def test_what_the_simulator_never_shows_is_read_too(self):
        shown = {
            "InstanceId": "i-1",
            "InstanceType": "t3.large",
            "InstanceLifecycle": "spot",
            "PlatformDetails": "Red Hat Enterprise Linux",
            "ProductCodes": [{"ProductCodeId": "abc", "ProductCodeType": "marketplace"}],
            "Placement": {"AvailabilityZone": "us-east-1a", "Tenancy": "host", "GroupName": "fast"},
            "HibernationOptions": {"Configured": True},
            "EnclaveOptions": {"Enabled": True},
            "Licenses": [{"LicenseConfigurationArn": "arn:l"}],
            "CapacityReservationSpecification": {
                "CapacityReservationTarget": {"CapacityReservationId": "cr-1"}
            },
            "NetworkInterfaces": [
                {
                    "NetworkInterfaceId": "eni-1",
                    "InterfaceType": "efa",
                    "PrivateIpAddresses": [
                        {"PrivateIpAddress": "10.0.0.5", "Primary": True},
                        {"PrivateIpAddress": "10.0.0.9", "Primary": False},
                    ],
                }
            ],
        }
        seen = instance_of(shown, "unlimited", protected=False, volumes=())
        assert (seen.platform, dict(seen.product_codes)) == (shown["PlatformDetails"], {"abc": "marketplace"})
        assert (seen.tenancy, seen.placement_group, seen.reservation) == ("host", "fast", "cr-1")
        assert (seen.hibernates, seen.enclave, seen.licences) == (True, True, ("arn:l",))
        assert [(one.kind, one.secondary_ips) for one in seen.interfaces] == [("efa", ("10.0.0.9",))]
        assert (seen.mode, seen.credits, seen.ena) == (Mode.SPOT, "unlimited", False)


class TestTheAccount:
    def test_who_asks_and_what_time_aws_has(self, scene):
        view = view_of(scene)
        assert view.identity().startswith("arn:aws:sts::")
        assert abs(view.clock() - datetime.now(UTC)) < timedelta(seconds=5)

    def test_quotas_and_what_of_them_is_in_use(self):
        limits = Quotas(spot={QuotaClass.STANDARD: 8}, ondemand={QuotaClass.STANDARD: 4})
        with served(Settings(physics=EXACT, climate=STILL, quotas=limits)) as scene:
            scene.running()
            scene.running()
            scene.running(spot=False)
            spot, ondemand = view_of(scene).quotas("c5.xlarge")
            assert spot == Quota("All Standard Spot Instance Requests", 8, 4)
            assert ondemand == Quota("Running On-Demand Standard instances", 4, 2)

    def test_a_class_whose_quota_we_do_not_know_is_said_to_be_unknown(self, scene):
        spot, _ = view_of(scene).quotas("p4d.24xlarge")
        assert "class P are not known" in spot.because

    def test_zones_of_its_network(self, scene):
        instance = sight(scene, scene.running())
        assert view_of(scene).surroundings(instance, Executor.SERVER).zones == (
            "us-east-1a",
            "us-east-1b",
            "us-east-1c",
        )

    def test_a_customers_key_without_and_with_the_spot_services_grant(self, scene):
        kms = scene.other("kms")
        key_id = kms.create_key()["KeyMetadata"]["Arn"]
        instance = sight(scene, scene.running())
        locked = replaced_key(instance, key_id)
        assert view_of(scene).surroundings(locked, Executor.SERVER).keys == (
            Key(key_id, of_aws=False, granted=False),
        )
        role = "arn:aws:iam::123456789012:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"
        kms.create_grant(KeyId=key_id, GranteePrincipal=role, Operations=["Decrypt"])
        assert view_of(scene).surroundings(locked, Executor.SERVER).keys == (
            Key(key_id, of_aws=False, granted=True),
        )

    def test_the_spot_services_role(self, scene):
        assert view_of(scene).spot_role() is False
        scene.other("iam").create_service_linked_role(AWSServiceName="spot.amazonaws.com")
        scene.other("iam").create_role(RoleName="AWSServiceRoleForEC2Spot", AssumeRolePolicyDocument="{}")
        assert view_of(scene).spot_role() is True


def replaced_key(instance, key_id):
    volumes = tuple(replace(one, encrypted=True, key_id=key_id) for one in instance.volumes)
    return replace(instance, volumes=volumes)


OF_AGENTS = {
    "ec2:RunInstances", "ec2:CreateImage", "ec2:TerminateInstances", "ec2:AttachVolume", "ec2:DetachVolume",
}  # fmt: skip
OF_SERVERS = OF_AGENTS | {"ec2:CreateLaunchTemplate", "ec2:ModifyInstanceAttribute", "ec2:CreateSnapshot"}


class TestPermissions:
    @pytest.mark.parametrize(
        ("executor", "calls"), [(Executor.AGENT, OF_AGENTS), (Executor.SERVER, OF_SERVERS)]
    )
    def test_a_dry_run_of_every_call_changes_nothing(self, scene, executor, calls):
        instance = sight(scene, scene.running())
        before = scene.control("inventory")
        asked = view_of(scene).permissions(instance, executor)
        assert {one.action for one in asked if one.allowed} == calls
        assert scene.control("inventory") == before
        assert scene.client.describe_launch_templates()["LaunchTemplates"] == []
        assert {one.action for one in asked if not one.on_instance} & OF_AGENTS == {"ec2:RunInstances"}

    def test_what_the_policy_does_not_allow_is_denied(self, scene, monkeypatch):
        instance = sight(scene, scene.running())
        with asking_as(scene, monkeypatch, "ec2:Describe*", "ec2:RunInstances", "ec2:CreateTags") as view:
            asked = {one.action: one for one in view.permissions(instance, Executor.AGENT)}
        assert asked["ec2:RunInstances"] == Permission("ec2:RunInstances", allowed=True)
        denied = Permission("ec2:TerminateInstances", allowed=False, because="UnauthorizedOperation")
        assert asked["ec2:TerminateInstances"] == replace(denied, on_instance=True)
        assert {name for name, one in asked.items() if one.allowed} == {"ec2:RunInstances"}

    def test_a_launch_that_is_denied_proves_nothing_before_there_is_an_image_of_ours(
        self, scene, monkeypatch
    ):
        instance = sight(scene, scene.running())
        with asking_as(scene, monkeypatch, "ec2:Describe*") as view:
            (before, *_) = view.permissions(instance, Executor.AGENT)
        assert (before.action, before.allowed) == ("ec2:RunInstances", None)
        assert "an image that SpotGuard has made" in before.because

    def test_with_an_image_of_ours_it_does(self, scene, monkeypatch):
        instance = sight(scene, scene.running())
        tags = [{"ResourceType": "image", "Tags": [{"Key": "spotguard:managed", "Value": "demo"}]}]
        scene.client.create_image(
            InstanceId=instance.instance_id, Name="ours", NoReboot=True, TagSpecifications=tags
        )
        scene.wait(600)
        with asking_as(scene, monkeypatch, "ec2:Describe*") as view:
            (after, *_) = view.permissions(instance, Executor.AGENT)
        assert (after.action, after.allowed) == ("ec2:RunInstances", False)

    def test_the_policy_for_reading_is_enough(self, scene, monkeypatch):
        instance = sight(scene, scene.running())
        # moto asks for the name that CloudWatch signs by, and takes no signature of Route 53's
        reading = actions_of(statements(Role.READ, Scope()))
        with asking_as(scene, monkeypatch, *reading, "monitoring:DescribeAlarms") as view:
            assert not isinstance(view.instance(instance.instance_id), Unseen)
            around, pointers = view.surroundings(instance, Executor.SERVER), view.pointers(instance)
        assert {name for name, fact in vars(around).items() if isinstance(fact, Unseen)} == set()
        assert set(pointers.not_looked_at) <= {PointerKind.DNS_RECORD}

    def test_without_any_permission_nothing_is_seen_and_nothing_fails(self, scene, monkeypatch):
        instance = sight(scene, scene.running())
        with asking_as(scene, monkeypatch, "s3:ListBucket") as view:
            assert isinstance(view.instance(instance.instance_id), Unseen)
            around = view.surroundings(instance, Executor.SERVER)
            pointers = view.pointers(instance)
        for name in ("type_facts", "ondemand_quota", "permissions", "zones"):
            assert isinstance(getattr(around, name), Unseen), name
        assert PointerKind.GROUP_RULE in pointers.not_looked_at


class TestWhatPointsAtIt:
    def test_nothing_points_at_a_lonely_instance(self, scene):
        found = view_of(scene).pointers(sight(scene, scene.running()))
        assert (found.found, dict(found.not_looked_at)) == ((), {})

    def test_everything_that_names_it(self, scene):
        instance_id = scene.running()
        seen = sight(scene, instance_id)
        self._alarm(scene, instance_id)
        self._target_group(scene, seen)
        self._classic(scene, instance_id)
        self._group_rule(scene, seen)
        self._record(scene, seen)
        self._route(scene, seen)
        address = scene.client.allocate_address(Domain="vpc")
        scene.client.associate_address(InstanceId=instance_id, AllocationId=address["AllocationId"])
        scene.client.create_tags(
            Resources=[instance_id], Tags=[{"Key": "stack-tag", "Value": "of its owner"}]
        )
        found = view_of(scene).pointers(sight(scene, instance_id))
        told = {one.kind: one for one in found.found}
        assert set(told) == set(PointerKind) - {PointerKind.SCALING_GROUP, PointerKind.STACK}
        assert told[PointerKind.ALARM].how == f"watches {instance_id}, and does recover"
        assert told[PointerKind.TARGET_GROUP].name == "web"
        assert told[PointerKind.GROUP_RULE].how == f"lets in {seen.private_ip}/32 by its address"
        assert told[PointerKind.ELASTIC_IP].how == f"{address['PublicIp']} leads to it"
        assert told[PointerKind.DNS_RECORD].name == "web.example.com"
        assert told[PointerKind.ROUTE].how == "sends 192.0.2.0/24 through it"

    def test_another_instances_are_not_its_own(self, scene):
        other = scene.running()
        self._alarm(scene, other)
        self._target_group(scene, sight(scene, other))
        assert view_of(scene).pointers(sight(scene, scene.running())).found == ()

    def test_a_scaling_group(self, scene):
        instance_id = scene.running()
        scaling = scene.other("autoscaling")
        scaling.create_launch_configuration(
            LaunchConfigurationName="lc", ImageId=scene.story.image, InstanceType="m5.large"
        )
        scaling.create_auto_scaling_group(
            AutoScalingGroupName="web",
            LaunchConfigurationName="lc",
            MinSize=0,
            MaxSize=2,
            AvailabilityZones=["us-east-1a"],
        )
        scaling.attach_instances(InstanceIds=[instance_id], AutoScalingGroupName="web")
        found = view_of(scene).pointers(sight(scene, instance_id)).found
        assert [(one.kind, one.name) for one in found] == [(PointerKind.SCALING_GROUP, "web")]

    def test_a_stack_by_its_tag(self, scene):
        with scene.wire.exclusively() as ec2:
            instance_id = scene.story.running()
            ec2.controls.tag(instance_id, {"aws:cloudformation:stack-name": "prod"})
        (one,) = view_of(scene).pointers(sight(scene, instance_id)).found
        assert (one.kind, one.name) == (PointerKind.STACK, "prod")

    def _alarm(self, scene, instance_id):
        scene.other("cloudwatch").put_metric_alarm(
            AlarmName="down",
            Namespace="AWS/EC2",
            MetricName="StatusCheckFailed",
            Dimensions=[{"Name": "InstanceId", "Value": instance_id}],
            AlarmActions=[f"arn:aws:automate:{REGION}:ec2:recover"],
            Statistic="Maximum",
            Period=60,
            EvaluationPeriods=2,
            Threshold=1,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
        )

    def _target_group(self, scene, seen):
        balancing = scene.other("elbv2")
        made = balancing.create_target_group(
            Name="web", Protocol="HTTP", Port=80, VpcId=seen.vpc_id, TargetType="instance"
        )
        arn = made["TargetGroups"][0]["TargetGroupArn"]
        balancing.register_targets(TargetGroupArn=arn, Targets=[{"Id": seen.instance_id}])

    def _classic(self, scene, instance_id):
        balancing = scene.other("elb")
        listener = {"Protocol": "HTTP", "LoadBalancerPort": 80, "InstancePort": 80}
        balancing.create_load_balancer(
            LoadBalancerName="old", Listeners=[listener], AvailabilityZones=["us-east-1a"]
        )
        balancing.register_instances_with_load_balancer(
            LoadBalancerName="old", Instances=[{"InstanceId": instance_id}]
        )

    def _group_rule(self, scene, seen):
        rule = {
            "IpProtocol": "tcp",
            "FromPort": 5432,
            "ToPort": 5432,
            "IpRanges": [{"CidrIp": f"{seen.private_ip}/32"}],
        }
        scene.client.authorize_security_group_ingress(GroupId=seen.group_ids[0], IpPermissions=[rule])

    def _record(self, scene, seen):
        names = scene.other("route53")
        zone = names.create_hosted_zone(Name="example.com", CallerReference="1")["HostedZone"]["Id"]
        record = {
            "Name": "web.example.com",
            "Type": "A",
            "TTL": 300,
            "ResourceRecords": [{"Value": seen.private_ip}],
        }
        change = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
        names.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=change)

    def _route(self, scene, seen):
        table = scene.client.create_route_table(VpcId=seen.vpc_id)["RouteTable"]["RouteTableId"]
        scene.client.create_route(
            RouteTableId=table, DestinationCidrBlock="192.0.2.0/24", InstanceId=seen.instance_id
        )
