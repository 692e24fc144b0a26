"""What is known of each pool at the moment of a decision; unknown stays None."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from spotguard.domain.decisions import PoolAssessment
from spotguard.domain.ids import PoolId
from spotguard.domain.pools import Pool


@dataclass(frozen=True)
class PoolFacts:
    """One pool as the rows tell it. `struck_at`: when it last refused or interrupted us."""

    pool: Pool
    usd_per_hour: Decimal | None
    priced_at: datetime | None
    struck_at: datetime | None
    quarantined_until: datetime | None


@dataclass(frozen=True)
class Allowance:
    """Where a workload may run. Empty: only its own type; every zone of its region.

    `home_az`: the one zone in which its volume can go along, where nothing else syncs its state.
    """

    own_type: str
    types: tuple[str, ...]
    azs: tuple[str, ...]
    unfit: Mapping[str, str] = field(
        default_factory=dict
    )  # allowed types on which its machine would not run: why
    home_az: str | None = None

    def instance_types(self) -> tuple[str, ...]:
        return self.types or (self.own_type,)

    def why_not(self, pool: Pool) -> str | None:
        if pool.instance_type not in self.instance_types():
            return f"{pool.instance_type} is not among the allowed instance types"
        if pool.instance_type in self.unfit:
            return self.unfit[pool.instance_type]
        if self.azs and pool.az not in self.azs:
            return f"{pool.az} is not among the allowed zones"
        if self.home_az is not None and pool.az != self.home_az:
            return f"nothing syncs its state, whose volume goes along within {self.home_az} only"
        return None


def assess(
    facts: Sequence[PoolFacts],
    allowance: Allowance,
    now: datetime,
    risks: Mapping[PoolId, Decimal] | None = None,
) -> list[PoolAssessment]:
    """Cheapest first, pools without a price last. `risks` is what a model measured; rules-v1 has none."""
    assessed = [_assess_one(fact, allowance, now, (risks or {}).get(fact.pool.id)) for fact in facts]
    return sorted(assessed, key=lambda a: (a.usd_per_hour is None, a.usd_per_hour or 0, a.pool.id))


def _assess_one(fact: PoolFacts, allowance: Allowance, now: datetime, risk: Decimal | None) -> PoolAssessment:
    quarantined = (
        fact.quarantined_until
        if fact.quarantined_until is not None and fact.quarantined_until > now
        else None
    )
    refusal = allowance.why_not(fact.pool)
    return PoolAssessment(
        pool=fact.pool,
        usd_per_hour=fact.usd_per_hour,
        age_seconds=None if fact.priced_at is None else (now - fact.priced_at).total_seconds(),
        up_seconds=None if fact.struck_at is None else (now - fact.struck_at).total_seconds(),
        risk_6h=risk,
        quarantined_until=quarantined,
        allowed=refusal is None,
        because=refusal or _because(fact, quarantined),
    )


def _because(fact: PoolFacts, quarantined: datetime | None) -> str:
    if quarantined is not None:
        return f"in quarantine until {quarantined:%H:%M} UTC: it refused or interrupted us"
    if fact.usd_per_hour is None:
        return "no price within the last hour: never chosen"
    return "allowed"
