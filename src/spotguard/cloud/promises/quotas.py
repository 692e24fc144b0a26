"""Promises about vCPU quotas."""

from __future__ import annotations

from spotguard.cloud.promises.stage import Stage, require
from spotguard.domain.instances import Mode
from spotguard.market.instance_types import vcpus


def _used(stage: Stage) -> dict[Mode, int]:
    told = stage.cloud.vcpu_quotas([stage.home.instance_type])
    require({quota.mode for quota in told} == set(Mode), "not one quota for each market")
    require(all(quota.limit_vcpus > 0 for quota in told), "a quota that lets nothing run")
    return {quota.mode: quota.used_vcpus for quota in told}


def what_runs_is_counted_against_the_quota_of_its_market(stage: Stage) -> None:
    before = _used(stage)
    stage.running()
    after = _used(stage)
    need = vcpus(stage.home.instance_type)
    require(
        after[stage.mode] - before[stage.mode] >= need,  # in a real account others launch at the same time
        f"{before[stage.mode]} vCPUs before, {after[stage.mode]} with one of {need} more",
    )


def a_class_without_a_known_quota_is_left_out(stage: Stage) -> None:
    require(stage.cloud.vcpu_quotas(["hpc7g.16xlarge"]) == (), "a quota of a class that has several, or none")


PROMISES = (what_runs_is_counted_against_the_quota_of_its_market, a_class_without_a_known_quota_is_left_out)
