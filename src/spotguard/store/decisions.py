"""Decisions: whom the engine decides for, what the guard-rails look at, and the row with inputs and reason."""

from __future__ import annotations

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from spotguard.domain.agents import AgentStatus
from spotguard.domain.clock import parse_time
from spotguard.domain.commands import CreatedBy, Priority
from spotguard.domain.decisions import Aim, PoolAssessment, Proposal, Verdict
from spotguard.domain.ids import AgentId, ClientId, CommandId, PoolId
from spotguard.domain.instances import Mode
from spotguard.domain.switches import Trigger
from spotguard.engine import rules_v1
from spotguard.planning.approvals import Said
from spotguard.store import (
    fleet,
    models,
    moves,
)
from spotguard.store.prepared import Prepared
from spotguard.store.steps import IS_GRANTED
from spotguard.store.tables import (
    agents,
    decisions,
    epoch_grants,
    instances,
    pool_quarantines,
    switches,
)
from spotguard.store.tables import spot_price_snapshots as snapshots

Row = sa.Row[Any]
_FORCED = (Trigger.EMERGENCY.value, Trigger.REBALANCE.value)

_SERVING: sa.Select[Any] = (
    sa.select(
        agents,
        epoch_grants.c.granted_at.label("in_pool_since"),
        epoch_grants.c.instance_id.label("held_by"),
        instances.c.can_sync,
    )
    .join(epoch_grants, sa.and_(epoch_grants.c.agent_id == agents.c.id, epoch_grants.c.status == "held"))
    .join(instances, instances.c.id == epoch_grants.c.instance_id)
    .where(
        agents.c.auto_switch_enabled,
        agents.c.enabled,
        agents.c.status == AgentStatus.ONLINE.value,
        agents.c.instance_type.is_not(None),
        agents.c.current_mode.is_not(None),
        epoch_grants.c.released_at.is_(None),
    )
    .order_by(agents.c.created_at, agents.c.client_id, agents.c.logical_agent_id)  # ids are dice
)
_MARKET_STATE = Prepared(
    sa.select(
        sa.select(sa.func.max(snapshots.c.id)).scalar_subquery(),
        sa.select(
            sa.func.max(pool_quarantines.c.struck_at, type_=pool_quarantines.c.struck_at.type)
        ).scalar_subquery(),
        sa.select(sa.func.sum(agents.c.epoch + agents.c.config_version)).scalar_subquery(),
        sa.select(sa.func.count()).select_from(switches).scalar_subquery(),
        models.NEWEST_MOVE.label("models_moved"),
    )
)
_LAST_MOVE: sa.Select[Any] = (
    sa.select(switches.c.event_trigger, switches.c.plan)
    .where(switches.c.agent_id == sa.bindparam("agent"), IS_GRANTED)
    .order_by(switches.c.created_at.desc(), switches.c.id)
    .limit(1)
)
_CANDIDATES = Prepared(_SERVING)
_CANDIDATE = Prepared(_SERVING.where(agents.c.id == sa.bindparam("agent")))
_NEWEST = Prepared(
    sa.select(decisions)
    .where(decisions.c.agent_id == sa.bindparam("agent"))
    .order_by(decisions.c.decided_at.desc(), decisions.c.id.desc())
    .limit(1)
)


def candidate(tx: sa.Connection, agent_id: AgentId) -> Row | None:
    """This agent, if the engine decides for it."""
    return _CANDIDATE.first(tx, {"agent": agent_id})


def candidates(tx: sa.Connection) -> list[Row]:
    """Agents in automatic mode that serve, with the time since when they are where they are."""
    return list(_CANDIDATES.rows(tx, {}))


def market_state(tx: sa.Connection) -> tuple[Any, ...]:
    """Changes whenever a price, a quarantine, an agent's place or its settings do; the last: a model's state."""
    return tuple(_MARKET_STATE.rows(tx, {})[0])


def situation(
    tx: sa.Connection,
    now: datetime,
    agent: Row,
    assessments: list[PoolAssessment],
    ondemand: dict[str, Decimal],
) -> rules_v1.Situation:
    mode = Mode(agent.current_mode)
    home = fleet.present_pool(agent)
    if home is None:
        raise ValueError(f"agent {agent.id} has no known place")
    fixed = ondemand.get(agent.instance_type)
    here = PoolId(agent.current_pool_id) if mode is Mode.SPOT and agent.current_pool_id else None
    present = next((a.usd_per_hour for a in assessments if a.pool.id == here), None)
    return rules_v1.Situation(
        now=now,
        mode=mode,
        present_pool=here,
        present_usd=fixed if mode is Mode.ONDEMAND else present,
        ondemand_usd=fixed,
        forced_stay=is_forced_stay(tx, agent),
        min_savings_percent=agent.min_savings_percent,
        pools=assessments,
        home=home,
    )


