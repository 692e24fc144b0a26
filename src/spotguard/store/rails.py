"""What the guard-rails look at, from the rows of one agent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import takewhile
from typing import Any

import sqlalchemy as sa

from spotguard.domain.clock import EARLIEST
from spotguard.domain.decisions import Aim, PoolAssessment, Proposal
from spotguard.domain.ids import AgentId, ClientId, PoolId
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.domain.switches import MoveKind, Step, SwitchStatus, Trigger
from spotguard.engine import rules_v1
from spotguard.engine.rules_v1 import Situation
from spotguard.planning.guard_rails import Fruitless, PastSwitch, RailFacts, SpendFacts
from spotguard.planning.switching import MoveFacts, choose
from spotguard.store import fleet, intentions, kill, move_plans, old_ends, quarantine, quotas, storage
from spotguard.store.steps import recorded_steps
from spotguard.store.tables import clients, epoch_grants, instances, switches

Row = sa.Row[Any]
_DONE = (SwitchStatus.COMMITTED.value, SwitchStatus.COMPLETED.value)
_A_WEEK = timedelta(days=7)
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
    .limit(20)
)


def rung(
    tx: sa.Connection,
    now: datetime,
    agent: Row,
    situation: Situation,
    proposal: Proposal,
    frozen: str | None,
) -> tuple[Proposal, RailFacts]:
    """The proposal with what the guard-rails look at; an escape goes on demand where the spot quota is full."""
    assessments = list(situation.pools)
    facts = rail_facts(tx, now, agent, proposal, assessments, frozen)
    if facts.quota is None:
        return proposal, facts
    instead = rules_v1.on_demand_instead(situation, proposal, facts.quota)
    if instead is None:
        return proposal, facts
    return instead, rail_facts(tx, now, agent, instead, assessments, frozen)


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
            agent_hourly_usd=None
            if agent.max_hourly_usd is None
            else intentions.hourly_of(tx, now, agent.client_id, agent.id),
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
    since = max(now - _A_WEEK, old_ends.last_word_at(tx, agent) or EARLIEST)
    rows = tx.execute(_ENDED, {"agent": agent.id, "since": since}).all()
    failed = list(takewhile(lambda row: row.status not in _DONE, rows))
    if not failed:
        return None
    struck = {mode: quarantine.of_client(tx, ClientId(agent.client_id), mode) for mode in Mode}
    ended = [
        row.completed_at
        for row in failed
        if row.event_trigger == Trigger.AUTO_SWITCH and not _was_refused(tx, row, struck)
    ]
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


def _was_refused(tx: sa.Connection, move: Row, struck: Mapping[Mode, Mapping[PoolId, Row]]) -> bool:
    """Its pool refused it or fell before the workload was stopped for it: the quarantine says how long to wait."""
    if None in (move.new_mode, move.new_instance_type, move.new_az):
        return False  # told after the fact, by halves
    strike = struck[Mode(move.new_mode)].get(PoolId(Pool(move.new_instance_type, move.new_az).id))
    if strike is None or strike.struck_at < move.created_at:
        return False
    return Step.GATE_CLOSED not in recorded_steps(tx, move.id)
