"""What a traffic driver needs besides, asked for one by one."""

from __future__ import annotations

from enum import StrEnum

from spotguard.domain.errors import InvalidInput
from spotguard.planning.permissions.scope import Scope
from spotguard.planning.permissions.statements import Statement


class Traffic(StrEnum):
    """By what the users' requests follow the workload."""

    TARGET_GROUP = "target-group"
    ELASTIC_IP = "elastic-ip"
    DNS = "dns"
    PRIVATE_IP = "private-ip"


def traffic(driver: Traffic, scope: Scope) -> tuple[Statement, ...]:
    """Statements of one driver; `InvalidInput` when it needs a name that was not given."""
    match driver:
        case Traffic.TARGET_GROUP:
            return _target_group(scope)
        case Traffic.ELASTIC_IP:
            return _elastic_ip(scope)
        case Traffic.DNS:
            return _route53(scope)
        case Traffic.PRIVATE_IP:
            return _private_ip(scope)


def _target_group(scope: Scope) -> tuple[Statement, ...]:
    named = scope.target_groups
    anywhere = f"arn:{scope.partition}:elasticloadbalancing:{scope.region or '*'}:{scope.account or '*'}"
    return (
        Statement(
            "RegisterTargets",
            "both instances are registered beforehand and the gate's health endpoint decides; "
            "which instances it registers, no condition can say",
            ("elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets"),
            named or (f"{anywhere}:targetgroup/*",),
            {} if named else scope.if_lent(),
        ),
        Statement(
            "LookAtTargets",
            "read back: registered is not yet healthy",
            ("elasticloadbalancing:DescribeTargetHealth",),
            conditions=scope.in_region(),
        ),
    )


def _elastic_ip(scope: Scope) -> tuple[Statement, ...]:
    return (
        Statement(
            "MoveAddress",
            "the owner's address, which was tagged spotguard:adopted",
            ("ec2:AssociateAddress",),
            scope.arns("elastic-ip"),
            scope.if_lent(),
        ),
        *_on_machines(scope, "Address", ("ec2:AssociateAddress",), "instance"),
        _look(scope, "Addresses", "ec2:DescribeAddresses"),
    )


def _private_ip(scope: Scope) -> tuple[Statement, ...]:
    actions = ("ec2:AssignPrivateIpAddresses",)
    return (
        *_on_machines(scope, "PrivateIp", actions),
        _look(scope, "Interfaces", "ec2:DescribeNetworkInterfaces"),
    )


def _on_machines(scope: Scope, what: str, actions: tuple[str, ...], *kinds: str) -> tuple[Statement, ...]:
    where = scope.arns(*kinds, "network-interface")
    return (
        Statement(f"{what}OnOurs", "on a machine of ours", actions, where, scope.if_ours()),
        Statement(f"{what}OnAdopted", "or one that was handed over", actions, where, scope.if_adopted()),
    )


def _look(scope: Scope, what: str, action: str) -> Statement:
    return Statement(f"LookAt{what}", "read back", (action,), conditions=scope.in_region())


def _route53(scope: Scope) -> tuple[Statement, ...]:
    if not scope.hosted_zones or not scope.records:
        raise InvalidInput(
            "dns needs a hosted zone and the records in it: without them every name could be moved"
        )
    zones = tuple(f"arn:{scope.partition}:route53:::hostedzone/{zone}" for zone in scope.hosted_zones)
    return (
        Statement(
            "MoveRecord",
            "the addresses of the named records in the named zones; nothing is deleted",
            ("route53:ChangeResourceRecordSets",),
            zones,
            {
                "ForAllValues:StringEquals": {
                    "route53:ChangeResourceRecordSetsNormalizedRecordNames": scope.records,
                    "route53:ChangeResourceRecordSetsRecordTypes": ("A",),
                    "route53:ChangeResourceRecordSetsActions": ("UPSERT",),
                },
                "Null": {"route53:ChangeResourceRecordSetsNormalizedRecordNames": "false"},
            },
        ),
        Statement("LookAtRecords", "read back", ("route53:ListResourceRecordSets",), zones),
        Statement(
            "LookAtChanges",
            "a change counts when every name server has it",
            ("route53:GetChange",),
            (f"arn:{scope.partition}:route53:::change/*",),
        ),
    )
