"""What a clone must keep of the instance that it stands in for, besides what its disks hold (aws-facts: copy the old
one's metadata options, tags, security groups, profile, key, credit specification).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from spotguard.planning.compatibility import MachineNeeds

MOST_TAGS = 50  # of one resource (EC2 User Guide, "Tag restrictions")
USER_DATA_TAG = "spotguard:user-data"
"""Set by its owner to `keep` on an instance whose clones need the owner's user data too."""


class UserDataPolicy(StrEnum):
    """E21: cloud-init sees a clone as a new instance and would run the user data again."""

    REPLACE = "replace"  # the clone's user data is SpotGuard's note alone: what they did is in the image
    KEEP = "keep"  # the owner's user data come first, then the note


@dataclass(frozen=True)
class MetadataOptions:
    """How the metadata service answers. A clone that fell back to IMDSv1 would be weaker than its original (E20)."""

    tokens_required: bool = True
    hop_limit: int = 1
    enabled: bool = True
    instance_tags: bool = False
    ipv6: bool = False


@dataclass(frozen=True)
class DiskShape:
    """What the volume that is made in another's place has of it. Performance is that of gp3, as the new one is:
    IOPS, and MiB a second.
    """

    encrypted: bool = False
    iops: int | None = None
    mib_per_second: int | None = None


@dataclass(frozen=True)
class Shape:
    """`disks` by device. `subnets`: the one to use in each zone of its VPC. `public_ip` None: as the subnet says.

    `owner_tags` are those that are neither AWS's nor ours. `user_data` only under the policy `keep`.
    """

    metadata: MetadataOptions = MetadataOptions()
    security_groups: tuple[str, ...] = ()
    key_name: str | None = None
    instance_profile: str | None = None  # its ARN
    credits: str | None = None  # of a burstable type: standard or unlimited
    ebs_optimized: bool = False
    detailed_monitoring: bool = False
    tenancy: str = "default"
    vpc_id: str | None = None
    subnets: Mapping[str, str] = field(default_factory=dict)
    public_ip: bool | None = None
    owner_tags: Mapping[str, str] = field(default_factory=dict)
    user_data_policy: UserDataPolicy = UserDataPolicy.REPLACE
    user_data: str | None = None
    disks: Mapping[str, DiskShape] = field(default_factory=dict)
    needs: MachineNeeds = field(default_factory=MachineNeeds)


_COPIED = (
    "metadata",
    "security_groups",
    "key_name",
    "instance_profile",
    "ebs_optimized",
    "detailed_monitoring",
    "tenancy",
    "vpc_id",
)


def differences(wanted: Shape, found: Shape) -> tuple[str, ...]:
    """What EC2 made otherwise than was asked (failures, "lies"), as sentences; what was not asked for may be anything.

    Credits are left out: they belong to burstable types alone.
    """
    told = [
        f"{name} is {_told(getattr(found, name))}, not {_told(getattr(wanted, name))}"
        for name in _COPIED
        if getattr(wanted, name) and _told(getattr(wanted, name)) != _told(getattr(found, name))
    ]
    missing = [key for key, value in wanted.owner_tags.items() if found.owner_tags.get(key) != value]
    return (*told, *(f"tag {key} is missing" for key in missing))


def _told(value: object) -> str:
    return ", ".join(sorted(map(str, value))) if isinstance(value, tuple) else str(value)


def owner_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags that a clone inherits: `aws:` ones cannot be set (E37), ours are set anew."""
    return {key: value for key, value in tags.items() if not key.lower().startswith(("aws:", "spotguard:"))}


def tags_of(shape: Shape | None, ours: Mapping[str, str]) -> dict[str, str]:
    """What a clone is tagged with: ours first, then of its owner's as many as EC2 lets it have, and his wish."""
    if shape is None:
        return dict(ours)
    kept = {**ours, USER_DATA_TAG: "keep"} if shape.user_data_policy is UserDataPolicy.KEEP else dict(ours)
    room = max(0, MOST_TAGS - len(kept))
    return kept | dict(
        sorted((key, value) for key, value in shape.owner_tags.items() if key not in kept)[:room]
    )


def zones(shape: Shape | None) -> Iterable[str] | None:
    """Where it can be launched; None: nobody knows."""
    return tuple(shape.subnets) if shape is not None and shape.subnets else None
