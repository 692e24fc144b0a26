"""CreateFleet, type instant, as the AWS room sends it: a launch template and one override for each pool."""

from dataclasses import replace

import pytest

from spotguard.cloud.simulated.physics import Quotas
from tests.cloud.scene import OTHER_TYPE, QUIET, A, B, C
from tests.wire.scene import TAGGED, refused, served


@pytest.fixture
def template(scene):
    return template_in(scene)


def template_in(scene, **more):
    data = {
        "ImageId": scene.story.image,
        "UserData": "aGVsbG8=",
        "TagSpecifications": [{"ResourceType": "instance", "Tags": TAGGED}],
        **more,
    }
    scene.client.create_launch_template(LaunchTemplateName="spotguard-f", LaunchTemplateData=data)
    return "spotguard-f"


def ask(scene, template, *pools, token="f", market="spot", strategy=None, priorities=(), **more):
    overrides = [{"InstanceType": pool.instance_type, "AvailabilityZone": pool.az} for pool in pools]
    for override, priority in zip(overrides, priorities, strict=False):
        override["Priority"] = priority
    options = {"SpotOptions" if market == "spot" else "OnDemandOptions": {"AllocationStrategy": strategy}}
    named = {"LaunchTemplateName": template, "Version": "1"}
    return scene.client.create_fleet(
        ClientToken=token,
        Type="instant",
        TargetCapacitySpecification={"TotalTargetCapacity": 1, "DefaultTargetCapacityType": market},
        LaunchTemplateConfigs=[{"LaunchTemplateSpecification": named, "Overrides": overrides}],
        **(options if strategy else {}),
        **more,
    )


def launched(told):
    (made,) = told["Instances"]
    (instance_id,) = made["InstanceIds"]
    return instance_id


def test_the_first_with_capacity_launches_and_the_others_say_why_not(scene, template):
    scene.story.ec2.controls.make_dry(A)
    told = ask(scene, template, A, B, C)
    seen = scene.see(launched(told))
    assert (seen["Placement"]["AvailabilityZone"], seen["Tags"]) == (B.az, TAGGED)
    assert told["Instances"][0]["LaunchTemplateAndOverrides"]["Overrides"]["AvailabilityZone"] == B.az
    (error,) = told["Errors"]
    assert error["ErrorCode"] == "InsufficientInstanceCapacity"
    assert error["LaunchTemplateAndOverrides"]["Overrides"]["AvailabilityZone"] == A.az


def test_none_has_capacity_and_it_is_an_answer_not_an_error(scene, template):
    for pool in (A, B):
        scene.story.ec2.controls.make_dry(pool)
    told = ask(scene, template, A, B)
    assert told["Instances"] == []
    assert [error["ErrorCode"] for error in told["Errors"]] == ["InsufficientInstanceCapacity"] * 2


def test_every_candidate_has_its_own_reason():
    with served(replace(QUIET, quotas=Quotas(usual=1))) as scene:
        told = ask(scene, template_in(scene), A, replace(OTHER_TYPE, az=B.az))
        codes = [error["ErrorCode"] for error in told["Errors"]]
        assert codes == ["MaxSpotInstanceCountExceeded", "Unsupported"]
        told = ask(scene, "spotguard-f", A, market="on-demand", token="g")
        assert [error["ErrorCode"] for error in told["Errors"]] == ["VcpuLimitExceeded"]


def test_priorities_decide_where_they_should(scene, template):
    told = ask(
        scene,
        template,
        A,
        B,
        C,
        strategy="capacity-optimized-prioritized",
        priorities=[2.0, 1.0, 0.0],
    )
    assert scene.see(launched(told))["Placement"]["AvailabilityZone"] == C.az
    told = ask(scene, template, A, B, token="g", strategy="lowest-price")
    assert scene.see(launched(told))["Placement"]["AvailabilityZone"] == B.az


def test_on_demand(scene, template):
    told = ask(scene, template, A, market="on-demand", strategy="prioritized")
    assert told["Instances"][0]["Lifecycle"] == "on-demand"
    assert "InstanceLifecycle" not in scene.see(launched(told))


