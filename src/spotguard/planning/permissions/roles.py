"""The table: what each role may do, on what condition, and why. Nothing else in the house names an action of IAM.

Which resources and condition keys an action knows is said by AWS's service authorization reference ("Actions,
resources, and condition keys for Amazon EC2" and its sisters); actions that know none of our conditions are listed in
`actions.UNCONDITIONED` with what holds instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum

from spotguard.domain.drills import PURPOSE
from spotguard.domain.errors import InvalidInput
from spotguard.domain.tags import PURPOSE_TAG
from spotguard.planning.permissions.actions import (
    AGENTS_CHANGES,
    AROUND,
    CHANGES,
    ELIGIBILITY,
    IAM,
    QUOTAS,
    SEEN,
    SEEN_BY_AGENTS,
    SEEN_BY_DRILLS,
    SPOT_ROLE,
)
from spotguard.planning.permissions.scope import Scope
from spotguard.planning.permissions.statements import ANYTHING, DENY, Statement, Values
from spotguard.planning.permissions.traffic import Traffic, traffic

_PARTS = ("volume", "network-interface", "spot-instances-request")  # what comes with an instance
_FOR_A_DRILL = {PURPOSE_TAG: PURPOSE}


class Role(StrEnum):
    """One principal each; never two of them in one."""

    READ = "read"
    DRILL = "drill"
    OPERATE = "operate"
    AGENT = "agent"


def statements(role: Role, scope: Scope, drivers: Iterable[Traffic] = ()) -> tuple[Statement, ...]:
    """Every statement of the role's policy, in the order in which it is written."""
    extra = tuple(statement for driver in drivers for statement in traffic(driver, scope))
    if extra and role not in (Role.OPERATE, Role.AGENT):
        raise InvalidInput(f"the role {role} moves no traffic")
    return (*_TABLE[role](scope), *extra)


def _read(scope: Scope) -> tuple[Statement, ...]:
    return (
        _looks(scope, (*SEEN, *AROUND)),
        Statement(
            "LookAtAttributes",
            "termination protection and user data of what was handed over: user data may hold its owner's secrets",
            ("ec2:DescribeInstanceAttribute",),
            scope.arns("instance"),
            scope.if_adopted(),
        ),
        _price_list(),
        Statement(
            "LookAtEligibility",
            "what points at an instance, its quotas and its keys: the report before anything is moved",
            ELIGIBILITY,
            conditions=scope.in_region(),
        ),
        Statement(
            "LookAtNames",
            "records that name its address; Route 53 is one service for all regions",
            ("route53:ListHostedZones", "route53:ListResourceRecordSets"),
        ),
        Statement(
            "LookAtSpotRole",
            "without EC2's own role for spot no spot instance starts",
            ("iam:GetRole",),
            (f"arn:{scope.partition}:iam::{scope.account or ANYTHING}:role/aws-service-role/{SPOT_ROLE}",),
        ),
    )


def _operate(scope: Scope) -> tuple[Statement, ...]:
    return (
        _looks(scope, (*SEEN, "ec2:DescribeLaunchTemplates")),
        _price_list(),
        Statement(
            "LookAtQuotas",
            "whether old, new and standby fit is asked before a move, not found out in it",
            QUOTAS,
            conditions=scope.in_region(),
        ),
        *_launches(scope, "ec2:RunInstances", "ec2:CreateFleet"),
        _made_tagged(
            scope,
            ("ec2:CreateImage", "ec2:CreateSnapshot", "ec2:CreateVolume", "ec2:CreateLaunchTemplate"),
            "image",
            "snapshot",
            "volume",
            "launch-template",
        ),
        _tagged_at_birth(
            scope,
            "RunInstances",
            "CreateFleet",
            "CreateLaunchTemplate",
            "CreateImage",
            "CreateSnapshot",
            "CreateVolume",
        ),
        Statement(
            "CopyOurs",
            "a volume is made by itself only of a snapshot of ours: a copy to be looked at",
            ("ec2:CreateVolume",),
            scope.arns("snapshot"),
            scope.if_ours(),
        ),
        Statement(
            "ChangeOurs",
            "ended, detached, deleted is only what carries our tags",
            (*CHANGES, "ec2:DeregisterImage", "ec2:DeleteSnapshot", "ec2:DeleteLaunchTemplate"),
            scope.arns("instance", "volume", "image", "snapshot", "launch-template"),
            scope.if_ours(),
        ),
        _change_adopted(scope, CHANGES),
        *_nobody_else(scope),
    )


