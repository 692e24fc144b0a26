"""vCPUs, quota class and generation of an EC2 instance type, from its name.

Sizes: an xlarge has 4 vCPUs, an n-xlarge 4n, a large 2 (EC2 instance type naming conventions, "Instance sizes"); the
names that break the rule stand in a table (EC2 instance type specifications). Quotas count vCPUs per class, spot and
on-demand apart (EC2 User Guide, "On-Demand Instance quotas" and "Spot Instance quotas"). Names are enough for quotas;
memory and devices need DescribeInstanceTypes.
"""

from __future__ import annotations

import re

from spotguard.domain.errors import InvalidInput
from spotguard.domain.quotas import QuotaClass

_TYPE = re.compile(r"([a-z]+)([a-z0-9-]*)\.([a-z0-9-]+)")
_NUMBER = re.compile(r"\d+")
_BURSTABLE = re.compile(r"t\d[a-z]*\.")
_SIZE = re.compile(r"(?:metal-)?(\d*)(?:xlarge|xl)")
_SMALL = {"nano": 2, "micro": 2, "small": 2, "medium": 2, "large": 2}
_OTHER_SIZES = {
    "c4.8xlarge": 36, "d2.8xlarge": 36,
    "c1.medium": 2, "c1.xlarge": 8, "m1.small": 1, "m2.xlarge": 2, "m2.2xlarge": 4, "m2.4xlarge": 8,
    "hs1.8xlarge": 16, "t1.micro": 1, "t2.nano": 1, "t2.micro": 1, "t2.small": 1,
}  # fmt: skip
_METAL_FAMILIES = {
    8: "mac2 mac2-m2",
    10: "mac-m4",
    12: "mac1 mac2-m2pro",
    14: "mac-m4pro",
    16: "a1 mac-m4max",
    20: "mac2-m1ultra",
    48: "z1d m5zn x2iezn",
    64: "c6g c6gd c6gn c7gn m6g m6gd r6g r6gd x2gd g5g c7g c7gd m7g m7gd r7g r7gd",
    72: "c5n i3",
    96: "c5 c5d m5 m5d m5dn m5n r5 r5b r5d r5dn r5n i3en g4dn",
    128: "c6i c6id c6in m6i m6id m6idn m6in r6i r6id r6idn r6in i4i x2idn x2iedn",
    192: "c6a m6a r6a",
}
_METAL = {family: count for count, families in _METAL_FAMILIES.items() for family in families.split()}
_CLASS_OF = {
    "dl": QuotaClass.DL, "f": QuotaClass.F, "g": QuotaClass.G, "gr": QuotaClass.G, "vt": QuotaClass.G,
    "u": QuotaClass.HIGH_MEMORY, "hpc": QuotaClass.HPC, "inf": QuotaClass.INF, "mac": QuotaClass.MAC,
    "p": QuotaClass.P, "trn": QuotaClass.TRN, "x": QuotaClass.X,
}  # fmt: skip


def is_burstable(instance_type: str) -> bool:
    """The families of letter t: a share of a core, and credits (EC2 User Guide, burstable performance instances)."""
    return _BURSTABLE.match(instance_type) is not None


def is_instance_type(text: str) -> bool:
    """True for a name of the form that EC2 uses, known or not."""
    return _TYPE.fullmatch(text) is not None


def quota_class(instance_type: str) -> QuotaClass:
    return _CLASS_OF.get(_parts(instance_type)[0], QuotaClass.STANDARD)


def generation(instance_type: str) -> int:
    """The number right behind its letters, 5 of m5dn.large (naming conventions); 0 of u-6tb1, where none stands."""
    letters, family, _ = _parts(instance_type)
    found = _NUMBER.match(family, len(letters))
    return int(found[0]) if found else 0


def vcpus(instance_type: str) -> int:
    """Default vCPUs. `InvalidInput` when neither the rule nor the table tells."""
    letters, family, size = _parts(instance_type)
    if instance_type in _OTHER_SIZES:
        return _OTHER_SIZES[instance_type]
    if size == "medium" and letters != "t":
        return 1  # only the burstable families give a medium two
    if size in _SMALL:
        return _SMALL[size]
    if size == "metal" and family in _METAL:
        return _METAL[family]
    found = _SIZE.fullmatch(size)
    if found is None:
        raise InvalidInput(f"cannot tell the vCPUs of {instance_type!r}")
    count = 4 * int(found[1] or 1)
    return count // 2 if letters == "hpc" and not family.endswith("g") else count  # hpc: one thread a core


def _parts(instance_type: str) -> tuple[str, str, str]:
    """Its letters, its family, its size: `m`, `m5dn`, `2xlarge`."""
    found = _TYPE.fullmatch(instance_type)
    if found is None:
        raise InvalidInput(f"not an instance type: {instance_type[:40]!r}")
    return found[1], found[1] + found[2], found[3]
