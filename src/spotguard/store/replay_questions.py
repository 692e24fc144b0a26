"""What a replay of one agent's last days is asked with: its pools' prices, and its own settings."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.engine import Connection

from spotguard.domain.errors import Refused
from spotguard.domain.ids import AgentId, ClientId
from spotguard.ports.replay import LeftOut, PriceSteps, ReplayQuestion
from spotguard.store import fleet, forecasts, ondemand, prices

MOST_POOLS = 100


def of_agent(
    tx: Connection, now: datetime, client_id: ClientId, agent_id: AgentId, days: int
) -> tuple[ReplayQuestion, list[LeftOut]]:
    """Of the pools that its settings allow; those beyond the cheapest `MOST_POOLS` are left out, and told."""
    agent = fleet.agent_row(tx, agent_id, client_id)
    home = fleet.present_pool(agent)
    if home is None:
        raise Refused("this agent has not told yet where it runs: there are no pools to replay")
    usual = ondemand.price_of(tx, client_id, home.region, home.instance_type)
    if usual is None:
        raise Refused(f"nobody has told the on-demand price of {home.instance_type} in {home.region}")
    assessed = fleet.assess_pools(tx, now, client_id, agent)
    allowed = [one.pool for one in assessed if one.allowed]
    left = [LeftOut(one.pool.id, one.because) for one in assessed if not one.allowed]
    left += [LeftOut(pool.id, f"beyond the {MOST_POOLS} cheapest now") for pool in allowed[MOST_POOLS:]]
    since = now - timedelta(days=days)
    wanted = allowed[:MOST_POOLS]
    steps = prices.price_steps(tx, client_id, [pool.id for pool in wanted], since, now)
    question = ReplayQuestion(
        home=home,
        prices=tuple(PriceSteps(pool, tuple(steps.get(pool.id, ()))) for pool in wanted),
        ondemand_usd=usual,
        since=since,
        until=now,
        rails=fleet.guard_rails(agent),
        minute_usd=forecasts.stakes(agent, usual).minute_usd,
        wait_seconds=float(agent.terminate_wait_seconds),
    )
    return question, left
