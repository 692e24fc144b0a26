"""Whether a tenant's budget buys a look at a pool now, and at which one. What a look is worth the engine says.

A probe is the least of all launches: it waits for whatever else there is, and takes nobody's place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from spotguard.domain.agents import KillLevel
from spotguard.domain.ids import AgentId, PoolId
from spotguard.domain.money import SECONDS_PER_HOUR
from spotguard.domain.pools import Pool
from spotguard.planning.metering import LEAST_SECONDS, USD_STEP

SAME_POOL_AFTER = timedelta(minutes=5)
ANSWERED_WITHIN = timedelta(minutes=2)
"""A launch that EC2 has not answered by then is given up: the moment that was to be known is over."""

CLEARED_WITHIN = timedelta(minutes=15)
FRUITLESS_PAUSE = timedelta(
    hours=1
)  # after a quota, a missing permission, no answer: the next would meet the same


@dataclass(frozen=True)
class Lookable:
    """A pool to look at, for the agent that gains most by knowing it. `worth_usd`: of all agents that could go there.

    `seen_at`: by any launch, None: never; `due_at`: when the engine wants to look again, None: it was never seen.
    `no_room`: why a cap or a quota has no room for it and a real launch beside it.
    """

    pool: Pool
    agent_id: AgentId
    usd_per_hour: Decimal | None
    worth_usd: float
    seen_at: datetime | None = None
    due_at: datetime | None = None
    no_room: str | None = None


@dataclass(frozen=True)
class ProbeFacts:
    """One tenant. `spent_usd`: by the probes of this UTC day, open ones included. `frozen`, `busy`: why voluntary
    action is frozen, who else is launching; None: nobody. `fruitless`: why the last one told nothing of its pool, not
    long ago. `looks_to_prove`: how many it takes to know a pool.
    """

    now: datetime
    usd_per_day: Decimal
    spent_usd: Decimal
    kill: KillLevel
    frozen: str | None
    busy: str | None
    throttled: bool
    is_open: bool
    fruitless: str | None
    looks_to_prove: float
    pools: Sequence[Lookable]


@dataclass(frozen=True)
class LaunchProbe:
    """A look is bought."""

    target: Lookable
    usd_per_hour: Decimal
    because: str

    @property
    def usd(self) -> Decimal:
        return cost(self.usd_per_hour)


@dataclass(frozen=True)
class NoProbe:
    """Nothing is launched."""

    because: str


Rule = Callable[[ProbeFacts], str | None]
PoolRule = Callable[[ProbeFacts, Lookable], str | None]


def cost(usd_per_hour: Decimal, seconds: Decimal | int = LEAST_SECONDS) -> Decimal:
    """What a probe of so many seconds is billed: a minute at least (EC2 pricing pages, per-second billing)."""
    return (max(Decimal(seconds), Decimal(LEAST_SECONDS)) * usd_per_hour / SECONDS_PER_HOUR).quantize(
        USD_STEP
    )


def watchable(
    priced: Iterable[tuple[Pool, Decimal | None]], usd_per_day: Decimal, looks_a_day: float
) -> set[PoolId]:
    """Pools that a budget pays so many looks a day at, each for itself."""
    looks = Decimal(str(looks_a_day))
    return {PoolId(pool.id) for pool, usd in priced if usd is not None and looks * cost(usd) <= usd_per_day}


def there_is_a_budget(facts: ProbeFacts) -> str | None:
    return None if facts.usd_per_day > 0 else "probes are off: their budget is 0 USD a day"


def the_kill_switch_is_off(facts: ProbeFacts) -> str | None:
    if facts.kill is KillLevel.NONE:
        return None
    return f"the kill switch stands at {facts.kill.name.lower()}"


def nothing_is_frozen(facts: ProbeFacts) -> str | None:
    return facts.frozen


def nobody_else_is_launching(facts: ProbeFacts) -> str | None:
    return facts.busy


def ec2_does_not_throttle(facts: ProbeFacts) -> str | None:
    return "EC2 throttles: what it still takes is left to real launches" if facts.throttled else None


def no_other_is_under_way(facts: ProbeFacts) -> str | None:
    return "another probe is under way" if facts.is_open else None


def the_last_one_told_something(facts: ProbeFacts) -> str | None:
    if facts.fruitless is None:
        return None
    return f"the last probe told nothing of its pool, and is not repeated within the hour: {facts.fruitless}"


def its_price_is_known(_facts: ProbeFacts, target: Lookable) -> str | None:
    return "its price is not known" if target.usd_per_hour is None else None


def the_budget_has_room(facts: ProbeFacts, target: Lookable) -> str | None:
    usd = cost(target.usd_per_hour or Decimal(0))
    left = facts.usd_per_day - facts.spent_usd
    if usd <= left:
        return None
    return f"a look costs {usd.normalize():f} USD, and of today's budget {max(left, Decimal(0)).normalize():f} are left"


def it_was_not_looked_at_just_now(facts: ProbeFacts, target: Lookable) -> str | None:
    if target.seen_at is None or facts.now - target.seen_at >= SAME_POOL_AFTER:
        return None
    return f"it was looked at {(facts.now - target.seen_at).total_seconds():.0f} s ago"


def the_engine_wants_to_know(facts: ProbeFacts, target: Lookable) -> str | None:
    if target.due_at is None or facts.now >= target.due_at:
        return None
    return f"nothing new is expected there before {target.due_at:%Y-%m-%d %H:%M} UTC"


def it_pays(facts: ProbeFacts, target: Lookable) -> str | None:
    """Until the pool is known it takes several looks."""
    usd = float(cost(target.usd_per_hour or Decimal(0))) * facts.looks_to_prove
    if target.worth_usd > usd:
        return None
    return f"knowing it is worth {target.worth_usd:.4f} USD, and takes looks for {usd:.4f}"


def it_takes_nobodys_place(_facts: ProbeFacts, target: Lookable) -> str | None:
    return target.no_room


RULES: tuple[Rule, ...] = (
    there_is_a_budget,
    the_kill_switch_is_off,
    nothing_is_frozen,
    nobody_else_is_launching,
    ec2_does_not_throttle,
    no_other_is_under_way,
    the_last_one_told_something,
)
POOL_RULES: tuple[PoolRule, ...] = (
    its_price_is_known,
    the_budget_has_room,
    it_was_not_looked_at_just_now,
    the_engine_wants_to_know,
    it_pays,
    it_takes_nobodys_place,
)


def why_none(facts: ProbeFacts) -> str | None:
    """Why this tenant looks at no pool at all now; asked again while a probe is under way."""
    return next((why for rule in RULES if (why := rule(facts)) is not None), None)


def plan(facts: ProbeFacts) -> LaunchProbe | NoProbe:
    """The pool whose knowledge is worth most, of those that no rule forbids; the cheapest of equals."""
    why = why_none(facts)
    if why is not None:
        return NoProbe(why)
    if not facts.pools:
        return NoProbe("no agent would gain by knowing a pool better")
    judged = [(target, _why_not(facts, target)) for target in sorted(facts.pools, key=_most_worth)]
    for target, because in judged:
        if because is None and target.usd_per_hour is not None:
            return LaunchProbe(target, target.usd_per_hour, _because(target))
    first, because = judged[0]
    return NoProbe(f"{first.pool.id}: {because}")


def _most_worth(target: Lookable) -> tuple[float, Decimal, str]:
    return -target.worth_usd, target.usd_per_hour or Decimal("Infinity"), target.pool.id


def _why_not(facts: ProbeFacts, target: Lookable) -> str | None:
    return next((why for rule in POOL_RULES if (why := rule(facts, target)) is not None), None)


def _because(target: Lookable) -> str:
    seen = (
        "never looked at" if target.seen_at is None else f"last looked at {target.seen_at:%Y-%m-%d %H:%M} UTC"
    )
    return f"{target.pool.id}, {seen}: if it is calm, knowing it is worth {target.worth_usd:.4f} USD"