def is_forced_stay(tx: sa.Connection, agent: Row) -> bool:
    """It is on demand, and came there by an emergency or an escape, not by a person's wish."""
    if agent.current_mode != Mode.ONDEMAND:
        return False
    last = tx.execute(_LAST_MOVE, {"agent": agent.id}).one_or_none()
    return last is not None and (last.event_trigger in _FORCED or last.plan.get("aim") == Aim.ESCAPE)


def record(
    tx: sa.Connection,
    now: datetime,
    agent: Row,
    *,
    verdict: Verdict,
    proposal: Proposal | None,
    because: str,
    inputs: dict[str, Any],
    command_id: CommandId | None = None,
) -> str:
    decision_id = str(uuid.uuid4())
    target = proposal.target.id if proposal is not None and proposal.target is not None else None
    row = {
        "id": decision_id,
        "client_id": ClientId(agent.client_id),
        "agent_id": AgentId(agent.id),
        "decided_at": now,
        "policy": rules_v1.NAME,
        "verdict": verdict.value,
        "aim": None if proposal is None else proposal.aim.value,
        "target_mode": None if proposal is None else proposal.mode.value,
        "target_pool_id": target,
        "because": because,
        "inputs": inputs,
        "command_id": command_id,
    }
    tx.execute(sa.insert(decisions), row)
    return decision_id


def newest(tx: sa.Connection, agent_id: AgentId) -> Row | None:
    return _NEWEST.first(tx, {"agent": agent_id})


def last_key(tx: sa.Connection, agent_id: AgentId) -> str | None:
    """What the newest decision came to, to tell a new one from the same again."""
    row = newest(tx, agent_id)
    return None if row is None else row.inputs.get("key")


def said_of(row: Row) -> Said:
    rejected = row.inputs.get("rejected_at")
    return Said(Verdict(row.verdict), row.decided_at, None if rejected is None else parse_time(rejected))


def open_proposed(tx: sa.Connection, now: datetime, agent: Row, proposal: Proposal) -> moves.OpenedMove:
    """The move that the policy proposed, whether it was let go by itself or a person approved it."""
    urgent = proposal.aim is Aim.ESCAPE
    return moves.open_move(
        tx,
        now,
        client_id=ClientId(agent.client_id),
        agent_id=AgentId(agent.id),
        trigger=Trigger.AUTO_SWITCH,
        created_by=CreatedBy.ENGINE,
        priority=Priority.ENGINE_URGENT if urgent else Priority.ENGINE,
        target_pool=proposal.target,
        target_mode=proposal.mode,
        reason=proposal.because,
        plan_extra={
            "aim": proposal.aim.value,
            "policy": rules_v1.NAME,
            "most_a_day": agent.max_switches_per_day,
        },
    )


def inputs_of(
    situation_: rules_v1.Situation, assessments: list[PoolAssessment], agent: Row, key: str, judge: str
) -> dict[str, Any]:
    """Price and age of each allowed pool, the present one, the rails: what a person needs to follow the reason.

    `judge`: whose risks they are.
    """
    return {
        "key": key,
        "epoch": agent.epoch,
        "config_version": agent.config_version,
        "mode": situation_.mode.value,
        "present_pool": situation_.present_pool,
        "present_usd": _text(situation_.present_usd),
        "ondemand_usd": _text(situation_.ondemand_usd),
        "forced_stay": situation_.forced_stay,
        "risk_model": None if situation_.figures is None else judge,
        "expected": None if situation_.figures is None else situation_.figures.told(),
        "minute_value_usd": _text(agent.minute_value_usd),
        "pools": [
            {
                "id": a.pool.id,
                "usd": _text(a.usd_per_hour),
                "age_seconds": a.age_seconds,
                "up_seconds": a.up_seconds,
                "risk_6h": _text(a.risk_6h),
                "because": a.because,
            }
            for a in assessments
            if a.allowed
        ],
        "syncs_state": agent.can_sync is not False,
        "rails": {
            "min_savings_percent": _text(agent.min_savings_percent),
            "max_switches_per_day": agent.max_switches_per_day,
            "max_switches_per_week": agent.max_switches_per_week,
            "min_pool_hours": _text(agent.min_pool_hours),
            "risk_threshold": _text(agent.risk_threshold),
            "autonomy": agent.autonomy,
        },
    }


def _text(number: Decimal | None) -> str | None:
    return None if number is None else str(number)
