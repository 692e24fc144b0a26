"""What each role may do and what it may not: every statement of the policies has its cases, most of them refusals."""

import pytest

from spotguard.planning.permissions.roles import Role
from tests.iam.cases import (
    ACCOUNT,
    ADOPTED,
    ANOTHERS,
    ELSEWHERE,
    OURS,
    PROFILE,
    STRANGERS,
    UNTAGGED,
    arn,
    asking,
    is_allowed,
    making,
    policy,
    to,
)
from tests.iam.evaluator import Request

OPERATE, READ, DRILL, AGENTS = (policy(role) for role in (Role.OPERATE, Role.READ, Role.DRILL, Role.AGENT))
EVERYTHING = {"Statement": [{"Sid": "Admin", "Effect": "Allow", "Action": "*", "Resource": "*"}]}

CHANGES = [
    ("TerminateInstances", "instance"),
    ("ModifyInstanceAttribute", "instance"),
    ("ModifyInstanceAttribute", "volume"),
    ("DescribeInstanceAttribute", "instance"),
    ("CreateImage", "instance"),
    ("AttachVolume", "instance"),
    ("AttachVolume", "volume"),
    ("DetachVolume", "instance"),
    ("DetachVolume", "volume"),
    ("CreateSnapshot", "volume"),
    ("DeleteVolume", "volume"),
]
COPIES = [
    ("DeregisterImage", "image"),
    ("DeleteSnapshot", "snapshot"),
    ("DeleteLaunchTemplate", "launch-template"),
]
MADE = [
    ("RunInstances", "instance"),
    ("RunInstances", "volume"),
    ("RunInstances", "network-interface"),
    ("RunInstances", "spot-instances-request"),
    ("CreateFleet", "fleet"),
    ("CreateFleet", "instance"),
    ("CreateLaunchTemplate", "launch-template"),
    ("CreateImage", "image"),
    ("CreateImage", "snapshot"),
    ("CreateSnapshot", "snapshot"),
    ("CreateVolume", "volume"),
]
MAKERS = [
    "RunInstances",
    "CreateFleet",
    "CreateLaunchTemplate",
    "CreateImage",
    "CreateSnapshot",
    "CreateVolume",
]
USED = ["image", "snapshot", "subnet", "security-group", "key-pair"]


def ids(value):
    return "-".join(value) if isinstance(value, tuple) else None


class TestChangingWhatExists:
    @pytest.mark.parametrize("tags", [OURS, ADOPTED, {**OURS, **ADOPTED}], ids=["ours", "adopted", "both"])
    @pytest.mark.parametrize("change", CHANGES, ids=ids)
    def test_ours_and_what_was_handed_over_may_be_changed(self, change, tags):
        assert is_allowed(to(*change, tags), OPERATE).allowed

    @pytest.mark.parametrize(
        "tags",
        [UNTAGGED, ANOTHERS, {"Name": "web"}, {"spotguard:managed": ""}, {"spotguard:managed": "acme2"}],
        ids=["untagged", "anothers", "named", "empty", "alike"],
    )
    @pytest.mark.parametrize("change", [*CHANGES, *COPIES], ids=ids)
    def test_nothing_else_may(self, change, tags):
        assert not is_allowed(to(*change, tags), OPERATE).allowed

    @pytest.mark.parametrize("change", COPIES, ids=ids)
    def test_copies_are_deleted_only_if_we_made_them(self, change):
        assert is_allowed(to(*change, OURS), OPERATE).allowed
        assert not is_allowed(to(*change, ADOPTED), OPERATE).allowed

    @pytest.mark.parametrize("change", [*CHANGES, *COPIES], ids=ids)
    def test_not_in_another_region(self, change):
        assert not is_allowed(to(*change, OURS, region=ELSEWHERE), OPERATE).allowed

    @pytest.mark.parametrize("change", CHANGES, ids=ids)
    def test_not_in_another_account(self, change):
        assert not is_allowed(to(*change, OURS, account=STRANGERS), OPERATE).allowed

    def test_our_volume_is_not_attached_to_a_foreign_instance(self):
        """Both resources of the call are judged."""
        assert is_allowed(to("AttachVolume", "volume", OURS), OPERATE).allowed
        assert not is_allowed(to("AttachVolume", "instance", UNTAGGED), OPERATE).allowed

    def test_a_foreign_volume_is_not_attached_to_our_instance(self):
        assert is_allowed(to("AttachVolume", "instance", OURS), OPERATE).allowed
        assert not is_allowed(to("AttachVolume", "volume", UNTAGGED), OPERATE).allowed