def _agent(scope: Scope) -> tuple[Statement, ...]:
    """What the process beside the workload does where it is the executor: no fleets, no snapshots."""
    return (
        _looks(scope, SEEN_BY_AGENTS),
        _price_list(),
        *_launches(scope, "ec2:RunInstances"),
        _made_tagged(scope, ("ec2:CreateImage",), "image", "snapshot"),
        _tagged_at_birth(scope, "RunInstances", "CreateImage"),
        Statement(
            "ChangeOurs",
            "an agent ends and detaches only what carries our tags",
            AGENTS_CHANGES,
            scope.arns("instance", "volume"),
            scope.if_ours(),
        ),
        _change_adopted(scope, tuple(a for a in AGENTS_CHANGES if a != "ec2:DeleteVolume")),
        *_nobody_else(scope),
    )


def _drill(scope: Scope) -> tuple[Statement, ...]:
    """A clone of a restore point, shut in: no profile, no public address, one security group, IMDSv2."""
    if scope.quarantine_group is None:
        raise InvalidInput("a drill needs a security group that lets its clones speak to nobody")
    return (
        _looks(scope, SEEN_BY_DRILLS),
        _machine(scope, ("ec2:RunInstances",), imdsv2=True, **_FOR_A_DRILL),
        Statement(
            "ClonesParts",
            "so do its disks and its spot request",
            ("ec2:RunInstances",),
            scope.arns("volume", "spot-instances-request"),
            scope.if_made_ours(**_FOR_A_DRILL),
        ),
        Statement(
            "ClonesInterface",
            "so does its interface, which has no public address",
            ("ec2:RunInstances",),
            scope.arns("network-interface"),
            {
                **scope.if_made_ours(**_FOR_A_DRILL),
                "Bool": {"ec2:AssociatePublicIpAddress": "false"},
            },
        ),
        Statement(
            "FromOurs",
            "it boots from what SpotGuard has made: a restore point, or the snapshots of one",
            ("ec2:RunInstances",),
            scope.arns("image", "snapshot"),
            scope.if_ours(),
        ),
        *_among_owners(scope, ("ec2:RunInstances",), "subnet"),
        Statement(
            "InQuarantine",
            "and reaches nobody",
            ("ec2:RunInstances",),
            (scope.arn("security-group", scope.quarantine_group),),
        ),
        _tagged_at_birth(scope, "RunInstances", **_FOR_A_DRILL),
        Statement(
            "EndClones",
            "only what carries the drill's tag is ended",
            ("ec2:TerminateInstances", "ec2:DeleteVolume"),
            scope.arns("instance", "volume"),
            scope.if_ours(**_FOR_A_DRILL),
        ),
        _no_retagging(),
        Statement("NoIam", "a clone is given no profile", ("iam:*",), effect=DENY),
    )


_TABLE: Mapping[Role, Callable[[Scope], tuple[Statement, ...]]] = {
    Role.READ: _read,
    Role.DRILL: _drill,
    Role.OPERATE: _operate,
    Role.AGENT: _agent,
}


def _looks(scope: Scope, actions: tuple[str, ...]) -> Statement:
    return Statement(
        "Look",
        "what EC2 shows is the only truth that the rows follow",
        actions,
        conditions=scope.in_region(),
    )


def _price_list() -> Statement:
    return Statement(
        "LookAtPrices", "on-demand and storage prices come from the price list", ("pricing:GetProducts",)
    )


def _launches(scope: Scope, *actions: str) -> tuple[Statement, ...]:
    by_fleet = "ec2:CreateFleet" in actions
    return (
        _machine(scope, actions, imdsv2=scope.require_imdsv2),
        Statement(
            "LaunchTagged",
            "so does what comes with it",
            actions,
            scope.arns(*_PARTS, *(("fleet",) if by_fleet else ())),
            scope.if_made_ours(),
        ),
        Statement(
            "LaunchFromOurs",
            "from images and snapshots that SpotGuard made",
            actions,
            scope.arns("image", "snapshot", *(("launch-template",) if by_fleet else ())),
            scope.if_ours(),
        ),
        *_among_owners(scope, actions, "image", "snapshot", "subnet", "security-group", "key-pair"),
        *_pass_role(scope),
    )


