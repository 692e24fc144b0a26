"""What a workload's last days would have cost under other policies: asked with prices, answered with bills."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from spotguard.domain.agents import GuardRails
from spotguard.domain.pools import Pool


class ReplayPolicy(StrEnum):
    """Who decides. `clairvoyant` knows the future: nobody can do better."""

    ON_DEMAND = "on-demand"
    REACTIVE = "reactive"
    CHEAPER = "cheaper-5"
    ENGINE = "engine"
    CLAIRVOYANT = "clairvoyant"


@dataclass(frozen=True)
class PriceSteps:
    """One pool, ascending in time: from each time on the price in USD an hour holds; None: nothing is known."""

    pool: Pool
    steps: tuple[tuple[datetime, Decimal | None], ...]


@dataclass(frozen=True)
class ReplayQuestion:
    """One workload between two moments. `minute_usd`: what a minute of downtime is worth to its owner; `wait_seconds`:
    for how long the old instance is kept after a move.
    """

    home: Pool
    prices: tuple[PriceSteps, ...]
    ondemand_usd: Decimal
    since: datetime
    until: datetime
    rails: GuardRails
    minute_usd: float
    wait_seconds: float


@dataclass(frozen=True)
class LeftOut:
    """A pool that was not replayed, and why."""

    pool_id: str
    because: str


@dataclass(frozen=True)
class Course:
    """One policy. `days`: USD of each calendar day (UTC). `saved_percent` against on-demand, with what it would have
    been between (95 of 100 draws of the days) where there are enough days for it.
    """

    policy: ReplayPolicy
    usd: Decimal
    saved_percent: float
    interval: tuple[float, float] | None
    moves: int
    returns: int
    down_seconds: float
    days: tuple[tuple[date, Decimal], ...]


@dataclass(frozen=True)
class Replayed:
    """Between which moments prices were known, at which on-demand bill, and each policy's course.

    `held_hours`: pool-hours of a price that nobody confirmed: the last one was taken.
    """

    since: datetime
    until: datetime
    ondemand_usd: Decimal
    pools: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    held_hours: float
    courses: tuple[Course, ...]


class Replayer(Protocol):
    """Works an answer out, in bounded time and apart from whoever serves requests."""

    def __call__(self, question: ReplayQuestion, is_given_up: Callable[[], bool]) -> Replayed:
        """`Refused` when the prices do not suffice, or when it was given up or would take too long."""
        ...