def test_its_token_is_regional_and_not_its_instances(scene, template):
    first = launched(ask(scene, template, A, B))
    scene.story.ec2.controls.make_dry(A)
    assert launched(ask(scene, template, A, B)) == first
    assert scene.see(first).get("ClientToken", "") == ""
    with refused("IdempotentParameterMismatch"):
        ask(scene, template, B)


def test_a_template_carries_what_a_clone_must_keep(scene):
    group = scene.client.create_security_group(GroupName="g", Description="d")["GroupId"]
    interface = {"DeviceIndex": 0, "AssociatePublicIpAddress": False, "Groups": [group]}
    disk = {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 20, "DeleteOnTermination": False}}
    template = template_in(
        scene,
        NetworkInterfaces=[interface],
        BlockDeviceMappings=[disk],
        MetadataOptions={"HttpTokens": "required"},
    )
    (subnet,) = (s for s in scene.client.describe_subnets()["Subnets"] if s["AvailabilityZone"] == B.az)
    named = {"LaunchTemplateName": template, "Version": "$Default"}
    override = {"InstanceType": "m5.large", "SubnetId": subnet["SubnetId"]}
    told = scene.client.create_fleet(
        Type="instant",
        TargetCapacitySpecification={"TotalTargetCapacity": 1, "DefaultTargetCapacityType": "spot"},
        LaunchTemplateConfigs=[{"LaunchTemplateSpecification": named, "Overrides": [override]}],
    )
    seen = scene.see(launched(told))
    assert (seen["SubnetId"], seen["Placement"]["AvailabilityZone"]) == (subnet["SubnetId"], B.az)
    assert [g["GroupId"] for g in seen["SecurityGroups"]] == [group]
    assert "PublicIpAddress" not in seen
    assert seen["MetadataOptions"]["HttpTokens"] == "required"
    assert len(seen["BlockDeviceMappings"]) == 2


def test_a_lost_answer_is_found_again_by_its_token(scene, template):
    scene.control("fault", action="CreateFleet", kind="cut", moment="after")
    with pytest.raises(Exception, match="Connection"):
        ask(scene, template, A, B)
    (made,) = scene.story.ec2.inventory().instances
    scene.story.ec2.controls.make_dry(A)
    assert launched(ask(scene, template, A, B)) == made.instance_id


def test_wrong_requests(scene, template):
    with refused("DryRunOperation", 412):
        ask(scene, template, A, DryRun=True)
    with refused("InvalidLaunchTemplateName.NotFoundException"):
        ask(scene, "nobody's", A)
    told = ask(scene, template, replace(A, instance_type="z9.large"))
    assert [error["ErrorCode"] for error in told["Errors"]] == ["InvalidParameterValue"]
    assert scene.story.ec2.inventory().instances == ()


def test_a_template_that_tags_spot_requests_makes_nothing_on_demand(scene):
    """karpenter-provider-aws#5850."""
    tags = [{"ResourceType": kind, "Tags": TAGGED} for kind in ("instance", "spot-instances-request")]
    told = ask(scene, template_in(scene, TagSpecifications=tags), A, market="on-demand")
    assert told["Instances"] == []
    (error,) = told["Errors"]
    assert error["ErrorCode"] == "InvalidParameterValue"
    with refused("InvalidParameterValue"):
        scene.launch(spot=False, TagSpecifications=tags)


def test_a_fleets_own_tags_reach_instance_and_disks(scene):
    template = template_in(scene, TagSpecifications=[{"ResourceType": "network-interface", "Tags": TAGGED}])
    tags = [{"ResourceType": kind, "Tags": TAGGED} for kind in ("fleet", "instance", "volume")]
    seen = scene.see(launched(ask(scene, template, A, TagSpecifications=tags)))
    assert seen["Tags"] == TAGGED
    scene.wait(10)
    disks = scene.client.describe_volumes()["Volumes"]
    assert disks
    assert all(disk["Tags"] == TAGGED for disk in disks)