class TestMaking:
    @pytest.mark.parametrize("made", MADE, ids=ids)
    def test_with_our_tag(self, made):
        assert is_allowed(making(*made, OURS), OPERATE).allowed
        assert is_allowed(making(*made, {**OURS, "Name": "web", "spotguard:client": "c"}), OPERATE).allowed

    @pytest.mark.parametrize("tags", [UNTAGGED, ANOTHERS, ADOPTED, {"Name": "web"}], ids=str)
    @pytest.mark.parametrize("made", MADE, ids=ids)
    def test_never_without_it(self, made, tags):
        assert not is_allowed(making(*made, tags), OPERATE).allowed

    @pytest.mark.parametrize("made", MADE, ids=ids)
    def test_not_in_another_region(self, made):
        assert not is_allowed(making(*made, OURS, region=ELSEWHERE), OPERATE).allowed

    @pytest.mark.parametrize("kind", USED)
    def test_from_what_the_owner_lent(self, kind):
        assert is_allowed(to("RunInstances", kind, ADOPTED), OPERATE).allowed
        assert not is_allowed(to("RunInstances", kind, UNTAGGED), OPERATE).allowed

    @pytest.mark.parametrize("kind", ["image", "snapshot", "launch-template"])
    def test_from_what_we_made(self, kind):
        assert is_allowed(to("RunInstances", kind, OURS), OPERATE).allowed
        assert not is_allowed(to("RunInstances", kind, ANOTHERS), OPERATE).allowed

    def test_a_tag_in_the_request_is_not_one_of_the_resource(self):
        """Who may name tags in a launch does not thereby reach every image and subnet."""
        for kind in ("image", "subnet", "security-group", "launch-template"):
            asked = to("RunInstances", kind, UNTAGGED, **{"aws:RequestTag/spotguard:managed": "acme"})
            assert not is_allowed(asked, OPERATE).allowed

    def test_named_instead_of_tagged(self):
        named = policy(images=("ami-0123456789",), subnets=("subnet-0123456789",), key_pairs=("ops",))
        for kind, name in (("image", "ami-0123456789"), ("subnet", "subnet-0123456789"), ("key-pair", "ops")):
            assert is_allowed(to("RunInstances", kind, UNTAGGED, name=name), named).allowed
            assert not is_allowed(to("RunInstances", kind, ADOPTED, name="other"), named).allowed
        assert is_allowed(to("RunInstances", "security-group", ADOPTED), named).allowed

    def test_of_named_types_and_options_alone(self):
        narrow = policy(instance_types=("m5.*", "t3.small"), require_imdsv2=True)
        v2 = {"ec2:MetadataHttpTokens": "required"}
        for kind, told, allowed in (
            ("m5.large", v2, True),
            ("t3.small", v2, True),
            ("t3.large", v2, False),
            ("p5.48xlarge", v2, False),
            ("m5.large", {"ec2:MetadataHttpTokens": "optional"}, False),
            ("m5.large", {}, False),
        ):
            asked = making("RunInstances", "instance", OURS, **{"ec2:InstanceType": kind}, **told)
            assert is_allowed(asked, narrow).allowed is allowed, kind


