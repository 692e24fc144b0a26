"""Promises about prices."""

from __future__ import annotations

from datetime import datetime, timedelta

from spotguard.cloud.promises.stage import Stage, require
from spotguard.domain.money import ZERO


def _now(stage: Stage) -> datetime:
    """The provider's own time: that of something that it has just made."""
    volume = stage.cloud.create_volume(stage.token(), stage.home.az, 1, stage.tags)
    return stage.until(lambda: stage.cloud.describe_volumes([volume]), "a volume shows")[0].created_at


def spot_prices_are_changes_in_order_with_the_last_one_before(stage: Stage) -> None:
    since = _now(stage) - timedelta(minutes=30)
    changes = stage.cloud.spot_price_history(since, [stage.home.instance_type])
    require(bool(changes), "no prices")
    require({c.pool.instance_type for c in changes} == {stage.home.instance_type}, "other types too")
    require([c.at for c in changes] == sorted(c.at for c in changes), "not oldest first")
    require(len({(c.pool.id, c.at) for c in changes}) == len(changes), "a change told twice")
    require(all(c.usd_per_hour > ZERO for c in changes), "a price that is none")
    for pool in {c.pool.id for c in changes}:
        before = [c for c in changes if c.pool.id == pool and c.at < since]
        require(len(before) <= 1, f"{pool}: {len(before)} changes before the start")
    home = [c for c in changes if c.pool.id == stage.home.id]
    require(bool(home) and home[0].at <= since, "the price at the start is missing")


def on_demand_prices_are_known_by_type(stage: Stage) -> None:
    prices = stage.cloud.ondemand_prices()
    require(prices.get(stage.home.instance_type, ZERO) > ZERO, f"{len(prices)} prices, not this type's")


def storage_has_its_rates(stage: Stage) -> None:
    rates = stage.cloud.storage_rates()
    require(rates.volume_usd_per_gib_month > ZERO, "volumes cost nothing")
    require(rates.snapshot_usd_per_gib_month > ZERO, "snapshots cost nothing")


PROMISES = (
    spot_prices_are_changes_in_order_with_the_last_one_before,
    on_demand_prices_are_known_by_type,
    storage_has_its_rates,
)
