"""Does one more instance fit into a vCPU quota beside what runs (E8)? Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from spotguard.domain.instances import Mode
from spotguard.domain.quotas import VcpuQuota

KNOWN_FOR = timedelta(days=1)
"""A limit that was looked at longer ago is not known: people raise limits, and others come and go."""


@dataclass(frozen=True)
class Wanted:
    """One instance, and the quota it would come under. In use: what runs, starts or is ordered, the old one included.

    `code`: under which Service Quotas knows the limit.
    """

    instance_type: str
    vcpus: int
    quota: VcpuQuota
    ours_vcpus: int
    code: str
    seen_at: datetime


def why_it_does_not_fit(wanted: Wanted, now: datetime) -> str | None:
    """None when it fits, and when nobody knows: then EC2 answers the launch."""
    quota = wanted.quota
    if now - wanted.seen_at > KNOWN_FOR or quota.used_vcpus + wanted.vcpus <= quota.limit_vcpus:
        return None
    market = "on-demand" if quota.mode is Mode.ONDEMAND else "spot"
    others = quota.used_vcpus - wanted.ours_vcpus
    return (
        f"the {market} quota of class {quota.quota_class} is {quota.limit_vcpus} vCPUs: {wanted.ours_vcpus} are in use "
        f"or ordered here, {others} elsewhere in the account, and {wanted.instance_type} needs {wanted.vcpus} beside "
        f"them: raise the quota (Service Quotas, {wanted.code}), or end something"
    )