def _machine(scope: Scope, actions: tuple[str, ...], *, imdsv2: bool, **tags: str) -> Statement:
    told: dict[str, Mapping[str, Values]] = {**scope.if_made_ours(**tags)}
    if imdsv2:
        told["StringEquals"] = {**told["StringEquals"], "ec2:MetadataHttpTokens": "required"}
    if scope.instance_types:
        told["StringLike"] = {"ec2:InstanceType": scope.instance_types}
    return Statement(
        "LaunchInstance",
        "an instance carries our tags from its first moment, and is of the named types and options",
        actions,
        scope.arns("instance"),
        told,
    )


def _among_owners(scope: Scope, actions: tuple[str, ...], *kinds: str) -> tuple[Statement, ...]:
    """What the owner named, or else tagged: an installation launches nothing into a network that it was not given."""
    named = {
        "image": scope.images,
        "subnet": scope.subnets,
        "security-group": scope.security_groups,
        "key-pair": scope.key_pairs,
    }
    listed = tuple(scope.arn(kind, name) for kind in kinds for name in named.get(kind, ()))
    tagged = scope.arns(*(kind for kind in kinds if not named.get(kind)))
    found = (
        Statement("LaunchWithNamed", "of the owner's: what was named", actions, listed),
        Statement(
            "LaunchWithAdopted",
            "of the owner's: what was tagged spotguard:adopted, whatever its value",
            actions,
            tagged,
            scope.if_lent(),
        ),
    )
    return tuple(statement for statement in found if statement.resources)


def _pass_role(scope: Scope) -> tuple[Statement, ...]:
    if not scope.roles:
        return ()
    return (
        Statement(
            "PassRole",
            "a clone keeps its original's instance profile: this role, to EC2 alone",
            ("iam:PassRole",),
            scope.roles,
            {"StringEquals": {"iam:PassedToService": f"ec2.{scope.suffix}"}},
        ),
    )


def _made_tagged(scope: Scope, actions: tuple[str, ...], *kinds: str) -> Statement:
    return Statement(
        "MakeTagged",
        "copies and templates carry our tags from their first moment",
        actions,
        scope.arns(*kinds),
        scope.if_made_ours(),
    )


def _tagged_at_birth(scope: Scope, *makers: str, **tags: str) -> Statement:
    tagged = scope.if_made_ours(**tags)["StringEquals"]
    return Statement(
        "TagAtCreation",
        "a call that sets tags needs this besides; by itself it may tag nothing",
        ("ec2:CreateTags",),
        scope.arns("*", "image", "snapshot"),
        {"StringEquals": {**tagged, "ec2:CreateAction": makers}},
    )


def _change_adopted(scope: Scope, actions: tuple[str, ...]) -> Statement:
    return Statement(
        "ChangeAdopted",
        "of the owner's instances and volumes: those that were handed over with the tag spotguard:adopted",
        actions,
        scope.arns("instance", "volume"),
        scope.if_adopted(),
    )


def _nobody_else(scope: Scope) -> tuple[Statement, ...]:
    """Said again as denials: they hold whatever else is attached to the role."""
    others: tuple[Statement, ...] = (
        Statement("NoIam", "nothing of IAM but passing the role", IAM, effect=DENY),
        Statement(
            "NoOtherRole", "and that role alone", ("iam:PassRole",), effect=DENY, except_for=scope.roles
        ),
    )
    if not scope.roles:
        others = (
            Statement("NoIam", "nothing of IAM: no role was named to pass on", ("iam:*",), effect=DENY),
        )
    return (_no_retagging(), *others)


def _no_retagging() -> Statement:
    return Statement(
        "NoRetagging",
        "tags decide what may be ended: outside of a creation none is set or taken away",
        ("ec2:CreateTags", "ec2:DeleteTags"),
        conditions={"Null": {"ec2:CreateAction": "true"}},
        effect=DENY,
    )
