"""From what is known of pools and agents to the arrays of `scoring`, and back to figures that explain a decision."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np

from spotguard.domain.decisions import PoolAssessment
from spotguard.domain.ids import PoolId
from spotguard.domain.pools import Pool
from spotguard.engine import scoring
from spotguard.engine.arrays import Floats
from spotguard.engine.hazard import Outlook
from spotguard.engine.records import REMEMBERED_HOURS
from spotguard.engine.stakes import HORIZON_HOURS, Stakes


@dataclass(frozen=True)
class Prospect:
    """One pool: interruptions per hour, probability of one within 6 h, by how much the rate may be higher; whether its
    type was seen to fall.
    """

    rate_per_hour: float
    risk_6h: float
    doubt_per_hour: float = 0.0
    type_fell: bool = True


CALM_RATE = (
    1e-3  # interruptions per hour; pools of calm markets have some 1e-5 to 1e-3, those of storms 1e-2 to 1
)
_UNKNOWN = Prospect(math.nan, math.nan)


@dataclass(frozen=True)
class Ask:
    """One agent that wants to know where it would best run. `present`: its spot pool, None on demand. `pools`: all that
    it knows; those not allowed, unpriced or in quarantine are never chosen. `standby_usd`: an hour of the standby that
    it would keep.
    """

    present: PoolId | None
    present_usd: Decimal | None
    pools: Sequence[PoolAssessment]
    stakes: Stakes
    least_saving_percent: Decimal = Decimal(0)
    risk_limit: Decimal = Decimal(1)
    cap_usd: Decimal | None = None
    standby_usd: float = math.inf


@dataclass(frozen=True)
class Figures:
    """What is expected of the best other pool (`pool`, None: no pool is fit) and of the alternatives, in USD.

    `gain_usd`: within the horizon, net of the move; `expected_usd_per_hour`: its price and what interruptions cost;
    `expected_hours` until it falls, at most the horizon; `leave_usd`: the gain of going on demand.
    """

    pool: PoolId | None
    gain_usd: float
    usd_per_hour: float
    expected_usd_per_hour: float
    expected_hours: float
    risk_6h: float
    present_usd_per_hour: float
    leave_usd: float
    runner_up: PoolId | None
    runner_up_gain_usd: float
    fit: int
    horizon_hours: float

    def told(self) -> dict[str, Any]:
        """As it is stored with a decision: what is not known or not there is None."""
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in vars(self).items()
        }

    def sentence(self) -> str:
        """For people: what the gain is made of."""
        told = (
            f"expected {self.expected_usd_per_hour:.4f} USD/h with its interruptions against "
            f"{self.present_usd_per_hour:.4f} here, {self.expected_hours:.1f} h up, "
            f"risk {100 * self.risk_6h:.1f} % in 6 h: "
            f"{self.gain_usd:+.4f} USD within {self.horizon_hours:.0f} h net of the move"
        )
        if self.runner_up is None:
            return told
        return f"{told}; next best {self.runner_up} ({self.runner_up_gain_usd:+.4f})"


def figures(asks: Sequence[Ask], prospects: Mapping[PoolId, Prospect]) -> list[Figures]:
    """For each ask. A pool without a rate, or one that is not finite, is never chosen (ruling B14)."""
    ids, market, fleet = arrays(asks, prospects)
    if not ids or not asks:
        return [_nothing(ask) for ask in asks]
    choices = scoring.choose(market, fleet)
    return [_figures(choices, row, ids, ask) for row, ask in enumerate(asks)]


def arrays(
    asks: Sequence[Ask], prospects: Mapping[PoolId, Prospect]
) -> tuple[list[PoolId], scoring.Market, scoring.Fleet]:
    """The pools that the asks know, in the order of the arrays' columns, and what `scoring` takes."""
    ids = sorted(
        {a.pool.id for ask in asks for a in ask.pools} | {ask.present for ask in asks if ask.present}
    )
    index = {pool_id: number for number, pool_id in enumerate(ids)}
    return ids, _market(asks, ids, prospects), _fleet(asks, index, prospects)


def has_refuge(present: PoolId, pools: Sequence[PoolAssessment], known: Mapping[PoolId, Prospect]) -> bool:
    """Whether a calm pool in the zone of the present one would take it in: its volume is there, and spot it stays."""
    zone = next((a.pool.az for a in pools if a.pool.id == present), None)
    return any(
        a.pool.az == zone
        and a.pool.id != present
        and a.allowed
        and a.usd_per_hour is not None
        and a.quarantined_until is None
        and known.get(a.pool.id, _UNKNOWN).rate_per_hour < CALM_RATE
        for a in pools
    )


def prospects(pools: Sequence[Pool], outlook: Outlook) -> dict[PoolId, Prospect]:
    columns = (outlook.rate_per_hour, outlook.risk_6h, outlook.doubt_per_hour, outlook.type_fell)
    rows = zip(pools, *(column.tolist() for column in columns), strict=True)
    return {pool.id: Prospect(*told) for pool, *told in rows}


def unwatched(
    known: Mapping[PoolId, Prospect], but_for: Collection[PoolId] = frozenset()
) -> dict[PoolId, Prospect]:
    """Where nobody looks at a pool only to look, waiting proves nothing: what is doubted is one interruption, after
    which the pool is known, and not one each hour. It counts once in the hours for which the pool is expected to last;
    of a type that was never seen to fall once in those for which the answer is remembered. `but_for`: pools that are
    watched, where who waits learns.
    """
    return {pool_id: told if pool_id in but_for else _asked_once(told) for pool_id, told in known.items()}


