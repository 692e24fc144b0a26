"""The transparent policy `rules-v1`: always present, decides while no learned model may (ruling B14).

It proposes; the guard-rails dispose. It reads from top to bottom: the first rule that applies wins. With the figures of
the age-hazard rule it weighs the expected saving, for as long as a pool is expected to stay up, against the move and
the risk; without them a pool is judged by its price and by what it did to us.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from spotguard.domain.decisions import Aim, PoolAssessment, Proposal
from spotguard.domain.ids import PoolId
from spotguard.domain.instances import Mode
from spotguard.domain.money import ZERO
from spotguard.domain.pools import Pool
from spotguard.engine.forecast import Figures

NAME = "rules-v1"

NEAR_ONDEMAND = Decimal("0.90")
"""A spot price from this share of on-demand on: what little it still saves does not pay for its interruptions."""

WELL_BELOW_ONDEMAND = Decimal("0.80")
"""What a pool may cost to be returned to or fled to: the gap to `NEAR_ONDEMAND` keeps it from going to and fro."""

UP_SECONDS = 3600.0  # a pool that has not refused or interrupted us for so long is up again


@dataclass(frozen=True)
class Situation:
    """One agent at the moment of a decision."""

    now: datetime
    mode: Mode
    present_pool: PoolId | None  # None: on demand
    present_usd: Decimal | None
    ondemand_usd: Decimal | None  # of its own type
    forced_stay: bool  # on demand by an emergency or an escape, not by a person's wish
    min_savings_percent: Decimal
    pools: Sequence[PoolAssessment]
    home: Pool  # its type and zone: where on-demand would be
    figures: Figures | None = None  # what the age-hazard rule expects of the best other pool


Rule = Callable[[Situation], Proposal | None]


def leave_a_pool_whose_price_nears_on_demand(s: Situation) -> Proposal | None:
    """For a much cheaper safe pool if there is one, else for on-demand as the last resort."""
    if s.mode is not Mode.SPOT or s.present_usd is None or s.ondemand_usd is None:
        return None
    if s.present_usd < NEAR_ONDEMAND * s.ondemand_usd:
        return None
    near = f"{s.present_pool} costs {_share(s.present_usd, s.ondemand_usd)} % of on-demand"
    pool = _best(s)
    if pool is not None and _price(pool) <= WELL_BELOW_ONDEMAND * s.ondemand_usd:
        return _to_pool(s, Aim.ESCAPE, pool, f"{near}; {pool.pool.id} costs {_price(pool)} USD/h")
    return _on_demand(
        s.present_usd, s.ondemand_usd, f"{near} and no safe pool is well below it: on demand until one is"
    )


def leave_a_pool_whose_risk_outweighs_its_saving(s: Situation) -> Proposal | None:
    """At this agent's value of a minute; for a safer pool that gains more, else for on-demand."""
    if s.mode is not Mode.SPOT or s.present_usd is None or s.ondemand_usd is None or s.figures is None:
        return None
    if s.figures.leave_usd <= 0:
        return None
    pool = _best(s)
    if pool is not None and s.figures.gain_usd > s.figures.leave_usd:
        return _to_pool(s, Aim.ESCAPE, pool, f"{s.present_pool} is likely to fall: {s.figures.sentence()}")
    because = (
        f"{s.present_pool} is likely to fall: on demand gains {s.figures.leave_usd:.4f} USD until it does"
    )
    return _on_demand(s.present_usd, s.ondemand_usd, because)


def return_to_spot_when_a_pool_is_worth_it(s: Situation) -> Proposal | None:
    if s.mode is not Mode.ONDEMAND or s.ondemand_usd is None:
        return None
    pool = _best(s)
    if pool is None or _price(pool) > WELL_BELOW_ONDEMAND * s.ondemand_usd:
        return None
    if s.present_usd is not None and _price(pool) >= s.present_usd:
        return None  # on demand in a smaller type than its own: a return would cost more
    if s.figures is not None and s.figures.gain_usd <= 0:
        return None
    aim = Aim.RECOVER if s.forced_stay else Aim.SAVE
    share = _share(_price(pool), s.ondemand_usd)
    return _to_pool(
        s, aim, pool, f"{pool.pool.id} {_record_of(pool)} and costs {share} % of on-demand{_figures(s)}"
    )


def move_to_a_cheaper_pool(s: Situation) -> Proposal | None:
    if s.mode is not Mode.SPOT or s.present_usd is None:
        return None
    pool = _best(s)
    if pool is None:
        return None
    saving = _saving(s.present_usd, _price(pool))
    if saving <= ZERO or saving < s.min_savings_percent:
        return None
    if s.figures is not None and s.figures.gain_usd <= 0:
        return None
    cheaper = f"{pool.pool.id} is {saving:.1f} % cheaper than {s.present_pool}{_figures(s)}"
    return _to_pool(s, Aim.SAVE, pool, cheaper)


