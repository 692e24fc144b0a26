"""What each policy would have done with this workload, from the first moment that the files tell of to their last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from spotguard.advice.market import Kind, Market
from spotguard.advice.policies import Hourly, Standing
from spotguard.advice.wish import Wish
from spotguard.backtest.account import Outcome
from spotguard.backtest.alarm import Alarm
from spotguard.backtest.clairvoyant import optimum
from spotguard.backtest.physics import HOUR
from spotguard.backtest.policy import Policies, Stay
from spotguard.backtest.registry import policies
from spotguard.backtest.simulator import Run

ON_DEMAND, AUTOMATIC, STANDBY, CLAIRVOYANT = "on-demand", "engine", "manual-standby", "clairvoyant"
_STAYS = "reactive"  # never moves for a price: what a person does who launched once

WHAT: dict[str, str] = {
    ON_DEMAND: "never moves",
    AUTOMATIC: "SpotGuard's own decisions under its guard-rails",
    STANDBY: "the cheapest pool once, a standby always kept, nothing moves for a price",
    _STAYS: "the cheapest pool once, launched anew when interrupted",
    "cheaper-5": "moves whenever another pool is 5 % cheaper",
    "price-capacity": "the advisor's calm types, then the cheapest; moves only when interrupted",
    "uptime-24h": "moves to the zone that was up most, by probes",
    CLAIRVOYANT: "knows the future: nobody can do better",
}
"""The policies that are replayed, in the order in which they are shown. SpotBench has more (docs/engine.md)."""

_ONLY_IN_A_STORM = frozenset({"uptime-24h"})  # in files of prices every pool is up
FEW = (AUTOMATIC, STANDBY)


@dataclass(frozen=True)
class Replayed:
    """One policy from end to end. `stays`: where its spot instance ran; between them it was on demand."""

    name: str
    outcome: Outcome
    stays: tuple[Stay, ...]


def names_for(market: Market, *, few: bool = False) -> tuple[str, ...]:
    if few:
        return FEW
    storm = market.kind is Kind.AVAILABILITY
    advised = bool(market.world.advisor)
    left_out = (frozenset() if storm else _ONLY_IN_A_STORM) | (
        frozenset() if advised else frozenset({"price-capacity"})
    )
    return tuple(name for name in WHAT if name not in left_out)


def replay(market: Market, wish: Wish, names: Sequence[str], told: Callable[[], None]) -> dict[str, Replayed]:
    """`told` is called after each policy."""
    world, (start, end) = market.world, market.world.span
    minute_usd, alarm = wish.minute_value(world.ondemand_usd), Alarm(market.world)
    made = _made(wish, hourly=market.kind is Kind.PRICES)
    found: dict[str, Replayed] = {}
    for name in names:
        if name == CLAIRVOYANT:
            found[name] = Replayed(name, optimum(world, wish.physics, start, end), ())
        else:
            run = Run(world, made[name](), wish.physics, start, end, minute_usd, alarm)
            found[name] = Replayed(name, run.outcome(), tuple(run.memory.stays))
        told()
    return found


def _made(wish: Wish, *, hourly: bool) -> Policies:
    known = policies(
        [name for name in WHAT if name not in (STANDBY, CLAIRVOYANT)], wish.physics.terminate_wait / HOUR
    )
    engine, stays = known[AUTOMATIC], known[_STAYS]
    return {
        **known,
        AUTOMATIC: (lambda: Hourly(engine())) if hourly else engine,
        STANDBY: lambda: Standing(stays()),
    }
