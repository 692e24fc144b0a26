"""When a standby pays: what it costs, what it saves, and the value of a minute at which both meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spotguard.advice.figures import EBS_MONTH_HOURS, PolicyFigures
from spotguard.advice.interruptions import Basis, Interruptions
from spotguard.advice.offers import Offer
from spotguard.advice.wish import HOURS, Disks
from spotguard.domain.pools import Pool
from spotguard.engine.stakes import Stakes


@dataclass(frozen=True)
class StandbyWorth:
    """Beside the first recommended pool, in 30 days. `pool` None: on demand, since no second pool is recommended.

    It surely pays where a minute is worth more than `break_even_high_usd` (with the fewest interruptions told), surely
    not below `break_even_low_usd` (with the most); None: not told. With one interruption in 30 days both are
    `break_even_at_one_usd`, with n of them an n-th of it. `pays` None: not known, or between the two.
    """

    pool: Pool | None
    cost_usd: float
    minutes_saved: float  # at each interruption
    break_even_low_usd: float | None
    break_even_high_usd: float | None
    break_even_at_one_usd: float | None
    pays: bool | None
    because: str


def standby_worth(
    offers: Sequence[Offer],
    interruptions: Interruptions,
    stakes: Stakes,
    disks: Disks,
    measured: tuple[PolicyFigures, PolicyFigures] | None = None,
) -> StandbyWorth:
    """`measured`: the same workload without and with one, where interruptions were counted."""
    pool, usd = _place(offers, stakes.ondemand_usd)
    cost = HOURS * usd + disks.gib * float(disks.volume_usd_per_gib_month or 0) * HOURS / EBS_MONTH_HOURS
    saved = max(0.0, stakes.interruption_minutes - stakes.promotion_minutes)
    at_one = cost / saved if saved else None
    if measured is not None:
        return _measured(pool, saved, at_one, stakes, *measured)
    if at_one is None:
        because = "an interruption takes no longer without one"
        return StandbyWorth(pool, cost, saved, None, None, None, pays=False, because=because)
    low = at_one / interruptions.high if interruptions.high else None
    high = at_one / interruptions.low if interruptions.low else None
    pays = _pays(stakes.minute_usd, low, high)
    return StandbyWorth(pool, cost, saved, low, high, at_one, pays, _because(interruptions, saved))


def _pays(minute_usd: float, low: float | None, high: float | None) -> bool | None:
    if high is not None and minute_usd > high:
        return True
    if low is not None and minute_usd < low:
        return False
    return None


def _because(interruptions: Interruptions, saved: float) -> str:
    each = f"{saved:.2f} min saved at each interruption"
    if interruptions.basis is Basis.UNKNOWN:
        return f"{each}; how often there is one is not known"
    if interruptions.high is None:
        return f"{each}; {interruptions.low:.2f} or more in 30 days, by the advisor"
    return f"{each}; {interruptions.low:.2f} to {interruptions.high:.2f} in 30 days, by the advisor"


def _place(offers: Sequence[Offer], ondemand_usd: float) -> tuple[Pool | None, float]:
    """The cheapest of another zone, else another pool, else on demand."""
    priced = [
        (offer.pool, offer.usd_per_hour) for offer in offers if offer.recommended and offer.usd_per_hour
    ]
    if not priced:
        return None, ondemand_usd
    first = priced[0][0]
    others = [(pool, usd) for pool, usd in priced if pool != first]
    return min(others, key=lambda one: (one[0].az == first.az, one[1]), default=(None, ondemand_usd))


def _measured(
    pool: Pool | None,
    saved: float,
    at_one: float | None,
    stakes: Stakes,
    without: PolicyFigures,
    having: PolicyFigures,
) -> StandbyWorth:
    dearer = having.cost_usd.value - without.cost_usd.value
    minutes = without.minutes_down.value - having.minutes_down.value
    if minutes <= 0:
        because = "in the replay it saved no minute against automatic emergencies"
        return StandbyWorth(pool, dearer, saved, None, None, at_one, pays=False, because=because)
    least = max(0.0, dearer) / minutes
    because = (
        f"in the replay it saved {minutes:.1f} min down and cost {dearer:.2f} USD more in 30 days than automatic "
        "emergencies"
    )
    return StandbyWorth(pool, dearer, saved, least, least, at_one, stakes.minute_usd > least, because)
