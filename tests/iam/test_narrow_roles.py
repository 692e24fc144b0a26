"""Policies that are one agent's, one tenant's, a drill's or a traffic driver's: narrower still."""

import pytest

from spotguard.domain.errors import InvalidInput
from spotguard.planning.permissions.roles import Role
from spotguard.planning.permissions.traffic import Traffic
from tests.iam.cases import (
    ACCOUNT,
    ADOPTED,
    AGENT,
    ANOTHERS,
    DRILLED,
    ELSEWHERE,
    HERE,
    OURS,
    QUARANTINE,
    UNTAGGED,
    asking,
    is_allowed,
    making,
    policy,
    to,
)
from tests.iam.evaluator import Request

MINE = {**OURS, "spotguard:agent": AGENT}
NEIGHBOURS = {**OURS, "spotguard:agent": "agent-2"}
GROUP = f"arn:aws:elasticloadbalancing:{HERE}:{ACCOUNT}:targetgroup/web/0123456789abcdef"
ZONE = "Z0123456789ABC"
V2 = {"ec2:MetadataHttpTokens": "required"}
PRIVATE = {"ec2:AssociatePublicIpAddress": "false"}


class TestOneAgents:
    POLICY = policy(Role.AGENT, agent=AGENT)

    @pytest.mark.parametrize("action", ["TerminateInstances", "CreateImage", "AttachVolume", "DetachVolume"])
    @pytest.mark.parametrize(
        ("tags", "allowed"),
        [
            (MINE, True),
            (ADOPTED, True),
            (NEIGHBOURS, False),
            (OURS, False),
            ({"spotguard:adopted": "agent-2"}, False),
            ({**ANOTHERS, "spotguard:agent": AGENT}, False),
            (UNTAGGED, False),
        ],
        ids=str,
    )
    def test_it_changes_its_own_workload_and_no_other(self, action, tags, allowed):
        assert is_allowed(to(action, "instance", tags), self.POLICY).allowed is allowed

    def test_it_deletes_no_volume_that_its_owner_brought(self):
        assert is_allowed(to("DeleteVolume", "volume", MINE), self.POLICY).allowed
        assert not is_allowed(to("DeleteVolume", "volume", ADOPTED), self.POLICY).allowed

    @pytest.mark.parametrize("tags", [MINE, {**MINE, "Name": "web"}], ids=str)
    def test_it_launches_under_its_own_name(self, tags):
        assert is_allowed(making("RunInstances", "instance", tags), self.POLICY).allowed

    @pytest.mark.parametrize("tags", [OURS, NEIGHBOURS, UNTAGGED], ids=str)
    def test_and_under_no_other(self, tags):
        assert not is_allowed(making("RunInstances", "instance", tags), self.POLICY).allowed

    @pytest.mark.parametrize("action", ["CreateFleet", "CreateLaunchTemplate", "CreateSnapshot"])
    def test_it_makes_no_fleets_and_no_snapshots(self, action):
        for kind in ("fleet", "instance", "launch-template", "snapshot"):
            assert not is_allowed(making(action, kind, MINE), self.POLICY).allowed

    @pytest.mark.parametrize("action", ["DeregisterImage", "DeleteSnapshot"])
    def test_it_cleans_nothing_up(self, action):
        for kind in ("image", "snapshot", "instance"):
            assert not is_allowed(to(action, kind, MINE), self.POLICY).allowed

    def test_networks_are_lent_to_everybody(self):
        assert is_allowed(to("RunInstances", "subnet", {"spotguard:adopted": "yes"}), self.POLICY).allowed


class TestOneTenants:
    POLICY = policy(client="c-1")

    @pytest.mark.parametrize(
        ("client", "allowed"),
        [({"spotguard:client": "c-1"}, True), ({"spotguard:client": "c-2"}, False), ({}, False)],
    )
    def test_both_tags_must_be_there(self, client, allowed):
        tags = {**OURS, **client}
        assert is_allowed(to("TerminateInstances", "instance", tags), self.POLICY).allowed is allowed
        assert is_allowed(making("RunInstances", "instance", tags), self.POLICY).allowed is allowed
        tagging = making("CreateTags", "instance", tags, **{"ec2:CreateAction": "RunInstances"})
        assert is_allowed(tagging, self.POLICY).allowed is allowed


