"""The client API's capacity probes: what they may cost, what they cost today, and what they showed."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from spotguard.domain.probes import ProbeStatus
from spotguard.wire.client import Given, Moment, Taken, Usd

DailyUsd = Annotated[Decimal, Field(ge=0, lt=10_000, max_digits=10, decimal_places=6)]


class ProbeState(Given):
    """One look. `up`: whether the pool gave capacity, null while or where nobody knows; `usd`: what it costs of the
    day's budget; `because`: why it was bought.
    """

    id: str
    agent_id: str
    pool_id: str
    status: ProbeStatus
    up: bool | None
    usd_per_hour: Usd
    usd: Usd
    worth_usd: Usd
    because: str
    answer: str | None
    instance_id: str | None
    created_at: Moment
    completed_at: Moment | None


class Probes(Given):
    """`usdPerDay` 0: no launch is made only to look. `spentUsd`: since midnight UTC. The newest probes first."""

    usd_per_day: Usd
    spent_usd: Usd
    items: list[ProbeState]
    next_cursor: str | None


class ProbeBudget(Taken):
    """What probes may cost in a UTC day; 0 switches them off."""

    usd_per_day: DailyUsd
