"""The age-hazard rule: how likely a pool is to fall within the next hours, by a few coefficients that people read.

A pool that was seen to fall is in weather: a logistic discrete-time hazard of its age, uptime, peers and the hour says
how soon it will fall again. A pool that was never seen to fall has a climate: the advisor's rate of its type, and what
was seen of it. The weather passes as the pool stays up. Rates are per hour and taken to hold from now on, which errs
to the careful side: measured hazards decrease with age.

Beside what is expected stands what is not excluded (`doubt_per_hour`): a pool that nobody knows, or that fell, has not
proved a longer life than the one that was watched.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from spotguard.domain.errors import InvalidInput
from spotguard.domain.pools import Pool
from spotguard.engine import features
from spotguard.engine.arrays import Flags, Floats
from spotguard.engine.records import PoolRecord, hours_up

HOURS_PER_MONTH = 720.0
RISK_HOURS = 6.0  # of the guard-rail on the probability of interruption
RULE_OF_THREE = 3.0  # Hanley and Lippman-Hand, JAMA 1983: none in n excludes more than 3/n
UNPROVEN_HOURS = 3.0  # granted to a pool that was not watched at all


@dataclass(frozen=True)
class Term:
    """`coefficient` × (value − `usual`); a value that is not known counts as usual."""

    name: str
    coefficient: float
    usual: float


@dataclass(frozen=True)
class Outlook:
    """Arrays over pools: interruptions per hour, and the probability of one within 6 h. `doubt_per_hour`: by how much
    the rate may be higher, for all that was watched. `type_fell`: whether it, or its type in another zone of its
    region, was seen to fall.
    """

    rate_per_hour: Floats
    risk_6h: Floats
    doubt_per_hour: Floats
    type_fell: Flags


@dataclass(frozen=True)
class AgeHazard:
    """`step_hours`: of the discrete-time hazard. `monthly`: share of instances interrupted per 720 h, by advisor bucket
    (0: below 5 % … 4: above 20 %), None: unknown bucket. `calm_months`: how much watching the climate's prior weighs.
    `storm_share`: of pools that nobody watched and no advisor tells of, how many are in weather all the same; the doubt
    goes as one is watched, by e in `calm_after_hours`.
    """

    name: str
    step_hours: float
    intercept: float
    terms: tuple[Term, ...]
    monthly: Mapping[int | None, float]
    calm_months: float
    fade_from_hours: float
    fade_hours: float
    storm_share: float
    calm_after_hours: float

    def outlook(
        self,
        pools: Sequence[Pool],
        records: Mapping[Pool, PoolRecord],
        now: datetime,
        buckets: Mapping[str, int] | None = None,
    ) -> Outlook:
        """For each pool, if it is up or a launch there succeeds now. `buckets`: by type."""
        weather = self.weather(features.of_pools(pools, records, now))
        told = [(records.get(pool), (buckets or {}).get(pool.instance_type)) for pool in pools]
        stormy = np.array([self._stormy(record, bucket, now) for record, bucket in told])
        climate = np.array([self._climate(record, bucket) for record, bucket in told])
        calm_risk, weather_risk = risk(climate, RISK_HOURS), risk(weather, RISK_HOURS)
        rate = np.maximum(climate, stormy * weather)
        of_type = _by_type(records)
        zones = [[record for other, record in of_type[_type_of(pool)] if other != pool] for pool in pools]
        lent = [_lent_hours(others) for others in zones]
        unproven = np.array([self._unproven(*one, hours, now) for one, hours in zip(told, lent, strict=True)])
        return Outlook(
            rate_per_hour=rate,
            risk_6h=np.maximum(calm_risk, stormy * weather_risk),
            doubt_per_hour=np.maximum(unproven - rate, 0.0),
            type_fell=np.array(
                [_has_fallen(record, others) for (record, _), others in zip(told, zones, strict=True)]
            ),
        )

    def weather(self, table: Floats) -> Floats:
        """Interruptions per hour of pools in weather, from rows of `features.NAMES`."""
        usual = np.array([term.usual for term in self.terms])
        weights = np.array([term.coefficient for term in self.terms])
        known = np.where(np.isnan(table), 0.0, table - usual)
        odds: Floats = np.log1p(np.exp(self.intercept + known @ weights)) / self.step_hours
        return odds

    def _stormy(self, record: PoolRecord | None, bucket: int | None, now: datetime) -> float:
        """How likely the pool is in weather: surely after a fall, less and less the longer it is up since."""
        if record is None or not record.flipped:
            watched_hours = 0.0 if record is None else record.proven_hours
            doubt = self.storm_share if bucket is None else 0.0
            return doubt * math.exp(-watched_hours / self.calm_after_hours)
        beyond = hours_up(record, now) - self.fade_from_hours
        return math.exp(-max(0.0, beyond) / self.fade_hours)

    def _unproven(
        self, record: PoolRecord | None, bucket: int | None, lent_hours: float, now: datetime
    ) -> float:
        """The rate that is not excluded by so many hours without a fall (rule of three: with 95 % confidence), nor by
        all that was ever seen; 0 where an advisor vouches for a type that was not seen to fall.
        """
        proven_hours = 0.0 if record is None else record.proven_hours
        if record is None or not record.flipped:
            of_its_type = RULE_OF_THREE / (proven_hours + lent_hours + UNPROVEN_HOURS)
            return 0.0 if bucket is not None else of_its_type
        of_its_age = RULE_OF_THREE / (proven_hours + UNPROVEN_HOURS)
        of_its_past = record.drops / (record.up_hours + UNPROVEN_HOURS)
        return self._stormy(record, bucket, now) * max(of_its_age, of_its_past)

    def _climate(self, record: PoolRecord | None, bucket: int | None) -> float:
        """Gamma prior of the bucket's rate, and what was seen since."""
        share = self.monthly.get(bucket, self.monthly[None])
        prior = -math.log1p(-share) / HOURS_PER_MONTH
        if record is None:
            return prior
        watched = self.calm_months * HOURS_PER_MONTH
        return (prior * watched + record.drops) / (watched + record.up_hours)


