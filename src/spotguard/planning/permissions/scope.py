"""For whom a policy is: account, region, installation, and what of the owner's it may use. Names become ARNs here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from spotguard.domain.errors import InvalidInput
from spotguard.domain.tags import ADOPTED_TAG, AGENT_TAG, CLIENT_TAG, MANAGED_TAG
from spotguard.planning.permissions.statements import ANYTHING

_VALUE = re.compile(r"[\w .:/=+@-]{1,256}", re.ASCII)  # of a tag, less what a policy would read as its own
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_ACCOUNT = re.compile(r"\d{12}")
_TYPE = re.compile(r"[a-z0-9*?.-]{1,64}")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,576}", re.ASCII)
_TARGET_GROUP = re.compile(
    r"arn:aws[a-z-]*:elasticloadbalancing:[a-z0-9-]+:\d{12}:targetgroup/[\w-]+/[0-9a-f]+"
)
_ZONE = re.compile(r"Z[0-9A-Z]{1,31}")
_RECORD = re.compile(r"[a-z0-9_.-]{1,255}")
_IDS: Mapping[str, re.Pattern[str]] = {
    "images": re.compile(r"ami-[0-9a-f]{8,17}"),
    "subnets": re.compile(r"subnet-[0-9a-f]{8,17}"),
    "security_groups": re.compile(r"sg-[0-9a-f]{8,17}"),
    "key_pairs": re.compile(r"[\w .:/+=@-]{1,255}", re.ASCII),
    "instance_types": _TYPE,
    "roles": _ROLE,
    "target_groups": _TARGET_GROUP,
    "hosted_zones": _ZONE,
    "records": _RECORD,
}
_ONES: Mapping[str, re.Pattern[str]] = {
    "region": _REGION,
    "account": _ACCOUNT,
    "installation": _VALUE,
    "client": _VALUE,
    "agent": _VALUE,
    "quarantine_group": _IDS["security_groups"],
}
_OWNERLESS = (
    "image",
    "snapshot",
)  # their ARNs name no account (service authorization reference, resource types)
_PARTITIONS = (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov"))


@dataclass(frozen=True)
class Scope:
    """None and empty mean: not limited by it. `InvalidInput` for what would not be what it is taken for.

    `images` to `key_pairs` are the owner's own that a launch may use; of a kind that is not named, those that carry
    `spotguard:adopted`. `roles` are the ARNs of the roles in the instance profiles that a launch may pass on.
    """

    installation: str = "spotguard"
    region: str | None = None
    account: str | None = None
    client: str | None = None
    agent: str | None = None
    roles: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    key_pairs: tuple[str, ...] = ()
    instance_types: tuple[str, ...] = ()
    require_imdsv2: bool = False
    quarantine_group: str | None = None
    target_groups: tuple[str, ...] = ()
    hosted_zones: tuple[str, ...] = ()
    records: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, pattern in _ONES.items():
            _require(name, pattern, getattr(self, name))
        for name, pattern in _IDS.items():
            for value in getattr(self, name):
                _require(name, pattern, value)

    @property
    def partition(self) -> str:
        return next((name for start, name in _PARTITIONS if (self.region or "").startswith(start)), "aws")

    @property
    def suffix(self) -> str:
        """Of the names of AWS's services."""
        return "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"

    def arn(self, kind: str, name: str = ANYTHING) -> str:
        """Of EC2's resource of this kind."""
        account = "" if kind in _OWNERLESS else self.account or ANYTHING
        return f"arn:{self.partition}:ec2:{self.region or ANYTHING}:{account}:{kind}/{name}"

    def arns(self, *kinds: str) -> tuple[str, ...]:
        return tuple(self.arn(kind) for kind in kinds)

    @property
    def ours(self) -> dict[str, str]:
        """The tags by which we know our own."""
        told = {MANAGED_TAG: self.installation, CLIENT_TAG: self.client, AGENT_TAG: self.agent}
        return {name: value for name, value in told.items() if value is not None}

    def if_made_ours(self, **more: str) -> dict[str, dict[str, str]]:
        """The request makes it with our tags."""
        return {"StringEquals": _keys("aws:RequestTag", {**self.ours, **more})}

    def if_ours(self, **more: str) -> dict[str, dict[str, str]]:
        """It carries our tags."""
        return {"StringEquals": _keys("aws:ResourceTag", {**self.ours, **more})}

    def if_adopted(self) -> dict[str, dict[str, str]]:
        """Its owner has handed it over: to this agent, if the policy is one agent's, else to any."""
        if self.agent is None:
            return self.if_lent()
        return {"StringEquals": {f"aws:ResourceTag/{ADOPTED_TAG}": self.agent}}

    def if_lent(self) -> dict[str, dict[str, str]]:
        """Its owner lets SpotGuard use it, for whichever agent: a subnet, an address."""
        return {"Null": {f"aws:ResourceTag/{ADOPTED_TAG}": "false"}}

    def in_region(self) -> dict[str, dict[str, str]]:
        """For what takes no resource: an ARN names its region itself."""
        return {} if self.region is None else {"StringEquals": {"aws:RequestedRegion": self.region}}


def _keys(start: str, tags: Mapping[str, str]) -> dict[str, str]:
    return {f"{start}/{name}": value for name, value in tags.items()}


def _require(name: str, pattern: re.Pattern[str], value: str | None) -> None:
    if value is not None and not pattern.fullmatch(value):
        raise InvalidInput(f"{name.replace('_', ' ')}: {value!r} is not one that a policy can name")