def _asked_once(told: Prospect) -> Prospect:
    return replace(told, doubt_per_hour=min(told.doubt_per_hour, 1 / _answered_hours(told)))


def _answered_hours(told: Prospect) -> float:
    if not told.type_fell:
        return REMEMBERED_HOURS
    careful = max(told.rate_per_hour, scoring.LEAST_RATE)
    return -math.expm1(-careful * HORIZON_HOURS) / careful


def with_risks(pools: Sequence[PoolAssessment], known: Mapping[PoolId, Prospect]) -> list[PoolAssessment]:
    """The probability of interruption within 6 h in each, as the guard-rails read it; none that is no number."""
    return [replace(a, risk_6h=risk(known.get(a.pool.id))) for a in pools]


def risk(prospect: Prospect | None) -> Decimal | None:
    """The probability of interruption within 6 h; None that is no number."""
    if prospect is None or not math.isfinite(prospect.risk_6h):
        return None
    return Decimal(f"{prospect.risk_6h:.6f}")


def _market(asks: Sequence[Ask], ids: list[PoolId], known: Mapping[PoolId, Prospect]) -> scoring.Market:
    usd: dict[PoolId, float] = {}
    closed: set[PoolId] = set()
    for ask in asks:
        for a in ask.pools:
            if a.usd_per_hour is not None:
                usd[a.pool.id] = float(a.usd_per_hour)
            if a.quarantined_until is not None:
                closed.add(a.pool.id)
    told = [known.get(pool_id, _UNKNOWN) for pool_id in ids]
    rate = np.array([prospect.rate_per_hour for prospect in told])
    return scoring.Market(
        usd_per_hour=np.array([usd.get(pool_id, math.nan) for pool_id in ids]),
        rate_per_hour=np.where(np.isfinite(rate), rate, np.nan),
        doubt_per_hour=np.array([prospect.doubt_per_hour for prospect in told]),
        risk_6h=np.array([prospect.risk_6h for prospect in told]),
        closed=np.array([pool_id in closed for pool_id in ids]),
    )


def _fleet(
    asks: Sequence[Ask], index: Mapping[PoolId, int], known: Mapping[PoolId, Prospect]
) -> scoring.Fleet:
    barred = np.ones((len(asks), len(index)), dtype=np.bool_)
    for row, ask in enumerate(asks):
        barred[row, [index[a.pool.id] for a in ask.pools if a.allowed]] = False

    def column(values: Sequence[float]) -> Floats:
        return np.array(values, dtype=np.float64)

    present = [math.nan if ask.present_usd is None else float(ask.present_usd) for ask in asks]
    strands = [ask.present is not None and not has_refuge(ask.present, ask.pools, known) for ask in asks]
    priced = list(zip(asks, present, strands, strict=True))
    return scoring.Fleet(
        present=np.array([scoring.ON_DEMAND if a.present is None else index[a.present] for a in asks]),
        present_usd=column(present),
        ondemand_usd=column([a.stakes.ondemand_usd for a in asks]),
        horizon_hours=column([a.stakes.horizon_hours for a in asks]),
        caution=column([a.stakes.caution() for a in asks]),
        interruption_usd=column(
            [a.stakes.interruption_usd(usd, strands=stranded) for a, usd, stranded in priced]
        ),
        downtime_usd=column([a.stakes.downtime_usd() for a in asks]),
        promotion_usd=column([a.stakes.promotion_usd(usd, strands=stranded) for a, usd, stranded in priced]),
        standby_usd=column([a.standby_usd for a in asks]),
        move_usd=column([a.stakes.move_usd(usd) for a, usd, _ in priced]),
        least_share=column([float(a.least_saving_percent) / 100 for a in asks]),
        risk_limit=column([float(a.risk_limit) for a in asks]),
        cap_usd=column([math.inf if a.cap_usd is None else float(a.cap_usd) for a in asks]),
        barred=barred,
    )


def _figures(choices: scoring.Choices, row: int, ids: list[PoolId], ask: Ask) -> Figures:
    def pool_of(number: int) -> PoolId | None:
        return None if number == scoring.ON_DEMAND else ids[number]

    return Figures(
        pool=pool_of(int(choices.pool[row])),
        gain_usd=float(choices.gain_usd[row]),
        usd_per_hour=float(choices.usd_per_hour[row]),
        expected_usd_per_hour=float(choices.expected_usd_per_hour[row]),
        expected_hours=float(choices.expected_hours[row]),
        risk_6h=float(choices.risk_6h[row]),
        present_usd_per_hour=float(choices.present_usd_per_hour[row]),
        leave_usd=float(choices.leave_usd[row]),
        runner_up=pool_of(int(choices.runner_up[row])),
        runner_up_gain_usd=float(choices.runner_up_gain_usd[row]),
        fit=int(choices.fit[row]),
        horizon_hours=ask.stakes.horizon_hours,
    )


def _nothing(ask: Ask) -> Figures:
    nan, none = math.nan, -math.inf
    return Figures(None, none, nan, nan, nan, nan, nan, none, None, none, 0, ask.stakes.horizon_hours)
