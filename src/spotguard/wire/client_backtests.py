"""The client API's backtest: what one agent's last days would have cost under each policy."""

from __future__ import annotations

from datetime import date
from typing import Literal

from spotguard.wire.client import Given, Moment, Usd

PolicyName = Literal["on-demand", "reactive", "cheaper-5", "engine", "clairvoyant"]


class DayUsd(Given):
    """One calendar day (UTC)."""

    day: date
    usd: Usd


class PolicyCourse(Given):
    """One policy's bill. `savedPercentInterval`: the middle 95 of 100 draws of the days; null: too few days for it.

    `returns`: moves to spot from its start on demand; `moves`: all others.
    """

    policy: PolicyName
    usd: Usd
    saved_percent: float
    saved_percent_interval: tuple[float, float] | None
    moves: int
    returns: int
    down_seconds: float
    days: list[DayUsd]


class PoolLeftOut(Given):
    """A pool that was not replayed, and why."""

    pool_id: str
    because: str


class Backtest(Given):
    """What it would have saved, on prices that are known; `unknown`: what this replay does not know, in sentences."""

    agent_id: str
    since: Moment
    until: Moment
    on_demand_usd: Usd
    on_demand_usd_per_hour: Usd
    minute_usd: Usd
    pools: list[str]
    left_out: list[PoolLeftOut]
    policies: list[PolicyCourse]
    unknown: list[str]
