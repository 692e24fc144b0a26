"""An advice as JSON: snake_case, units in the names, money as decimals; the keys are those of docs/advise.md."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from spotguard.advice.advise import Advice
from spotguard.advice.figures import Estimate, PolicyFigures
from spotguard.advice.interruptions import Interruptions
from spotguard.advice.offers import Offer
from spotguard.advice.standby_worth import StandbyWorth


def told(advice: Advice) -> dict[str, Any]:
    start, end = advice.span
    return {
        "instance_type": advice.instance_type,
        "region": advice.region,
        "advised_at": advice.now,
        "plan": advice.plan.value,
        "because": advice.because,
        "expected_saving_usd_per_30d": advice.expected_saving_usd,
        "ondemand_usd_per_hour": _price(advice.ondemand_usd_per_hour),
        "ondemand_usd_per_30d": _usd(advice.ondemand_usd),
        "savings_plan_discount": advice.wish.savings_plan,
        "savings_plan_usd_per_30d": _usd(advice.savings_plan_usd),
        "profile": None if advice.wish.minute_usd is not None else advice.wish.profile.value,
        "minute_value_usd": _price(advice.minute_usd),
        "terminate_wait_seconds": advice.wish.physics.terminate_wait,
        "seed": advice.wish.seed,
        "replayed": {
            "kind": advice.market.kind.value,
            "source": advice.market.source,
            "from": start,
            "until": end,
            "days": round(advice.market.days, 3),
            "pools": len(advice.market.world.pools),
        },
        "interruptions": _interruptions(advice.interruptions),
        "pays_below_interruptions_per_30d": _rounded(advice.most_interruptions),
        "standby": _standby(advice.standby),
        "pools": [_offer(offer) for offer in advice.offers],
        "policies": {figures.name: _policy(figures) for figures in advice.policies},
        "remarks": list(advice.remarks),
    }


def _policy(figures: PolicyFigures) -> dict[str, Any]:
    return {
        "what": figures.what,
        **_estimate("cost_usd_per_30d", figures.cost_usd),
        **_estimate("saving_usd_per_30d", figures.saving_usd),
        **_shares("saving_share", figures.saving_share),
        **_estimate("saving_against_savings_plan_usd_per_30d", figures.plan_saving_usd),
        **_estimate("saving_net_of_downtime_usd_per_30d", figures.net_usd),
        "moves_per_30d": _rounded(figures.moves),
        "returns_to_spot_per_30d": _rounded(figures.returns),
        "interruptions_per_30d": _rounded(figures.interruptions),
        **_shares("minutes_down_per_30d", figures.minutes_down),
        "worst_recovery_seconds": _rounded(figures.worst_recovery_seconds),
        "standby_usd_per_30d": _usd(figures.standby_usd),
        "disks_usd_per_30d": _usd(figures.disks_usd),
    }


def _interruptions(told: Interruptions) -> dict[str, Any]:
    return {
        "basis": told.basis.value,
        "per_30d_low": _rounded(told.low),
        "per_30d_high": _rounded(told.high),
        "minutes_down_per_30d_low": _rounded(told.minutes_low),
        "minutes_down_per_30d_high": _rounded(told.minutes_high),
        "because": told.because,
    }


def _standby(told: StandbyWorth) -> dict[str, Any]:
    return {
        "pool": None if told.pool is None else told.pool.id,
        "cost_usd_per_30d": _usd(told.cost_usd),
        "minutes_saved_per_interruption": _rounded(told.minutes_saved),
        "pays_not_below_minute_value_usd": _maybe_usd(told.break_even_low_usd),
        "pays_above_minute_value_usd": _maybe_usd(told.break_even_high_usd),
        "break_even_minute_value_usd_at_one_interruption_per_30d": _maybe_usd(told.break_even_at_one_usd),
        "pays": told.pays,
        "because": told.because,
    }


def _offer(offer: Offer) -> dict[str, Any]:
    return {
        "pool": offer.pool.id,
        "instance_type": offer.pool.instance_type,
        "az": offer.pool.az,
        "recommended": offer.recommended,
        "because": offer.because,
        "usd_per_hour": _maybe_price(offer.usd_per_hour),
        "ondemand_share": _rounded(offer.ondemand_share),
        "price_held_seconds": _rounded(offer.held_seconds),
        "lowest_usd_per_hour_last_30d": _maybe_price(offer.low_usd),
        "highest_usd_per_hour_last_30d": _maybe_price(offer.high_usd),
        "price_changes_per_30d": _rounded(offer.changes),
        "advisor_bucket": offer.bucket,
        "up_share": _rounded(offer.up_share),
        "falls_per_30d": _rounded(offer.falls),
    }


def _estimate(name: str, figure: Estimate) -> dict[str, Any]:
    interval = None if figure.low is None or figure.high is None else [_usd(figure.low), _usd(figure.high)]
    return {name: _usd(figure.value), f"{name}_interval": interval}


def _shares(name: str, figure: Estimate) -> dict[str, Any]:
    interval = None if figure.low is None else [_rounded(figure.low), _rounded(figure.high)]
    return {name: _rounded(figure.value), f"{name}_interval": interval}


def _usd(value: float) -> Decimal:
    return Decimal(f"{value:.2f}") + 0  # no negative nought


def _price(value: float) -> Decimal:
    return Decimal(f"{value:.6f}")


def _maybe_usd(value: float | None) -> Decimal | None:
    return None if value is None else _usd(value)


def _maybe_price(value: float | None) -> Decimal | None:
    return None if value is None else _price(value)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6) + 0.0
