"""The actions of IAM that SpotGuard's calls need, by who makes them, and why some know no condition of ours."""

from __future__ import annotations

from collections.abc import Mapping

# What shows the world as it is.
SEEN_BY_DRILLS = (
    "ec2:DescribeInstances",
    "ec2:DescribeVolumes",
    "ec2:DescribeImages",
)
SEEN_BY_AGENTS = (
    *SEEN_BY_DRILLS,
    "ec2:DescribeSubnets",
    "ec2:DescribeRouteTables",
    "ec2:DescribeInstanceCreditSpecifications",
    "ec2:DescribeSpotPriceHistory",
    "ec2:DescribeAvailabilityZones",
)
SEEN = (
    *SEEN_BY_AGENTS,
    "ec2:DescribeSnapshots",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeInstanceStatus",
)
AROUND = (
    "ec2:DescribeInstanceTypeOfferings",
    "ec2:DescribeAddresses",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSpotInstanceRequests",
)
QUOTAS = ("servicequotas:GetServiceQuota",)
ELIGIBILITY = (
    "autoscaling:DescribeAutoScalingInstances",
    "cloudwatch:DescribeAlarms",
    "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
    "kms:DescribeKey",
    "kms:ListGrants",
    *QUOTAS,
)
SPOT_ROLE = "spot.amazonaws.com/AWSServiceRoleForEC2Spot"

# What is done to a machine and its disks, its owner's or ours.
AGENTS_CHANGES = (
    "ec2:DescribeInstanceAttribute",
    "ec2:ModifyInstanceAttribute",
    "ec2:TerminateInstances",
    "ec2:CreateImage",
    "ec2:AttachVolume",
    "ec2:DetachVolume",
    "ec2:DeleteVolume",
)
CHANGES = (
    *AGENTS_CHANGES,
    "ec2:CreateSnapshot",
)

# The actions of IAM less PassRole: patterns, since a policy has no "all but".
IAM = tuple(f"iam:{start}*" for start in ("A", "C", "D", "E", "G", "L", "Pu", "R", "S", "T", "U"))

_OF_EC2 = "a Describe call of EC2 knows neither resources nor tags: limited to the region"
_READ_ALONE = "it reads, and knows none of our tags: limited to the region"
UNCONDITIONED: Mapping[str, str] = {
    **dict.fromkeys((*SEEN, *AROUND, "ec2:DescribeLaunchTemplates"), _OF_EC2),
    "ec2:DescribeNetworkInterfaces": _OF_EC2,
    **dict.fromkeys(ELIGIBILITY, _READ_ALONE),
    "kms:DescribeKey": "the keys are the owner's and seldom tagged; it reads, and gives no use of a key",
    "kms:ListGrants": "the keys are the owner's and seldom tagged; it reads, and gives no use of a key",
    "pricing:GetProducts": "the price list is public; it knows no resources and is served in one region for all",
    "iam:GetRole": "limited to EC2's own role for spot",
    "iam:PassRole": "limited to the named role and to EC2: a role is its owner's",
    "route53:ListHostedZones": "it reads, and knows no resources",
    "route53:ListResourceRecordSets": "Route 53 knows no tags here; moving traffic is limited to the named zone",
    "route53:ChangeResourceRecordSets": "Route 53 knows no tags here: limited to the named zone and records",
    "route53:GetChange": "a change has no tags, and is read alone",
}
"""Allowed without one of our tags as a condition: why, and what limits it instead."""
