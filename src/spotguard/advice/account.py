"""Every instance of an account, ranked by what its plan is expected to save; read-only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache

from spotguard.advice import remarks
from spotguard.advice.advise import Advice, advise
from spotguard.advice.market import Market
from spotguard.advice.movable import why_not
from spotguard.advice.wish import Wish
from spotguard.domain.errors import InvalidInput
from spotguard.domain.money import ZERO
from spotguard.domain.pools import region_of
from spotguard.planning.compatibility import TypeFacts
from spotguard.planning.eligibility.facts import Instance
from spotguard.planning.findings import Unseen

NAME_TAG = "Name"


@dataclass(frozen=True)
class Looked:
    """What one region of an account showed: running instances, and facts of their types by name."""

    region: str
    instances: tuple[Instance, ...] | Unseen
    types: Mapping[str, TypeFacts] | Unseen


@dataclass(frozen=True)
class Listed:
    """One instance with the advice for its type, or with the reason why there is none."""

    instance: Instance
    advice: Advice | None
    because: str

    @property
    def name(self) -> str:
        return self.instance.tags.get(NAME_TAG, "")

    @property
    def saving_usd(self) -> Decimal:
        """In 30 days."""
        return ZERO if self.advice is None else self.advice.expected_saving_usd


@dataclass(frozen=True)
class AccountAdvice:
    """`ranked`: highest expected saving first. `skipped`: by reason. `unseen`: regions that did not answer, and why."""

    now: datetime
    wish: Wish
    regions: tuple[str, ...]
    ranked: tuple[Listed, ...]
    skipped: tuple[Listed, ...]
    unseen: tuple[tuple[str, str], ...]

    @property
    def saving_usd(self) -> Decimal:
        """In 30 days, of all together."""
        return sum((one.saving_usd for one in self.ranked), ZERO)

    @property
    def workloads(self) -> tuple[Advice, ...]:
        """One for each type and region, in the order of the ranking."""
        found = {(a.region, a.instance_type): a for one in self.ranked if (a := one.advice) is not None}
        return tuple(found.values())

    @property
    def remarks(self) -> tuple[str, ...]:
        """Of all its workloads."""
        return remarks.of_several((advice.offered_by, advice.remarks) for advice in self.workloads)


FindMarket = Callable[[str, str], Market]  # (region, type); `InvalidInput` says why there is none


def advise_account(
    looked: Sequence[Looked], market: FindMarket, wish: Wish, now: datetime, told: Callable[[], None]
) -> AccountAdvice:
    """The same type is weighed once for each region. `told` is called for each instance."""

    @cache
    def weigh(region: str, instance_type: str) -> Advice | str:
        return _weighed(region, instance_type, market, wish, now)

    def listed_one(instance: Instance, place: Looked) -> Listed:
        told()
        return _listed(instance, place, weigh)

    listed = [
        listed_one(instance, place)
        for place in looked
        if not isinstance(place.instances, Unseen)
        for instance in place.instances
    ]
    ranked = [one for one in listed if one.advice is not None]
    skipped = [one for one in listed if one.advice is None]
    return AccountAdvice(
        now=now,
        wish=wish,
        regions=tuple(place.region for place in looked),
        ranked=tuple(sorted(ranked, key=lambda one: (-one.saving_usd, one.instance.instance_id))),
        skipped=tuple(sorted(skipped, key=lambda one: (one.because, one.instance.instance_id))),
        unseen=tuple(
            (place.region, place.instances.because) for place in looked if isinstance(place.instances, Unseen)
        ),
    )


def _listed(instance: Instance, place: Looked, weigh: Callable[[str, str], Advice | str]) -> Listed:
    against = why_not(instance, _facts(instance, place))
    if against is not None:
        return Listed(instance, None, against)
    found = weigh(region_of(instance.az), instance.instance_type)
    return Listed(instance, None, found) if isinstance(found, str) else Listed(instance, found, found.because)


def _facts(instance: Instance, place: Looked) -> TypeFacts | Unseen:
    if isinstance(place.types, Unseen):
        return place.types
    return place.types.get(instance.instance_type) or Unseen("EC2 tells nothing of its type")


def _weighed(region: str, instance_type: str, market: FindMarket, wish: Wish, now: datetime) -> Advice | str:
    try:
        return advise(market(region, instance_type), wish, now, few=True)
    except InvalidInput as error:
        return str(error)
