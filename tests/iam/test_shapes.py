"""A clone's shape, a role taken with an external id: what the moves of the simulated world do not ask for."""

import base64
from dataclasses import replace

import pytest

from spotguard.cloud.aws.account_view import AwsAccountView
from spotguard.cloud.aws.connection import Account
from spotguard.domain.agents import Executor
from spotguard.domain.errors import NeedsPerson
from spotguard.domain.ids import ClientToken, ImageId, InstanceId
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.domain.tags import ADOPTED_TAG, AGENT_TAG, MANAGED_TAG
from spotguard.planning.permissions.roles import Role, statements
from spotguard.ports.cloud import FleetRequest, LaunchRequest
from tests.cloud.scene import A, Scene, prices
from tests.iam.account import EXTERNAL_ID, EnforcedAccount
from tests.iam.scene import lent_environment, scope_of
from tests.iam.tours import NOT_BY_MOVES
from tests.iam.witness import Witness
from tests.wire.scene import client_of

HERE, THERE = (
    Pool("t3.medium", "us-east-1a"),
    Pool("t3.medium", "us-east-1b"),
)  # burstable: credits are read too
TAGS = {MANAGED_TAG: "demo", AGENT_TAG: "agent-1"}


class Owner:
    """Has a server with a profile, a key, a group and user data, and hands it over."""

    def __init__(self, account, image, kind):
        self.ec2 = client_of(account.wire.url, region=account.region)
        iam = account.iam
        self.role = account.role("web", statements(Role.READ, scope_of(account)))
        iam.create_instance_profile(InstanceProfileName="web")
        iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="web")
        key = self.ec2.create_key_pair(KeyName="ops")["KeyPairId"]
        group = self.ec2.create_security_group(GroupName="web", Description="web")["GroupId"]
        account.lend({ADOPTED_TAG: "yes"}, key, group)
        told = [{"Key": ADOPTED_TAG, "Value": "agent-1"}, {"Key": "spotguard:user-data", "Value": "keep"}]
        tags = [{"ResourceType": kind, "Tags": told} for kind in ("instance", "volume")]
        (made,) = self.ec2.run_instances(
            ImageId=image,
            InstanceType=kind,
            MinCount=1,
            MaxCount=1,
            InstanceMarketOptions={"MarketType": "spot"},
            Placement={"AvailabilityZone": HERE.az},
            KeyName="ops",
            SecurityGroupIds=[group],
            IamInstanceProfile={"Name": "web"},
            UserData=base64.b64encode(b"#!/bin/sh").decode(),
            TagSpecifications=tags,
        )["Instances"]
        self.server = InstanceId(made["InstanceId"])


class Cloned:
    """Server, agent and owner in one enforced account. `named`: the policies name the profile's role."""

    def __init__(self, *, named=True):
        self.story = Scene(history=prices(*((pool, -60, "0.04") for pool in (HERE, THERE, A))))
        self.account = EnforcedAccount(self.story.ec2)
        self.owner = Owner(self.account, self.story.image, HERE.instance_type)
        self.story.wait(60)
        scope = scope_of(self.account, roles=(self.owner.role,) if named else ())
        tables = {role.value: statements(role, scope) for role in (Role.OPERATE, Role.AGENT, Role.READ)}
        self.roles = {name: self.account.role(name, table) for name, table in tables.items()}
        self.witness = Witness(self.account, {self.roles[name]: table for name, table in tables.items()})

    def launch(self, cloud, token, pool=HERE, mode=Mode.SPOT, **changed):
        shape = replace(cloud.describe_shape(self.owner.server), **changed)
        image = ImageId(self.story.image)
        return cloud.run_instance(
            LaunchRequest(ClientToken(token), pool, mode, image, TAGS, "note", (), shape)
        )

    def fleet(self, cloud, token):
        shape = cloud.describe_shape(self.owner.server)
        candidates = [(HERE, Mode.SPOT), (THERE, Mode.SPOT), (A, Mode.ONDEMAND)]
        image = ImageId(self.story.image)
        return cloud.create_fleet(
            FleetRequest(ClientToken(token), candidates, image, TAGS, "note", (), shape)
        )