class TestADrills:
    POLICY = policy(Role.DRILL)

    @pytest.mark.parametrize(
        ("kind", "tags", "told", "allowed"),
        [
            ("instance", DRILLED, V2, True),
            ("instance", DRILLED, {"ec2:MetadataHttpTokens": "optional"}, False),
            ("instance", DRILLED, {}, False),
            ("instance", OURS, V2, False),
            ("instance", {**OURS, "spotguard:purpose": "successor"}, V2, False),
            ("instance", UNTAGGED, V2, False),
            ("volume", DRILLED, {}, True),
            ("volume", OURS, {}, False),
            ("spot-instances-request", DRILLED, {}, True),
            ("network-interface", DRILLED, PRIVATE, True),
            ("network-interface", DRILLED, {"ec2:AssociatePublicIpAddress": "true"}, False),
            ("network-interface", DRILLED, {}, False),
            ("network-interface", OURS, PRIVATE, False),
        ],
        ids=str,
    )
    def test_a_clone_is_marked_and_shut_in(self, kind, tags, told, allowed):
        assert is_allowed(making("RunInstances", kind, tags, **told), self.POLICY).allowed is allowed

    @pytest.mark.parametrize(
        ("kind", "tags", "name", "allowed"),
        [
            ("image", OURS, "ami-1", True),
            ("image", ADOPTED, "ami-1", False),
            ("image", UNTAGGED, "ami-1", False),
            ("snapshot", OURS, "snap-1", True),
            ("subnet", ADOPTED, "subnet-1", True),
            ("subnet", UNTAGGED, "subnet-1", False),
            ("security-group", UNTAGGED, QUARANTINE, True),
            ("security-group", ADOPTED, "sg-other", False),
            ("key-pair", ADOPTED, "ops", False),
        ],
        ids=str,
    )
    def test_it_boots_from_ours_into_quarantine(self, kind, tags, name, allowed):
        assert is_allowed(to("RunInstances", kind, tags, name=name), self.POLICY).allowed is allowed

    @pytest.mark.parametrize(
        ("tags", "allowed"),
        [
            (DRILLED, True),
            (OURS, False),
            (ADOPTED, False),
            (UNTAGGED, False),
            ({"spotguard:purpose": "drill"}, False),
        ],
        ids=str,
    )
    def test_it_ends_its_clones_and_no_workload(self, tags, allowed):
        for action, kind in (("TerminateInstances", "instance"), ("DeleteVolume", "volume")):
            assert is_allowed(to(action, kind, tags), self.POLICY).allowed is allowed

    @pytest.mark.parametrize(
        ("action", "kind"),
        [
            ("CreateImage", "instance"),  # a policy cannot ask for NoReboot: a drill boots what exists
            ("ModifyInstanceAttribute", "instance"),
            ("AttachVolume", "volume"),
            ("DetachVolume", "volume"),
            ("CreateSnapshot", "volume"),
            ("DeregisterImage", "image"),
            ("DeleteSnapshot", "snapshot"),
        ],
    )
    def test_it_does_nothing_else(self, action, kind):
        assert not is_allowed(to(action, kind, DRILLED), self.POLICY).allowed

    def test_without_a_quarantine_there_is_no_policy(self):
        with pytest.raises(InvalidInput, match="security group"):
            policy(Role.DRILL, quarantine_group=None)


