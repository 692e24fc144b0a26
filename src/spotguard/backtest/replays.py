"""One workload's last days under each policy: the simulator on the prices that its own database knows.

Nothing is known of availability there: every pool is up always, and nobody is interrupted.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np

from spotguard.backtest.account import Outcome
from spotguard.backtest.baselines import BASELINES
from spotguard.backtest.clairvoyant import optimum
from spotguard.backtest.engine import Engine
from spotguard.backtest.figures import Dice, days_of, interval
from spotguard.backtest.physics import DAY, HOUR, Physics
from spotguard.backtest.policy import Floats, Policy
from spotguard.backtest.simulator import run
from spotguard.backtest.world import Life, World
from spotguard.domain.agents import GuardRails
from spotguard.domain.errors import Refused
from spotguard.domain.money import PRICE_STEP
from spotguard.ports.replay import Course, LeftOut, PriceSteps, Replayed, ReplayPolicy, ReplayQuestion

RIVALS = (ReplayPolicy.ON_DEMAND, ReplayPolicy.REACTIVE, ReplayPolicy.CHEAPER)
LEAST_KNOWN = 0.9  # of the time: a pool whose price is known for less would be judged by guesses
LEAST_SECONDS = DAY
DAYS_FOR_INTERVAL = 5
SEED = 1


class OwnRails(Engine):
    """The engine within one workload's own guard-rails."""

    def __init__(self, rails: GuardRails, wait_hours: float) -> None:
        super().__init__(wait_hours=wait_hours)
        self._rails = rails


def replayed(question: ReplayQuestion) -> Replayed:
    """Every policy over the whole span. `Refused` when no pool's price is known for a day."""
    start, end = _span(question)
    fit, left_out = _fit(question.prices, start, end)
    if not fit:
        raise Refused(f"no pool's price is known for {LEAST_KNOWN:.0%} of this time: nothing can be replayed")
    world = _world(question, fit, start, end)
    physics = Physics(terminate_wait=question.wait_seconds)
    outcomes = {
        name: run(world, policy, physics, start, end, question.minute_usd)
        for name, policy in _policies(question).items()
    }
    outcomes[ReplayPolicy.CLAIRVOYANT] = optimum(world, physics, start, end)
    return Replayed(
        since=datetime.fromtimestamp(start, UTC),
        until=question.until,
        ondemand_usd=_usd(world.ondemand_usd * (end - start) / HOUR),
        pools=tuple(one.pool.id for one in fit),
        left_out=tuple(left_out),
        held_hours=sum(_unknown_seconds(one, start, end) for one in fit) / HOUR,
        courses=tuple(_course(name, outcome) for name, outcome in outcomes.items()),
    )


def _policies(question: ReplayQuestion) -> dict[ReplayPolicy, Policy]:
    own = OwnRails(question.rails, question.wait_seconds / HOUR)
    rivals: dict[ReplayPolicy, Policy] = {name: BASELINES[name.value]() for name in RIVALS}
    return {**rivals, ReplayPolicy.ENGINE: own}


def _span(question: ReplayQuestion) -> tuple[float, float]:
    """From when any price is known on."""
    known = [at for one in question.prices for at, usd in one.steps if usd is not None]
    end = question.until.timestamp()
    start = max(question.since, min(known)).timestamp() if known else end
    if end - start < LEAST_SECONDS:
        raise Refused("the prices of this agent's pools are known for less than a day: ask again tomorrow")
    return start, end


def _fit(prices: Sequence[PriceSteps], start: float, end: float) -> tuple[list[PriceSteps], list[LeftOut]]:
    fit: list[PriceSteps] = []
    left: list[LeftOut] = []
    for one in prices:
        share = 1 - _unknown_seconds(one, start, end) / (end - start)
        if share >= LEAST_KNOWN:
            fit.append(one)
        else:
            left.append(LeftOut(one.pool.id, f"its price is known for {share:.0%} of this time"))
    return fit, left


def _unknown_seconds(one: PriceSteps, start: float, end: float) -> float:
    moments = [max(start, at.timestamp()) for at, _ in one.steps]
    ends = [*moments[1:], end]
    known = sum(
        until - since
        for since, until, (_, usd) in zip(moments, ends, one.steps, strict=True)
        if usd is not None
    )
    return end - start - known


def _world(question: ReplayQuestion, fit: Sequence[PriceSteps], start: float, end: float) -> World:
    """A price that nobody confirmed is taken to hold: a pool in which the workload runs is never free of charge."""
    changes = [[(at.timestamp(), float(usd)) for at, usd in one.steps if usd is not None] for one in fit]
    ticks = np.unique(np.array([start, *(at for change in changes for at, _ in change)]))
    return World(
        home=question.home,
        pools=tuple(one.pool for one in fit),
        ondemand_usd=float(question.ondemand_usd),
        ticks=ticks,
        usd=np.stack([_held(ticks, change) for change in changes], axis=1),
        lives=(Life(),) * len(fit),
        span=(start, end),
    )


def _held(ticks: Floats, change: Sequence[tuple[float, float]]) -> Floats:
    """NaN before the first: there nobody can launch."""
    seconds, usd = np.array([at for at, _ in change]), np.array([price for _, price in change])
    at = np.searchsorted(seconds, ticks, "right") - 1
    return np.where(at < 0, np.nan, usd[np.maximum(at, 0)])


def _course(name: ReplayPolicy, outcome: Outcome) -> Course:
    days = days_of([outcome], weight=0.0)
    drawn = None
    if len(days.j) >= DAYS_FOR_INTERVAL:
        low, high = interval(Dice(len(days.j), SEED).means(days))
        drawn = (_percent(high), _percent(low))
    first = outcome.first_day
    return Course(
        policy=name,
        usd=_usd(float(outcome.cost_usd.sum())),
        saved_percent=_percent(outcome.cost_ratio),
        interval=drawn,
        moves=outcome.moves,
        returns=outcome.returns,
        down_seconds=float(outcome.down_seconds.sum()),
        days=tuple((_day(first + n), _usd(usd)) for n, usd in enumerate(outcome.cost_usd.tolist())),
    )


def _percent(cost_ratio: float) -> float:
    return round(100 * (1 - cost_ratio), 2)


def _day(number: int) -> date:
    return datetime.fromtimestamp(number * DAY, UTC).date()


def _usd(amount: float) -> Decimal:
    return Decimal(repr(amount)).quantize(PRICE_STEP)