class TestTags:
    @pytest.mark.parametrize("maker", MAKERS)
    def test_are_set_by_the_call_that_makes(self, maker):
        for kind in ("instance", "volume", "image", "snapshot"):
            asked = making("CreateTags", kind, OURS, **{"ec2:CreateAction": maker})
            assert is_allowed(asked, OPERATE).allowed

    @pytest.mark.parametrize("tags", [UNTAGGED, ANOTHERS, {"Name": "web"}], ids=str)
    def test_not_without_ours(self, tags):
        asked = making("CreateTags", "instance", tags, **{"ec2:CreateAction": "RunInstances"})
        assert not is_allowed(asked, OPERATE).allowed

    @pytest.mark.parametrize("maker", ["CopyImage", "CreateSecurityGroup", "AllocateAddress", "CopySnapshot"])
    def test_not_by_calls_that_we_do_not_make(self, maker):
        assert not is_allowed(
            making("CreateTags", "volume", OURS, **{"ec2:CreateAction": maker}), OPERATE
        ).allowed

    @pytest.mark.parametrize("role", [OPERATE, DRILL, AGENTS], ids=["operate", "drill", "agent"])
    @pytest.mark.parametrize("action", ["CreateTags", "DeleteTags"])
    @pytest.mark.parametrize("tags", [OURS, ADOPTED, ANOTHERS, UNTAGGED], ids=str)
    def test_never_after_creation_whatever_else_is_attached(self, role, action, tags):
        """Retag ours, untag ours, make a foreign instance ours: denied, not merely not allowed."""
        for told in (OURS, ADOPTED, {"Name": "web"}):
            asked = to(action, "instance", tags, **making(action, "instance", told).context)
            decision = is_allowed(asked, role, EVERYTHING)
            assert (decision.allowed, decision.by) == (False, "NoRetagging")


class TestRoles:
    def passing(self, role=PROFILE, service="ec2.amazonaws.com"):
        return Request("iam:PassRole", role, {"iam:PassedToService": service})

    def test_the_named_one_to_ec2(self):
        assert is_allowed(self.passing(), OPERATE).allowed
        assert is_allowed(self.passing(), AGENTS).allowed

    @pytest.mark.parametrize(
        "role", [f"arn:aws:iam::{ACCOUNT}:role/admin", f"arn:aws:iam::{STRANGERS}:role/web", f"{PROFILE}2"]
    )
    def test_no_other(self, role):
        decision = is_allowed(self.passing(role), OPERATE, EVERYTHING)
        assert (decision.allowed, decision.by) == (False, "NoOtherRole")

    @pytest.mark.parametrize(
        "service", ["lambda.amazonaws.com", "ecs-tasks.amazonaws.com", "ec2.amazonaws.com.cn"]
    )
    def test_to_no_other_service(self, service):
        assert not is_allowed(self.passing(service=service), OPERATE).allowed

    def test_none_when_none_is_named(self):
        assert not is_allowed(self.passing(), policy(roles=()), EVERYTHING).allowed

    def test_none_in_a_drill(self):
        assert not is_allowed(self.passing(), DRILL, EVERYTHING).allowed

    @pytest.mark.parametrize("role", [OPERATE, DRILL, AGENTS], ids=["operate", "drill", "agent"])
    @pytest.mark.parametrize(
        "action",
        [
            "AttachRolePolicy",
            "CreateAccessKey",
            "CreatePolicyVersion",
            "CreateRole",
            "CreateServiceLinkedRole",
            "CreateUser",
            "DeleteRole",
            "DetachRolePolicy",
            "EnableMFADevice",
            "GenerateCredentialReport",
            "GetRole",
            "ListUsers",
            "PutRolePolicy",
            "PutUserPolicy",
            "RemoveRoleFromInstanceProfile",
            "ResetServiceSpecificCredential",
            "SetDefaultPolicyVersion",
            "SimulatePrincipalPolicy",
            "TagRole",
            "UntagRole",
            "UpdateAssumeRolePolicy",
            "UploadServerCertificate",
            "AddUserToGroup",
            "ChangePassword",
        ],
    )
    def test_nothing_else_of_iam_whatever_is_attached(self, role, action):
        decision = is_allowed(Request(f"iam:{action}", PROFILE), role, EVERYTHING)
        assert (decision.allowed, decision.by) == (False, "NoIam")


