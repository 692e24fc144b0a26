"""How figures are worded, in text and page alike."""

from __future__ import annotations

from spotguard.advice.advise import Advice
from spotguard.advice.figures import Estimate, PolicyFigures
from spotguard.advice.interruptions import Basis, Interruptions, band
from spotguard.advice.offers import Offer
from spotguard.advice.plans import Plan
from spotguard.advice.wish import Wish

PLAN = {
    Plan.ON_DEMAND: "stay on demand",
    Plan.AUTOMATIC: "spot, with automatic emergencies",
    Plan.STANDBY: "spot, with a manual standby",
}
_HOUR, _DAY = 3600.0, 86_400.0


def usd(value: float) -> str:
    """To the cent; there is no negative nought."""
    return f"{round(value, 2) + 0.0:,.2f}"


def sentence(text: str) -> str:
    """With a capital letter."""
    return text[:1].upper() + text[1:]


def between(told: Estimate) -> str:
    """The 95 % interval."""
    if told.low is None or told.high is None:
        return "no interval"
    return f"{usd(told.low)} to {usd(told.high)}"


def percent(value: float) -> str:
    return f"{round(100 * value, 1) + 0.0:.1f} %"


def count(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"


def span(seconds: float | None) -> str:
    """Of hours or days."""
    if seconds is None:
        return "unknown"
    return f"{seconds / _DAY:.1f} d" if seconds >= 2 * _DAY else f"{seconds / _HOUR:.1f} h"


def minute(wish: Wish, minute_usd: float) -> str:
    why = f"profile {wish.profile}" if wish.minute_usd is None else "as named"
    return f"a minute of downtime counts {minute_usd:.4f} USD ({why})"


def saving(advice: Advice) -> str:
    """Of the plan, or of what is left undone."""
    told = advice.saving
    would = "would save" if advice.plan is Plan.ON_DEMAND else "saves"
    return (
        f"{would} {usd(told.saving_usd.value)} USD in 30 days ({percent(told.saving_share.value)}); "
        f"95 %: {between(told.saving_usd)}"
    )


def against_plan(advice: Advice) -> str:
    told = advice.saving.plan_saving_usd
    discount = f"{100 * advice.wish.savings_plan:.0f} % off"
    return f"{told.value:+,.2f} USD against a 1-year Savings Plan ({discount}); 95 %: {between(told)}"


def begin(advice: Advice) -> str:
    """Where to go first, where the plan goes anywhere."""
    if advice.plan is Plan.ON_DEMAND or not advice.recommended:
        return ""
    return f" Begin in {advice.recommended[0].pool.id}."


def often(told: Interruptions) -> str:
    return _range(told.low, told.high, 2)


def interruptions(told: Interruptions) -> str:
    if told.basis is Basis.UNKNOWN:
        return f"unknown: {told.because}"
    minutes = _range(told.minutes_low, told.minutes_high, 1)
    return f"{often(told)} in 30 days, {minutes} minutes down: {told.because}"


def _range(low: float | None, high: float | None, digits: int) -> str:
    if low is None:
        return "unknown"
    if high is None:
        return f"{low:.{digits}f} or more"
    return f"{low:.{digits}f}" if low == high else f"{low:.{digits}f} to {high:.{digits}f}"


def standby(advice: Advice) -> str:
    told = advice.standby
    where = "on demand" if told.pool is None else f"in {told.pool.id}"
    return f"{where}: {usd(told.cost_usd)} USD in 30 days; {told.because}"


def break_even(advice: Advice) -> str:
    """When it pays."""
    told = advice.standby
    value = f"a minute counts {advice.minute_usd:.4f} here"
    if told.break_even_low_usd is not None and told.break_even_low_usd == told.break_even_high_usd:
        return f"pays where a minute is worth more than {usd(told.break_even_low_usd)} USD; {value}"
    known = [
        *(
            []
            if told.break_even_low_usd is None
            else [f"not below {usd(told.break_even_low_usd)} USD a minute"]
        ),
        *(
            []
            if told.break_even_high_usd is None
            else [f"surely above {usd(told.break_even_high_usd)} USD a minute"]
        ),
    ]
    if known:
        return f"pays {', '.join(known)}; {value}"
    if told.break_even_at_one_usd is None:
        return f"pays at no value of a minute; {value}"
    return (
        f"with n interruptions in 30 days it pays where a minute is worth more than "
        f"{usd(told.break_even_at_one_usd)} USD divided by n; {value}"
    )


def bucket(offer: Offer) -> str:
    """How often instances of its type are interrupted, or what was counted of it."""
    if offer.falls is not None and offer.up_share is not None:
        return f"up {percent(offer.up_share)}, fell {offer.falls:.1f} times in 30 days"
    return "unknown" if offer.bucket is None else f"{band(offer.bucket)} a month"


def steadiness(offer: Offer) -> str:
    if offer.low_usd is None or offer.high_usd is None:
        return "unknown"
    return f"{offer.low_usd:.4f}-{offer.high_usd:.4f}, {offer.changes:.0f} changes in 30 days"


def moves(figures: PolicyFigures) -> str:
    return f"{figures.moves:.2f}"


def replayed(advice: Advice) -> str:
    start, end = advice.span
    kind = advice.market.kind.value
    pools = advice.market.world.pools
    types = len({pool.instance_type for pool in pools})
    return (
        f"{advice.market.days:.1f} days of {kind}, {start:%Y-%m-%d} to {end:%Y-%m-%d}, {len(pools)} pools of "
        f"{types} {'type' if types == 1 else 'types'} ({advice.market.source})"
    )
