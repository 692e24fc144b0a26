"""The advice for an account as JSON and as text; the keys are those of docs/advise.md."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from spotguard.advice import words
from spotguard.advice.account import AccountAdvice, Listed
from spotguard.advice.advise import Advice
from spotguard.advice.text import columns, said
from spotguard.advice.told import told
from spotguard.domain.pools import region_of


def told_account(found: AccountAdvice) -> dict[str, Any]:
    """`workloads`: the whole advice of each type and region, by `TYPE.REGION`."""
    return {
        "advised_at": found.now,
        "regions": list(found.regions),
        "instances": len(found.ranked) + len(found.skipped),
        "expected_saving_usd_per_30d": found.saving_usd,
        "ranked": [_ranked(one, advice) for one in found.ranked if (advice := one.advice) is not None],
        "skipped": [_place(one) | {"because": one.because} for one in found.skipped],
        "not_looked_at": [{"region": region, "because": because} for region, because in found.unseen],
        "workloads": {f"{advice.instance_type}.{advice.region}": told(advice) for advice in found.workloads},
    }


def _place(one: Listed) -> dict[str, Any]:
    instance = one.instance
    return {
        "instance_id": instance.instance_id,
        "name": one.name,
        "instance_type": instance.instance_type,
        "region": region_of(instance.az),
        "az": instance.az,
    }


def _ranked(one: Listed, advice: Advice) -> dict[str, Any]:
    return {
        **_place(one),
        "plan": advice.plan.value,
        "because": advice.because,
        "expected_saving_usd_per_30d": one.saving_usd,
        "ondemand_usd_per_30d": told(advice)["ondemand_usd_per_30d"],
        "workload": f"{advice.instance_type}.{advice.region}",
    }


def lines(found: AccountAdvice) -> Iterator[str]:
    count = len(found.ranked) + len(found.skipped)
    yield (
        f"{count} running instances in {', '.join(found.regions)}: {words.usd(float(found.saving_usd))} USD "
        "are expected to be saved in 30 days"
    )
    yield ""
    if found.ranked:
        yield from columns(
            ("saved in 30 days", "instance", "name", "type", "zone", "advice"),
            [_row(one, advice) for one in found.ranked if (advice := one.advice) is not None],
            left=6,
        )
        yield ""
    for advice in found.workloads:
        yield from said("type", f"{advice.instance_type} in {advice.region}: {advice.because}")
    yield ""
    for because, alike in groupby(found.skipped, lambda one: one.because):
        yield from said("skipped", f"{because}:")
        yield from said("", ", ".join(_told(one) for one in alike))
    yield ""
    for region, because in found.unseen:
        yield from said("unseen", f"{region}: {because}")
    for remark in found.remarks:
        yield from said("note", remark)


def _told(one: Listed) -> str:
    name = f"{one.name}, " if one.name else ""
    return f"{one.instance.instance_id} ({name}{one.instance.instance_type})"


def _row(one: Listed, advice: Advice) -> tuple[str, ...]:
    instance = one.instance
    usd = words.usd(float(one.saving_usd))
    plan = words.PLAN[advice.plan]
    return usd.rjust(16), instance.instance_id, one.name, instance.instance_type, instance.az, plan
