"""Facts of instance types by their names, and the default VPC: what DescribeInstanceTypes and DescribeSubnets tell.

Assumptions, as far as a name tells: every family but the oldest is Nitro; a `g` after the generation is Graviton;
memory per vCPU is the family's usual one (EC2 instance type specifications).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from spotguard.market.instance_types import vcpus
from spotguard.planning.compatibility import TypeFacts

ACCOUNT_ID = "123456789012"  # the number that AWS's own examples use
DEFAULT_VPC = "vpc-0123456789abcdef0"
DEFAULT_GROUP = "sg-0123456789abcdef0"

_NAME = re.compile(r"([a-z]+)(\d*)([a-z-]*)\.(.+)")
_XEN = re.compile(r"(?:t1|t2|m1|m2|m3|m4|c1|c3|c4|r3|r4|i2|i3|d2|x1|x1e|p2|p3|g2|g3|hs1)\.")
_BURSTABLE_MIB = {
    "nano": 512, "micro": 1024, "small": 2048, "medium": 4096, "large": 8192, "xlarge": 16384, "2xlarge": 32768,
}  # fmt: skip
_MIB_PER_VCPU = {"c": 2048, "m": 4096, "t": 4096, "r": 8192, "i": 8192, "x": 16384, "z": 8192}


def default_subnets(zones: Iterable[str]) -> dict[str, str]:
    """The default VPC's: one in each zone."""
    return {az: f"subnet-{number:017x}" for number, az in enumerate(sorted(zones), 1)}


@cache
def type_facts(instance_type: str) -> TypeFacts:
    found = _NAME.fullmatch(instance_type)
    letters, _, extra, size = found.groups() if found else ("m", "5", "", "large")
    old, graviton, burstable = bool(_XEN.match(instance_type)), extra.startswith("g"), letters == "t"
    memory = _MIB_PER_VCPU.get(letters[:1], 4096) * vcpus(instance_type)
    return TypeFacts(
        instance_type=instance_type,
        architectures=frozenset({"arm64"} if graviton else {"x86_64"}),
        virtualization=frozenset({"hvm"}),
        boot_modes=frozenset({"uefi"} if graviton else {"legacy-bios"} if old else {"legacy-bios", "uefi"}),
        ena="unsupported" if old else "required",
        nvme="unsupported" if old else "required",
        memory_mib=_BURSTABLE_MIB.get(size, memory) if burstable else memory,
        vcpus=vcpus(instance_type),
        network_interfaces=2 if size in ("nano", "micro") else 3,
        network_cards=1,
        instance_store="d" in extra or letters in ("i", "d"),
        spot=True,
        burstable=burstable,
        bare_metal=size.startswith("metal"),
    )
