"""Decisions: whom the engine decides for, what the guard-rails look at, and the row with inputs and reason."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from spotguard.domain.agents import AgentStatus
from spotguard.domain.clock import EARLIEST, parse_time
from spotguard.domain.commands import CreatedBy, Priority
from spotguard.domain.decisions import Aim, PoolAssessment, Proposal, Verdict
from spotguard.domain.ids import AgentId, ClientId, CommandId, PoolId
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.domain.switches import MoveKind, Step, SwitchStatus, Trigger
from spotguard.engine import rules_v1
from spotguard.planning.approvals import Said
from spotguard.planning.guard_rails import Fruitless, PastSwitch, RailFacts, SpendFacts
from spotguard.planning.switching import MoveFacts, choose
from spotguard.store import (
    fleet,
    intentions,
    kill,
    models,
    move_plans,
    moves,
    old_ends,
    quarantine,
    quotas,
    storage,
)
from spotguard.store.prepared import Prepared
from spotguard.store.steps import recorded_steps
from spotguard.store.tables import (
    agents,
    clients,
    decisions,
    epoch_grants,
    instances,
    pool_quarantines,
    switches,
)
from spotguard.store.tables import spot_price_snapshots as snapshots

Row = sa.Row[Any]
_DONE = (SwitchStatus.COMMITTED.value, SwitchStatus.COMPLETED.value)
_FORCED = (Trigger.EMERGENCY.value, Trigger.REBALANCE.value)
_A_WEEK = timedelta(days=7)

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
    .where(switches.c.agent_id == sa.bindparam("agent"), switches.c.status.in_(_DONE))
    .order_by(switches.c.created_at.desc(), switches.c.id)
    .limit(1)
)
_HISTORY: sa.Select[Any] = sa.select(
    switches.c.created_at,
    switches.c.event_trigger,
    switches.c.old_mode,
    switches.c.old_pool_id,
    switches.c.plan,
).where(
    switches.c.agent_id == sa.bindparam("agent"),
    switches.c.created_at > sa.bindparam("since"),
    switches.c.status.in_((*_DONE, SwitchStatus.PREPARING.value)),
)
_ENDED: sa.Select[Any] = (
    sa.select(switches)
    .where(
        switches.c.agent_id == sa.bindparam("agent"),
        switches.c.created_at > sa.bindparam("since"),
        switches.c.status != SwitchStatus.PREPARING.value,
    )
    .order_by(switches.c.created_at.desc(), switches.c.id)
    .limit(50)
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


def rail_facts(
    tx: sa.Connection,
    now: datetime,
    agent: Row,
    proposal: Proposal,
    assessments: list[PoolAssessment],
    frozen: str | None,
) -> RailFacts:
    target = proposal.target.id if proposal.mode is Mode.SPOT and proposal.target is not None else None
    place = proposal.target or Pool(agent.instance_type, agent.az)
    struck = quarantine.active(tx, agent.client_id, now, Mode.ONDEMAND)
    client_cap = tx.execute(
        sa.select(clients.c.max_hourly_usd).where(clients.c.id == agent.client_id)
    ).scalar_one()
    return RailFacts(
        proposal=proposal,
        now=now,
        rails=fleet.guard_rails(agent),
        kill=kill.level_for(tx, agent.client_id, agent.id),
        frozen=frozen,
        in_pool_since=agent.in_pool_since,
        history=history(tx, now, agent.id),
        target=next((a for a in assessments if a.pool.id == target), None),
        spend=SpendFacts(
            agent_cap_usd=agent.max_hourly_usd,
            client_cap_usd=client_cap,
            client_hourly_usd=None if client_cap is None else intentions.hourly_of(tx, now, agent.client_id),
        ),
        quota=quotas.why_not(tx, now, ClientId(agent.client_id), place, proposal.mode),
        ondemand_quarantined_until=struck.get(PoolId(place.id)),
        imaging_minutes=_imaging_minutes(tx, agent, place),
        fruitless=_fruitless(tx, now, agent),
        left_running=_left_running(tx, agent),
    )


def _imaging_minutes(tx: sa.Connection, agent: Row, place: Pool) -> Decimal | None:
    """Of downtime, as its plan would show them; None where the state goes along otherwise."""
    if agent.can_sync is not False:
        return None
    volume = storage.state_volume_of(tx, agent.held_by)
    plan = choose(
        MoveFacts(
            same_az=place.az == agent.az,
            standby=False,
            state_gib=None if volume is None else volume.size_gib,
            can_sync=False,
            measured=move_plans.measured(tx, agent.client_id),
        )
    )
    return plan.downtime_minutes if plan.kind is MoveKind.IMAGE else None


def history(tx: sa.Connection, now: datetime, agent_id: AgentId) -> tuple[PastSwitch, ...]:
    """Switches of the last week that came to their grant, or still may."""
    rows = tx.execute(_HISTORY, {"agent": agent_id, "since": now - _A_WEEK}).all()
    return tuple(
        PastSwitch(
            at=row.created_at,
            voluntary=row.event_trigger == Trigger.AUTO_SWITCH and row.plan.get("aim") != Aim.RECOVER,
            left_pool=PoolId(row.old_pool_id) if row.old_mode == Mode.SPOT and row.old_pool_id else None,
        )
        for row in rows
    )


def _fruitless(tx: sa.Connection, now: datetime, agent: Row) -> Fruitless | None:
    """Whatever has succeeded since, a rescue or a person's move, shows that moves end here; and what people have
    changed since, a setting or the kill switch, may have stopped them or mended their reason.
    """
    ended = []
    since = max(now - _A_WEEK, old_ends.last_word_at(tx, agent) or EARLIEST)
    for row in tx.execute(_ENDED, {"agent": agent.id, "since": since}):
        if row.status in _DONE:
            break
        if row.event_trigger == Trigger.AUTO_SWITCH and not _was_refused(tx, row):
            ended.append(row.completed_at)
    return Fruitless(len(ended), max(ended)) if ended else None


def _left_running(tx: sa.Connection, agent: Row) -> str | None:
    """An earlier holder that runs on beside the present one, where auto-terminate is off."""
    if agent.auto_terminate_enabled:
        return None
    i, g = instances.c, epoch_grants.c
    served = sa.exists().where(g.agent_id == agent.id, g.instance_id == i.id)
    left = sa.select(i.id).where(i.agent_id == agent.id, i.is_active, i.id != agent.held_by, served)
    found: str | None = tx.scalar(left.order_by(i.id).limit(1))
    return found


def _was_refused(tx: sa.Connection, move: Row) -> bool:
    """Its pool refused it or fell before the workload was stopped for it: the quarantine says how long to wait."""
    if None in (move.new_mode, move.new_instance_type, move.new_az):
        return False  # told after the fact, by halves
    struck = quarantine.of_client(tx, ClientId(move.client_id), Mode(move.new_mode))
    strike = struck.get(PoolId(Pool(move.new_instance_type, move.new_az).id))
    if strike is None or strike.struck_at < move.created_at:
        return False
    return Step.GATE_CLOSED not in recorded_steps(tx, move.id)


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