FOREIGN = [
    "ec2:StopInstances",
    "ec2:StartInstances",
    "ec2:RebootInstances",
    "ec2:ModifySnapshotAttribute",
    "ec2:ModifyImageAttribute",
    "ec2:CopySnapshot",
    "ec2:CopyImage",
    "ec2:CreateKeyPair",
    "ec2:ImportKeyPair",
    "ec2:AuthorizeSecurityGroupIngress",
    "ec2:CreateSecurityGroup",
    "ec2:DeleteSecurityGroup",
    "ec2:ModifyInstanceMetadataOptions",
    "ec2:AssociateIamInstanceProfile",
    "ec2:ReplaceIamInstanceProfileAssociation",
    "ec2:GetPasswordData",
    "ec2:GetConsoleOutput",
    "ec2:RequestSpotInstances",
    "ec2:RequestSpotFleet",
    "ec2:CreateNetworkInterface",
    "ec2:AssociateAddress",
    "ec2:AssignPrivateIpAddresses",
    "ec2:SendDiagnosticInterrupt",
    "ec2:ModifyVolume",
    "ec2-instance-connect:SendSSHPublicKey",
    "ssm:SendCommand",
    "s3:GetObject",
    "kms:Decrypt",
    "kms:CreateGrant",
    "sts:AssumeRole",
    "organizations:LeaveOrganization",
    "route53:ChangeResourceRecordSets",
    "elasticloadbalancing:RegisterTargets",
    "autoscaling:UpdateAutoScalingGroup",
    "lambda:InvokeFunction",
]


@pytest.mark.parametrize("role", [OPERATE, READ, DRILL, AGENTS], ids=["operate", "read", "drill", "agent"])
@pytest.mark.parametrize("action", FOREIGN)
def test_what_no_call_of_ours_does_no_role_may(action, role):
    for tags in (OURS, ADOPTED):
        context = {f"aws:ResourceTag/{key}": value for key, value in tags.items()}
        assert not is_allowed(Request(action, arn("instance"), context), role).allowed


class TestLooking:
    @pytest.mark.parametrize(
        "role", [OPERATE, READ, DRILL, AGENTS], ids=["operate", "read", "drill", "agent"]
    )
    def test_in_its_region_alone(self, role):
        assert is_allowed(asking("ec2:DescribeInstances"), role).allowed
        assert not is_allowed(asking("ec2:DescribeInstances", ELSEWHERE), role).allowed

    def test_prices_come_from_one_region_for_all(self):
        assert is_allowed(asking("pricing:GetProducts", "us-east-1"), READ).allowed

    @pytest.mark.parametrize("tags", [UNTAGGED, ANOTHERS], ids=str)
    def test_user_data_of_others_is_not_read(self, tags):
        for role in (READ, OPERATE):
            assert is_allowed(to("DescribeInstanceAttribute", "instance", ADOPTED), role).allowed
            assert not is_allowed(to("DescribeInstanceAttribute", "instance", tags), role).allowed

    @pytest.mark.parametrize("change", [*CHANGES, *COPIES], ids=ids)
    def test_who_reads_changes_nothing(self, change):
        if change[0].startswith("Describe"):
            return
        assert not is_allowed(to(*change, {**OURS, **ADOPTED}), READ).allowed

    @pytest.mark.parametrize("made", MADE, ids=ids)
    def test_who_reads_makes_nothing(self, made):
        assert not is_allowed(making(*made, OURS), READ).allowed

    def test_ec2s_own_role_for_spot_and_no_other(self):
        spot = "aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"
        assert is_allowed(Request("iam:GetRole", f"arn:aws:iam::{ACCOUNT}:role/{spot}"), READ).allowed
        assert not is_allowed(Request("iam:GetRole", PROFILE), READ).allowed
