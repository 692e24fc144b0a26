"""`spotguard bench decide`: how many decisions a second one core makes, each with risk, cost, guard-rails and figures.

Beside it, in the same run: a plain Python loop that has to give the same answers, and the bare kernel of the same shape
(dense float32 multiply-add, mask and argmin in numpy), which is what no program with more to say can reach.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from spotguard.engine import scoring
from spotguard.engine.hazard import RISK_HOURS, risk
from spotguard.engine.scoring import ON_DEMAND, Choices, Fleet, Market

PLAIN_AGENTS = 200  # the loop is slow: it answers for so many
REPEATS = 3  # the fastest counts: other processes only ever add
QUARANTINED, WITH_STANDBY, CAPPED, BARRED = 0.1, 0.2, 0.1, 0.3  # shares
ALIKE = 1e-9  # relative; exp and the order of sums differ in the last digits


def bench(agents: int, pools: int, seed: int) -> dict[str, Any]:
    """`answers_differ`: agents for which the loop and the array program disagree; more than 0 is a defect."""
    market, fleet = world(agents, pools, seed)
    choices = scoring.choose(market, fleet)
    fast = _seconds(lambda: scoring.choose(market, fleet))
    some = min(agents, PLAIN_AGENTS)
    plain: list[Answer] = []
    slow = _seconds(lambda: plain.extend(plain_choice(market, fleet, a) for a in range(some)), repeats=1)
    dense = _seconds(lambda: _dense(market, fleet))
    rate = agents / fast
    return {
        "agents": agents,
        "pools": pools,
        "decisions_per_second": round(rate),
        "plain_python_per_second": round(some / slow, 1),
        "plain_python_agents": some,
        "answers_differ": sum(
            bool(differences(choices, agent, answer)) for agent, answer in enumerate(plain)
        ),
        "dense_kernel_per_second": round(agents / dense),
        "share_of_dense_kernel": round(dense / fast, 3),
        "memory_bandwidth_share": round(rate * _bytes_of_one(pools, fleet) / _copied_per_second(), 4),
        "moves_proposed": int((choices.gain_usd > 0).sum()),
    }


def world(agents: int, pools: int, seed: int) -> tuple[Market, Fleet]:
    """A market with calm and stormy pools; agents of every profile, a third of whose pools are barred."""
    dice = np.random.default_rng(seed)
    price = dice.lognormal(-1.0, 0.5, pools)
    rate = 10 ** dice.uniform(-5, 0, pools)
    doubt = rate * dice.uniform(0.0, 2.0, pools)
    market = Market(price, rate, doubt, risk(rate, RISK_HOURS), dice.random(pools) < QUARANTINED)
    present = dice.integers(ON_DEMAND, pools, agents)
    ondemand = dice.lognormal(0.0, 0.3, agents)
    loss = dice.lognormal(0.0, 1.0, agents)
    paid = np.where(present == ON_DEMAND, ondemand, price[present])
    fleet = Fleet(
        present=present,
        present_usd=paid,
        ondemand_usd=ondemand,
        horizon_hours=dice.choice([24.0, 72.0, 168.0], agents),
        caution=dice.random(agents),
        interruption_usd=loss,
        downtime_usd=0.4 * loss,
        promotion_usd=0.7 * loss,
        standby_usd=np.where(dice.random(agents) < WITH_STANDBY, dice.lognormal(-1.0, 0.3, agents), np.inf),
        move_usd=0.56 * paid + dice.lognormal(-4.0, 1.0, agents),
        least_share=np.full(agents, 0.05),
        risk_limit=np.full(agents, 0.30),
        cap_usd=np.where(dice.random(agents) < CAPPED, 0.5, np.inf),
        barred=dice.random((agents, pools)) < BARRED,
    )
    return market, fleet


@dataclass(frozen=True)
class Answer:
    """The same figures as `Choices`, of one agent."""

    pool: int
    gain_usd: float
    expected_usd_per_hour: float
    expected_hours: float
    risk_6h: float
    leave_usd: float
    runner_up: int
    fit: int


def plain_choice(market: Market, fleet: Fleet, agent: int) -> Answer:
    """One agent, pool after pool, as one would write it down first."""
    loss, promotion = float(fleet.interruption_usd[agent]), float(fleet.promotion_usd[agent])
    standby, horizon = float(fleet.standby_usd[agent]), float(fleet.horizon_hours[agent])
    present, paid = int(fleet.present[agent]), float(fleet.present_usd[agent])
    move, caution = float(fleet.move_usd[agent]), float(fleet.caution[agent])
    most = min((1.0 - float(fleet.least_share[agent])) * paid, float(fleet.cap_usd[agent]))

    def cost(price: float, rate: float) -> float:
        return price + min(rate * loss, standby + rate * promotion)

    def hours(rate: float) -> float:
        careful = max(rate, scoring.LEAST_RATE)
        return -math.expm1(-careful * horizon) / careful

    here = float(market.rate_per_hour[present]) if present != ON_DEMAND else 0.0
    now = cost(paid, here) if present != ON_DEMAND else paid
    ranked: list[tuple[float, int]] = []
    for pool in range(len(market.usd_per_hour)):
        price, rate = float(market.usd_per_hour[pool]), float(market.rate_per_hour[pool])
        known = not (math.isnan(price) or math.isnan(rate))
        fit = known and price <= most and float(market.risk_6h[pool]) <= float(fleet.risk_limit[agent])
        if fit and pool != present and not market.closed[pool] and not fleet.barred[agent, pool]:
            doubt = caution * float(fleet.downtime_usd[agent]) * float(market.doubt_per_hour[pool])
            ranked.append(((now - cost(price, rate) - doubt) * hours(rate) - move, pool))
    order = sorted(ranked, key=lambda one: (-one[0], one[1]))
    leave = -math.inf
    if present != ON_DEMAND:
        minutes = float(fleet.downtime_usd[agent])
        staying = paid + min(here * minutes, standby + here * (promotion - (loss - minutes)))
        leave = (staying - float(fleet.ondemand_usd[agent])) * hours(here) - move
    if not order:
        return Answer(ON_DEMAND, -math.inf, math.nan, math.nan, math.nan, leave, ON_DEMAND, 0)
    gain, best = order[0]
    price, rate = float(market.usd_per_hour[best]), float(market.rate_per_hour[best])
    second = order[1][1] if len(order) > 1 else ON_DEMAND
    told = float(market.risk_6h[best])
    return Answer(best, gain, cost(price, rate), hours(rate), told, leave, second, len(order))


def differences(choices: Choices, agent: int, answer: Answer) -> list[str]:
    """Fields in which the array program says otherwise."""
    return [
        name
        for name, wanted in vars(answer).items()
        if not _is_alike(float(getattr(choices, name)[agent]), float(wanted))
    ]


def _is_alike(one: float, other: float) -> bool:
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return one == other or math.isclose(one, other, rel_tol=ALIKE, abs_tol=ALIKE)


def _dense(market: Market, fleet: Fleet) -> None:
    price, rate = market.usd_per_hour.astype(np.float32), market.rate_per_hour.astype(np.float32)
    loss = fleet.interruption_usd.astype(np.float32)
    for at in range(0, len(loss), scoring.BLOCK):
        rows = slice(at, at + scoring.BLOCK)
        cost = np.multiply.outer(loss[rows], rate)
        cost += price
        np.copyto(cost, np.float32(np.inf), where=fleet.barred[rows])
        cost.argmin(axis=1)


def _seconds(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Of one core: what the other processes of the machine take does not count."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


def _bytes_of_one(pools: int, fleet: Fleet) -> int:
    """What one decision has to fetch from or bring to memory: its row of bars, its inputs and its figures."""
    return pools + 8 * len(vars(fleet)) + 8 * len(Choices.__dataclass_fields__)


def _copied_per_second() -> float:
    """Bytes read and written a second by numpy's copy of 64 MiB, far beyond the caches of one core."""
    source = np.ones(8 << 20)
    target = np.empty_like(source)
    return 2 * source.nbytes / _seconds(lambda: np.copyto(target, source))
