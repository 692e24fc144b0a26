"""`/agents/{id}/backtest`: what it would have saved, and what that does not know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Annotated

from fastapi import Query, Request

from spotguard.api.client.desk import AtDesk, TheAgent, router
from spotguard.domain.ids import AgentId
from spotguard.domain.money import PRICE_STEP
from spotguard.ports.replay import Course, LeftOut, Replayed, ReplayQuestion
from spotguard.store import replay_questions
from spotguard.wire.client_backtests import Backtest, DayUsd, PolicyCourse, PoolLeftOut

routes = router()
MOST_DAYS = 30
_UNKNOWN = (
    "availability: nobody records which pools had capacity, so every launch succeeds here and nobody is interrupted",
    "interruptions: neither what they cost, nor what the engine's care for them is worth, is in a figure",
    "the on-demand price of then: the present one is taken for the whole time",
    "its course until now: every policy begins on demand, and its first move to spot is in its bill",
    "whether its state could follow to another zone: every allowed pool is taken to be within reach",
    "disks, traffic and standbys: they are in no bill",
    "how long its own launches take: SpotBench's seconds are taken",
)


@routes.get("/agents/{agentId}/backtest")
async def backtest(
    desk: AtDesk, agent_id: TheAgent, request: Request, days: Annotated[int, Query(ge=1, le=MOST_DAYS)] = 7
) -> Backtest:
    """Replays the prices of its allowed pools under each policy; takes about a second. One at a time: 429 otherwise."""
    question, left = await desk.read(
        lambda tx: replay_questions.of_agent(tx, desk.now, desk.client_id, agent_id, days)
    )
    found = await desk.api.replays.of(question, desk.api.offload, request.is_disconnected)
    return _told(agent_id, question, found, left)


def _told(agent_id: AgentId, question: ReplayQuestion, found: Replayed, left: Sequence[LeftOut]) -> Backtest:
    return Backtest(
        agent_id=agent_id,
        since=found.since,
        until=found.until,
        on_demand_usd=found.ondemand_usd,
        on_demand_usd_per_hour=question.ondemand_usd,
        minute_usd=Decimal(repr(question.minute_usd)).quantize(PRICE_STEP),
        pools=list(found.pools),
        left_out=[PoolLeftOut.model_validate(one) for one in (*left, *found.left_out)],
        policies=[_course(one) for one in found.courses],
        unknown=list(_unknown(found)),
    )


def _course(one: Course) -> PolicyCourse:
    return PolicyCourse(
        policy=one.policy.value,
        usd=one.usd,
        saved_percent=one.saved_percent,
        saved_percent_interval=one.interval,
        moves=one.moves,
        returns=one.returns,
        down_seconds=one.down_seconds,
        days=[DayUsd(day=day, usd=usd) for day, usd in one.days],
    )


def _unknown(found: Replayed) -> Iterator[str]:
    yield from _UNKNOWN
    if found.held_hours >= 1:
        yield f"prices of {found.held_hours:.0f} pool-hours that nobody confirmed: the last known ones are taken"
