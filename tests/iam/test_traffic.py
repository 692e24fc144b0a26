"""The traffic drivers, each with the statements of its own flag, over the wire."""

import pytest

from spotguard.cloud.aws.connection import Account
from spotguard.cloud.aws.traffic import AwsTraffic
from spotguard.domain.tags import ADOPTED_TAG
from spotguard.domain.traffic import ElasticIp, PrivateIp, TargetGroup
from spotguard.planning.permissions.roles import Role, statements
from spotguard.planning.permissions.traffic import Traffic
from spotguard.ports.traffic import Arrival, Endpoint, Handing
from tests.cloud.scene import A, Scene
from tests.iam.account import EXTERNAL_ID, EnforcedAccount
from tests.iam.scene import lent_environment, scope_of
from tests.iam.witness import Witness
from tests.wire.scene import TAGGED, client_of

ADDRESS = "172.31.0.77"


class Driven:
    """A machine of ours, the owner's address and target group, and a role that moves traffic by one driver."""

    def __init__(self, driver):
        story = Scene()
        self.account = account = EnforcedAccount(story.ec2)
        owner = client_of(account.wire.url, region=account.region)
        tags = [{"ResourceType": kind, "Tags": TAGGED} for kind in ("instance", "network-interface")]
        (made,) = owner.run_instances(
            ImageId=story.image,
            InstanceType="m5.large",
            MinCount=1,
            MaxCount=1,
            InstanceMarketOptions={"MarketType": "spot"},
            Placement={"AvailabilityZone": A.az},
            TagSpecifications=tags,
        )["Instances"]
        story.wait(60)
        self.to = Handing(Endpoint(made["InstanceId"], "172.31.0.4"), epoch=1)
        self.address = owner.allocate_address(Domain="vpc")["AllocationId"]
        owner.create_tags(Resources=[self.address], Tags=[{"Key": ADOPTED_TAG, "Value": "yes"}])
        vpc = owner.describe_vpcs()["Vpcs"][0]["VpcId"]
        (group,) = client_of(account.wire.url, "elbv2", region=account.region).create_target_group(
            Name="web", Protocol="HTTP", Port=80, VpcId=vpc, TargetType="instance"
        )["TargetGroups"]
        self.group = group["TargetGroupArn"]
        self.table = statements(Role.OPERATE, scope_of(account, target_groups=(self.group,)), [driver])
        self.role = account.role("operate", self.table)
        self.witness = Witness(account, {self.role: self.table})
        self.traffic = AwsTraffic(Account(account.region, account.wire.url, self.role, EXTERNAL_ID))


@pytest.fixture
def driven(request, monkeypatch):
    with lent_environment():
        scene = Driven(request.param)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", scene.account.key["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", scene.account.key["SecretAccessKey"])
        scene.account.enforce()
        yield scene
        scene.account.close()


def used(scene):
    """The actions that the run called, and those of the driver's own statements."""
    base = {action for s in statements(Role.OPERATE, scope_of(scene.account)) for action in s.actions}
    own = {action for statement in scene.table for action in statement.actions} - base
    return set(scene.witness.called[scene.role]), own


@pytest.mark.parametrize("driven", [Traffic.ELASTIC_IP], indirect=True)
def test_an_elastic_ip(driven):
    route = ElasticIp(driven.address)
    driven.traffic.switch(route, driven.to)
    assert driven.traffic.read_back(route, driven.to, None).arrival is Arrival.HERE
    assert driven.witness.refused == []
    called, own = used(driven)
    assert called == own


@pytest.mark.parametrize("driven", [Traffic.PRIVATE_IP], indirect=True)
def test_a_private_address(driven):
    route = PrivateIp(ADDRESS)
    driven.traffic.switch(route, driven.to)
    assert driven.traffic.read_back(route, driven.to, None).arrival is Arrival.HERE
    assert driven.witness.refused == []
    called, own = used(driven)
    assert called == own


@pytest.mark.parametrize("driven", [Traffic.TARGET_GROUP], indirect=True)
def test_a_target_group(driven):
    route = TargetGroup(driven.group, 80)
    driven.traffic.switch(route, driven.to)
    driven.traffic.read_back(route, driven.to, None)
    driven.traffic.withdraw(route, driven.to.to.instance_id)
    assert driven.witness.refused == []
    called, own = used(driven)
    assert called == own
