"""What the age-hazard rule expects for agents: rates of pools from a tenant's own looks, figures for each decision."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import sqlalchemy as sa

from spotguard.domain.decisions import PoolAssessment
from spotguard.domain.ids import ClientId, PoolId
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.engine import forecast
from spotguard.engine.forecast import Prospect
from spotguard.engine.hazard import AgeHazard
from spotguard.engine.rules_v1 import Situation
from spotguard.engine.stakes import Stakes
from spotguard.engine.watching import WATCHED_LOOKS_A_DAY
from spotguard.market import shipped
from spotguard.planning.guard_rails import RiskRule
from spotguard.planning.probes import watchable
from spotguard.store import looks, probes

ANSWERS_COUNT_FOR = timedelta(
    days=2
)  # longer than the engine waits between two looks at a pool that it wants
STATELESS = Decimal(10)  # a minute down is worth so many minutes on demand, unless its user says otherwise
Row = sa.Row[Any]


@cache
def rule() -> AgeHazard:
    """The shipped one; its file never changes while the process lives."""
    return shipped.age_hazard()


def prospects(
    tx: sa.Connection,
    now: datetime,
    client_id: ClientId,
    pools: Iterable[Pool],
    hazard: AgeHazard | None = None,
    watched: Collection[PoolId] = frozenset(),
) -> dict[PoolId, Prospect]:
    """From what this tenant saw alone, by the built-in rule unless another hazard is given. `watched`: where its
    budget buys looks.
    """
    wanted = list(pools)
    judge = hazard or rule()
    outlook = judge.outlook(wanted, looks.records(tx, now, client_id), now)
    return forecast.unwatched(forecast.prospects(wanted, outlook), watched)


def watched(
    tx: sa.Connection,
    now: datetime,
    client_id: ClientId,
    priced: Mapping[Pool, Decimal | None],
    *,
    will_look: bool = False,
) -> set[PoolId]:
    """Pools that this tenant's budget for probes could look at every hour: who waits for them learns. Without probes
    that are answered nobody learns, whatever the budget. `will_look`: who asks is about to.
    """
    budget = probes.budget_of(tx, client_id)
    if not budget or not (will_look or probes.are_answered(tx, client_id, now - ANSWERS_COUNT_FOR)):
        return set()
    return watchable(priced.items(), budget, WATCHED_LOOKS_A_DAY)


def with_risks(
    tx: sa.Connection,
    now: datetime,
    client_id: ClientId,
    pools: Sequence[PoolAssessment],
    hazard: AgeHazard | None = None,
) -> list[PoolAssessment]:
    """The same with each pool's risk, by the built-in rule unless another hazard is given."""
    return forecast.with_risks(pools, prospects(tx, now, client_id, [one.pool for one in pools], hazard))


def risk_of(
    tx: sa.Connection, now: datetime, client_id: ClientId, pool: Pool, hazard: AgeHazard | None = None
) -> Decimal | None:
    """The probability of interruption within 6 h; None where nothing is known."""
    return forecast.risk(prospects(tx, now, client_id, [pool], hazard).get(PoolId(pool.id)))


def stakes(agent: Row, ondemand_usd: Decimal) -> Stakes:
    """What moves and interruptions cost this agent. `minute_value_usd` None: it has no state to lose."""
    minute = agent.minute_value_usd
    return Stakes(
        ondemand_usd=float(ondemand_usd),
        minute_usd=float(STATELESS * ondemand_usd / 60 if minute is None else minute),
        wait_hours=agent.terminate_wait_seconds / 3600,
    )


def figures(
    found: Sequence[tuple[Row, Situation]], known: dict[PoolId, Prospect]
) -> list[forecast.Figures | None]:
    """For each agent of one market, all at once; None where its on-demand price is unknown."""
    asking = asks(found)
    told = iter(forecast.figures([ask for ask in asking if ask is not None], known))
    return [None if ask is None else next(told) for ask in asking]


def asks(found: Sequence[tuple[Row, Situation]]) -> list[forecast.Ask | None]:
    """What each agent of one market wants to know; None where its on-demand price is unknown."""
    return [_ask(agent, situation) for agent, situation in found]


def _ask(agent: Row, situation: Situation) -> forecast.Ask | None:
    if situation.ondemand_usd is None:
        return None
    on_spot = situation.mode is Mode.SPOT
    return forecast.Ask(
        present=situation.present_pool,
        present_usd=situation.present_usd,
        pools=situation.pools,
        stakes=stakes(agent, situation.ondemand_usd),
        least_saving_percent=situation.min_savings_percent if on_spot else Decimal(0),
        risk_limit=RiskRule(agent.risk_threshold, situation.forced_stay).binding,
        cap_usd=agent.max_hourly_usd,
    )