class TestTraffic:
    def test_each_driver_is_asked_for_by_itself(self):
        for role in (Role.READ, Role.DRILL):
            with pytest.raises(InvalidInput, match="moves no traffic"):
                policy(role, [Traffic.ELASTIC_IP])

    @pytest.mark.parametrize("action", ["RegisterTargets", "DeregisterTargets"])
    def test_target_groups_that_are_lent_or_named(self, action):
        tagged = policy(drivers=[Traffic.TARGET_GROUP])
        named = policy(drivers=[Traffic.TARGET_GROUP], target_groups=(GROUP,))
        lent = {"aws:ResourceTag/spotguard:adopted": "yes"}
        action = f"elasticloadbalancing:{action}"
        assert is_allowed(Request(action, GROUP, lent), tagged).allowed
        assert not is_allowed(Request(action, GROUP), tagged).allowed
        assert not is_allowed(Request(action, GROUP.replace(HERE, ELSEWHERE), lent), tagged).allowed
        assert is_allowed(Request(action, GROUP), named).allowed
        assert not is_allowed(Request(action, GROUP.replace("web", "other"), lent), named).allowed

    @pytest.mark.parametrize(
        ("kind", "tags", "allowed"),
        [
            ("elastic-ip", ADOPTED, True),
            ("elastic-ip", UNTAGGED, False),
            ("elastic-ip", OURS, False),
            ("instance", OURS, True),
            ("instance", ADOPTED, True),
            ("instance", UNTAGGED, False),
            ("network-interface", OURS, True),
            ("network-interface", ANOTHERS, False),
        ],
        ids=str,
    )
    def test_a_lent_address_to_a_machine_of_ours(self, kind, tags, allowed):
        told = policy(drivers=[Traffic.ELASTIC_IP])
        assert is_allowed(to("AssociateAddress", kind, tags), told).allowed is allowed
        assert not is_allowed(to("ReleaseAddress", kind, tags), told).allowed

    @pytest.mark.parametrize(
        ("tags", "allowed"), [(OURS, True), (ADOPTED, True), (ANOTHERS, False), (UNTAGGED, False)]
    )
    def test_a_private_address_on_interfaces_of_ours(self, tags, allowed):
        told = policy(drivers=[Traffic.PRIVATE_IP])
        assert is_allowed(to("AssignPrivateIpAddresses", "network-interface", tags), told).allowed is allowed
        assert is_allowed(asking("ec2:DescribeNetworkInterfaces"), told).allowed

    @pytest.mark.parametrize(
        ("zone", "names", "kinds", "actions", "allowed"),
        [
            (ZONE, ["web.example.com"], ["A"], ["UPSERT"], True),
            (ZONE, ["web.example.com"], ["A"], ["DELETE"], False),
            (ZONE, ["web.example.com"], ["A"], ["UPSERT", "DELETE"], False),
            (ZONE, ["web.example.com"], ["NS"], ["UPSERT"], False),
            (ZONE, ["www.example.com"], ["A"], ["UPSERT"], False),
            (ZONE, ["web.example.com", "www.example.com"], ["A"], ["UPSERT"], False),
            (ZONE, None, None, None, False),
            ("Z999", ["web.example.com"], ["A"], ["UPSERT"], False),
        ],
        ids=str,
    )
    def test_the_named_record_and_no_other(self, zone, names, kinds, actions, allowed):
        told = policy(drivers=[Traffic.DNS], hosted_zones=(ZONE,), records=("web.example.com",))
        start = "route53:ChangeResourceRecordSets"
        keys = {
            f"{start}NormalizedRecordNames": names,
            f"{start}RecordTypes": kinds,
            f"{start}Actions": actions,
        }
        context = {key: value for key, value in keys.items() if value is not None}
        request = Request("route53:ChangeResourceRecordSets", f"arn:aws:route53:::hostedzone/{zone}", context)
        assert is_allowed(request, told).allowed is allowed

    def test_route53_must_be_told_what(self):
        for more in ({}, {"hosted_zones": (ZONE,)}, {"records": ("web.example.com",)}):
            with pytest.raises(InvalidInput, match="dns needs"):
                policy(drivers=[Traffic.DNS], **more)