@pytest.fixture
def environment(monkeypatch):
    with lent_environment():
        yield monkeypatch


@pytest.fixture
def cloned(environment):
    yield from lived(environment, Cloned())


@pytest.fixture
def unnamed(environment):
    yield from lived(environment, Cloned(named=False))


def lived(environment, scene):
    environment.setenv("AWS_ACCESS_KEY_ID", scene.account.key["AccessKeyId"])
    environment.setenv("AWS_SECRET_ACCESS_KEY", scene.account.key["SecretAccessKey"])
    scene.account.enforce()
    yield scene
    scene.account.close()


def test_a_clone_keeps_its_shape_within_the_policy(cloned):
    cloud, seen = cloned.account.cloud(cloned.roles["operate"]), cloned.witness
    made = cloned.launch(cloud, "one")
    cloned.launch(cloud, "two", A, Mode.ONDEMAND, public_ip=True)
    cloned.fleet(cloud, "three")
    cloned.story.ec2.controls.make_dry(HERE)
    cloned.story.ec2.controls.make_dry(THERE)
    assert cloned.fleet(cloud, "four").mode is Mode.ONDEMAND
    cloud.describe_instance_types([HERE.instance_type])
    cloud.zone_ids()
    assert cloud.describe_shape(made.instance_id).instance_profile.endswith("/web")
    assert seen.refused == []
    called = set(seen.called[cloned.roles["operate"]])
    assert called >= {*NOT_BY_MOVES, "iam:PassRole"}
    assert {"PassRole", "LaunchWithAdopted"} <= set(seen.used[cloned.roles["operate"]])


def test_so_does_an_agents(cloned):
    cloned.launch(cloned.account.cloud(cloned.roles["agent"]), "one")
    assert cloned.witness.refused == []
    assert cloned.witness.called[cloned.roles["agent"]]["iam:PassRole"] == 1


class TestTheReport:
    """Doctor and eligibility ask by dry runs what a move would ask."""

    def asked(self, cloned, role, executor=Executor.SERVER):
        account = Account(cloned.account.region, cloned.account.wire.url, cloned.roles[role], EXTERNAL_ID)
        view = AwsAccountView(account, TAGS)
        instance = view.instance(cloned.owner.server)
        view.pointers(instance)
        told = view.permissions(instance, executor)
        return {permission.action: permission.allowed for permission in told}

    def refused(self, cloned):
        return {request.action for _, request in cloned.witness.refused}

    @pytest.mark.parametrize(("role", "executor"), [("operate", Executor.SERVER), ("agent", Executor.AGENT)])
    def test_with_the_policy_of_who_moves_all_of_it_is_allowed(self, cloned, role, executor):
        asked = self.asked(cloned, role, executor)
        assert set(asked.values()) == {True}
        assert self.refused(cloned) & set(asked) == set()

    def test_with_the_policy_of_who_reads_the_looks_alone(self, cloned):
        asked = self.asked(cloned, "read")
        assert True not in asked.values()
        assert self.refused(cloned) - {*asked, "ec2:CreateTags"} == set()


def test_a_role_that_was_not_named_is_not_passed(unnamed):
    unnamed.launch(unnamed.account.cloud(unnamed.roles["operate"]), "one")  # moto does not ask for PassRole
    refused = [(request.action, request.resource) for _, request in unnamed.witness.refused]
    assert refused == [("iam:PassRole", unnamed.owner.role)]


class TestTheTrust:
    def test_the_role_is_taken_with_its_external_id(self, cloned):
        cloud = cloned.account.cloud(cloned.roles["operate"])
        assert cloud.caller().account_id == cloned.account.number

    def test_and_not_with_another(self, cloned):
        with pytest.raises(NeedsPerson):
            cloned.account.cloud(cloned.roles["operate"], "somebody-elses-id").describe_instances()
