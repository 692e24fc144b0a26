"""Spot capacity pools: instance type × availability zone × product."""

from __future__ import annotations

import re
from dataclasses import dataclass

from spotguard.domain.errors import InvalidInput
from spotguard.domain.ids import PoolId

LINUX = "Linux/UNIX"
PRODUCT_SUFFIX = {
    LINUX: "",
    "Windows": ":windows",
    "Red Hat Enterprise Linux": ":rhel",
    "SUSE Linux": ":suse",
}
_PRODUCT_OF = {suffix: product for product, suffix in PRODUCT_SUFFIX.items()}
_VPC = " (Amazon VPC)"  # EC2 still gives both spellings; the capacity and the price are the same
_POOL = re.compile(r"([a-z][a-z0-9-]*\.[a-z0-9-]+)\.([a-z]{2}(?:-[a-z]+)+-\d)([a-z])((?::[a-z]+)?)")
_LONGEST = 32  # a type's name, a zone's: EC2 gives none that is half as long, and no table holds a longer one
_LOCAL_ZONE = re.compile(r"([a-z]{2}(?:-[a-z]+)+-\d)(?:[a-z]|-[a-z]{3}-\d[a-z])")


@dataclass(frozen=True, order=True)
class Pool:
    """One spot capacity pool. `az` is the account's own letter; `az_id` the same for everybody."""

    instance_type: str
    az: str
    product: str = LINUX
    az_id: str | None = None

    @property
    def region(self) -> str:
        return region_of(self.az)

    @property
    def id(self) -> PoolId:
        """`t3.medium.ap-south-1a`, other products suffixed (ruling S7)."""
        return PoolId(f"{self.instance_type}.{self.az}{PRODUCT_SUFFIX[self.product]}")


def region_of(az: str) -> str:
    found = _LOCAL_ZONE.fullmatch(az)
    if found is None:
        raise InvalidInput(f"not an availability zone: {az[:40]!r}")
    return found[1]


def canonical_product(text: str) -> str:
    """EC2's product description under our one name; an unknown product is refused."""
    product = text.removesuffix(_VPC)
    if product not in PRODUCT_SUFFIX:
        raise InvalidInput(f"unknown product description: {text[:40]!r}")
    return product


def parse_pool_id(text: str) -> Pool:
    """The pool that an id names; `InvalidInput` when it does not name one."""
    found = _POOL.fullmatch(text)
    if found is None or found[4] not in _PRODUCT_OF or max(len(found[1]), len(found[2]) + 1) > _LONGEST:
        raise InvalidInput(f"not a pool id (like t3.medium.ap-south-1a): {text[:80]!r}")
    return Pool(instance_type=found[1], az=found[2] + found[3], product=_PRODUCT_OF[found[4]])