RULES: tuple[Rule, ...] = (
    leave_a_pool_whose_price_nears_on_demand,
    leave_a_pool_whose_risk_outweighs_its_saving,
    return_to_spot_when_a_pool_is_worth_it,
    move_to_a_cheaper_pool,
)


def propose(situation: Situation) -> Proposal | None:
    """None: stay."""
    return next((proposal for rule in RULES if (proposal := rule(situation)) is not None), None)


def on_demand_instead(s: Situation, escape: Proposal, because: str) -> Proposal | None:
    """The next rung of an escape to a pool in which nothing may be launched; None for what only saves."""
    if escape.aim is not Aim.ESCAPE or escape.mode is Mode.ONDEMAND:
        return None
    if s.present_usd is None or s.ondemand_usd is None:
        return None
    return _on_demand(s.present_usd, s.ondemand_usd, f"{escape.because}, but {because}; on demand")


def why_stay(s: Situation) -> str:
    """The sentence of a decision to stay."""
    pool = _best(s) or _cheapest(s)
    if s.present_usd is None:
        return "the present price is not known: nothing can be compared"
    if pool is None:
        return f"no other allowed, priced and safe pool{_why_not_the_cheapest(s)}"
    saving = _saving(s.present_usd, _price(pool))
    none_is_fit = s.figures is not None and s.figures.pool is None
    figures = "" if none_is_fit else _figures(s)
    which = "best other allowed" if figures else "cheapest other" if none_is_fit else "cheapest other allowed"
    told = f"would save {saving:.1f} %" if saving >= 0 else f"costs {-saving:.1f} % more"
    return f"the {which} pool, {pool.pool.id}, {told}{_why_not_there(s, pool, saving)}{figures}"


def _why_not_there(s: Situation, pool: PoolAssessment, saving: Decimal) -> str:
    """Which condition of the rules above fails, as they ask them."""
    if saving <= ZERO:
        return ""
    if s.mode is Mode.SPOT and saving < s.min_savings_percent:
        return f", less than the minimum of {s.min_savings_percent} %"
    if s.mode is Mode.ONDEMAND and s.ondemand_usd and _price(pool) > WELL_BELOW_ONDEMAND * s.ondemand_usd:
        return f", and is not below {WELL_BELOW_ONDEMAND * 100:.0f} % of on-demand"
    if s.figures is None:
        return ""
    if s.figures.pool is not None:
        return ", which does not pay for the move and the interruptions"
    risk = "unknown" if pool.risk_6h is None else f"{100 * pool.risk_6h:.1f} % within 6 h"
    return f", but is above a limit of this agent's or not known well enough: its risk is {risk}"


def _figures(s: Situation) -> str:
    return "" if s.figures is None else f": {s.figures.sentence()}"


def _record_of(pool: PoolAssessment) -> str:
    if pool.up_seconds is None:
        return "has never refused or interrupted us"
    return f"has not refused or interrupted us for {pool.up_seconds / 3600:.1f} h"


def _why_not_the_cheapest(s: Situation) -> str:
    """Of those that would have to be allowed."""
    barred = [a for a in s.pools if not a.allowed and a.usd_per_hour is not None]
    best = min(barred, key=lambda a: (_price(a), a.pool.id), default=None)
    return "" if best is None else f"; of {best.pool.id}: {best.because}"


def _best(s: Situation) -> PoolAssessment | None:
    """The other pool that gains most by the figures; without any the cheapest."""
    if s.figures is None:
        return _cheapest(s)
    return next((a for a in s.pools if a.pool.id == s.figures.pool), None)


def _cheapest(s: Situation) -> PoolAssessment | None:
    """The cheapest other pool that is allowed, priced, not in quarantine and up for an hour."""
    fit = [
        a
        for a in s.pools
        if a.allowed
        and a.usd_per_hour is not None
        and a.quarantined_until is None
        and (a.up_seconds is None or a.up_seconds >= UP_SECONDS)
        and a.pool.id != s.present_pool
    ]
    return min(fit, key=lambda a: (_price(a), a.pool.id), default=None)


def _to_pool(s: Situation, aim: Aim, pool: PoolAssessment, because: str) -> Proposal:
    price = _price(pool)
    return Proposal(aim, Mode.SPOT, pool.pool, price, _saving(s.present_usd or price, price), because)


def _on_demand(present: Decimal, fixed: Decimal, because: str) -> Proposal:
    return Proposal(Aim.ESCAPE, Mode.ONDEMAND, None, fixed, _saving(present, fixed), because)


def _price(pool: PoolAssessment) -> Decimal:
    if pool.usd_per_hour is None:
        raise ValueError(f"{pool.pool.id} has no price")
    return pool.usd_per_hour


def _saving(present: Decimal, other: Decimal) -> Decimal:
    return ZERO if present <= 0 else (present - other) / present * 100


def _share(price: Decimal, of: Decimal) -> Decimal:
    return (price / of * 100).quantize(Decimal(1))