def _type_of(pool: Pool) -> tuple[str, str]:
    return pool.instance_type, pool.region


def _by_type(
    records: Mapping[Pool, PoolRecord],
) -> defaultdict[tuple[str, str], list[tuple[Pool, PoolRecord]]]:
    """The zones of each type, once for all pools of a market."""
    grouped: defaultdict[tuple[str, str], list[tuple[Pool, PoolRecord]]] = defaultdict(list)
    for pool, record in records.items():
        grouped[_type_of(pool)].append((pool, record))
    return grouped


def _lent_hours(zones: Sequence[PoolRecord]) -> float:
    """What the other zones of its type prove for it: weather is the type's, so that as long as none of them fell, an
    hour in any of them counts; once one did, each stands for itself.
    """
    return 0.0 if any(record.flipped for record in zones) else sum(record.proven_hours for record in zones)


def _has_fallen(record: PoolRecord | None, zones: Sequence[PoolRecord]) -> bool:
    return any(one.flipped for one in ([*zones] if record is None else [record, *zones]))


def risk(rates: Floats, hours: float) -> Floats:
    """Probability of at least one interruption within so many hours; NaN stays NaN."""
    share: Floats = -np.expm1(-rates * hours)
    return share


def parse(text: str) -> AgeHazard:
    """The rule in a coefficients file; `InvalidInput` for a broken one, or one with a number that is none."""
    try:
        told = json.loads(text)
        terms = tuple(
            Term(name, _number(told["terms"][name]["coefficient"]), _number(told["terms"][name]["usual"]))
            for name in features.NAMES
        )
        monthly: dict[int | None, float] = {
            None if key == "unknown" else int(key): _number(share) for key, share in told["monthly"].items()
        }
        rule = AgeHazard(
            name=str(told["name"]),
            step_hours=_number(told["step_seconds"]) / 3600,
            intercept=_number(told["intercept"]),
            terms=terms,
            monthly=monthly,
            calm_months=_number(told["calm_months"]),
            fade_from_hours=_number(told["fade_from_hours"]),
            fade_hours=_number(told["fade_hours"]),
            storm_share=_number(told["storm_share"]),
            calm_after_hours=_number(told["calm_after_hours"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"not a file of age-hazard coefficients: {error}") from error
    spans = (rule.step_hours, rule.fade_hours, rule.calm_months, rule.calm_after_hours)
    if min(spans) <= 0 or None not in monthly:
        raise InvalidInput("age-hazard coefficients: steps, fading and prior have to be positive")
    if not all(0 <= share < 1 for share in [*monthly.values(), rule.storm_share]):
        raise InvalidInput("age-hazard coefficients: shares lie between 0 and 1")
    return rule


def _number(told: object) -> float:
    if isinstance(told, bool) or not isinstance(told, int | float) or not math.isfinite(told):
        raise ValueError(f"{told!r} is no number")
    return float(told)
