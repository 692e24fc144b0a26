"""Reads over the fleet: facts of agents, pools and standbys in the nouns of planning."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from spotguard.domain.agents import AgentStatus, GuardRails, Protection, protection_of
from spotguard.domain.decisions import PoolAssessment
from spotguard.domain.errors import NotFound
from spotguard.domain.ids import AgentId, ClientId, InstanceId, ReplicaId
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.domain.replicas import LIVE_REPLICA, ReplicaStatus
from spotguard.engine.assessment import Allowance, PoolFacts, assess
from spotguard.planning.emergency import StandbyFacts
from spotguard.planning.presence import DEAF_AFTER
from spotguard.planning.standby import Place, emergency_places, standby_places
from spotguard.store import (
    deaths,
    forecasts,
    live_signals,
    ondemand,
    prices,
    quarantine,
    silence,
    storage,
    type_facts,
)
from spotguard.store.deaths import IS_ENDING
from spotguard.store.prepared import Prepared
from spotguard.store.tables import agents, instances, replica_instances

Row = sa.Row[Any]

PRICES_COME_WITHIN = timedelta(minutes=10)  # until then a standby waits for them, later it is made on demand

_AGENT = Prepared(sa.select(agents).where(agents.c.id == sa.bindparam("agent")))
_HEARS = Prepared(
    sa.select(instances.c.hears, instances.c.deaf_since).where(instances.c.id == sa.bindparam("machine"))
)
_HOLD = Prepared(
    sa.update(agents).where(agents.c.id == sa.bindparam("agent")).values(updated_at=sa.bindparam("now"))
)
_STANDBYS = Prepared(
    sa.select(
        replica_instances,
        instances.c.boot_id,
        instances.c.hears,
        instances.c.deaf_since,
        sa.and_(instances.c.is_active, sa.not_(IS_ENDING)).label("machine_lives"),
    )
    .outerjoin(instances, instances.c.id == replica_instances.c.instance_id)
    .where(
        replica_instances.c.agent_id == sa.bindparam("agent"),
        replica_instances.c.status.in_([s.value for s in LIVE_REPLICA]),
    )
)


def agent_row(tx: sa.Connection, agent_id: AgentId, client_id: ClientId | None = None) -> Row:
    """`NotFound` for another tenant's agent."""
    row: Row | None = _AGENT.first(tx, {"agent": agent_id})
    if row is None or (client_id is not None and row.client_id != client_id):
        raise NotFound("no such agent")
    return row


def hold(tx: sa.Connection, now: datetime, agent_id: AgentId) -> None:
    """Whatever opens a move or ends the agent touches its row first: of two at once one waits for the other, and on
    Galera one of them is refused at its commit and runs again.
    """
    _HOLD.change(tx, {"agent": agent_id, "now": now})


def protection(agent: Row) -> Protection:
    return protection_of(
        auto_switch_enabled=agent.auto_switch_enabled, manual_replica_enabled=agent.manual_replica_enabled
    )


def guard_rails(agent: Row) -> GuardRails:
    return GuardRails(
        min_savings_percent=agent.min_savings_percent,
        max_switches_per_day=agent.max_switches_per_day,
        max_switches_per_week=agent.max_switches_per_week,
        min_pool_hours=agent.min_pool_hours,
        risk_threshold=agent.risk_threshold,
        allowed_instance_types=tuple(agent.allowed_instance_types or ()),
        allowed_azs=tuple(agent.allowed_azs or ()),
        max_hourly_usd=agent.max_hourly_usd,
    )


def present_pool(agent: Row) -> Pool | None:
    """Type and zone of the present instance, whichever its market."""
    if agent.instance_type is None or agent.az is None:
        return None
    return Pool(agent.instance_type, agent.az)


def allowance(agent: Row) -> Allowance:
    return Allowance(
        agent.instance_type or "", tuple(agent.allowed_instance_types or ()), tuple(agent.allowed_azs or ())
    )


def allowance_on(tx: sa.Connection, agent: Row) -> Allowance:
    """The same, without the types on which its machine would not run."""
    bare = allowance(agent)
    return replace(bare, unfit=type_facts.unfit(tx, agent, bare.types))


def allowance_of_engine(tx: sa.Connection, agent: Row) -> Allowance:
    """The same for what nobody asked for: the workload is not stopped for an image where its volume can go along.

    `agent`: one of `decisions.candidates`.
    """
    bare = allowance_on(tx, agent)
    if agent.can_sync is not False or storage.state_volume_of(tx, agent.held_by) is None:
        return bare
    return replace(bare, home_az=agent.az)


def assess_pools(
    tx: sa.Connection, now: datetime, client_id: ClientId, agent: Row, allowed: Allowance | None = None
) -> list[PoolAssessment]:
    """Every pool of the agent's region and allowed types (its own type always), cheapest first."""
    if agent.instance_type is None or agent.region is None:
        return []
    allowed = allowed or allowance_on(tx, agent)
    types = sorted({*allowed.instance_types(), agent.instance_type})
    return assess_known(
        prices.prices_known_to(tx, now, client_id, types, agent.region),
        quarantine.of_client(tx, client_id),
        allowed,
        now,
    )


def assess_known(
    known: Iterable[prices.PoolPrice], struck: dict[Any, Row], allowed: Allowance, now: datetime
) -> list[PoolAssessment]:
    facts = [
        PoolFacts(
            pool=price.pool,
            usd_per_hour=price.price,
            priced_at=price.captured_at,
            struck_at=None if (strike := struck.get(price.pool.id)) is None else strike.struck_at,
            quarantined_until=None if strike is None else strike.until,
        )
        for price in known
    ]
    return assess(facts, allowed, now)


def types_of(tx: sa.Connection, client_id: ClientId) -> list[str]:
    """Every instance type that an agent of this client runs on, or may."""
    alive = agents.c.client_id == client_id, agents.c.status != AgentStatus.DELETED.value
    rows = tx.execute(sa.select(agents.c.instance_type, agents.c.allowed_instance_types).where(*alive)).all()
    named = {kind for row in rows for kind in (row.instance_type, *(row.allowed_instance_types or ()))}
    return sorted(kind for kind in named if kind is not None)


def ondemand_of(tx: sa.Connection, agent: Row) -> dict[str, Decimal]:
    """USD per hour of the types that the agent may run on."""
    if agent.region is None:
        return {}
    types = {*allowance(agent).instance_types(), agent.instance_type or ""}
    return ondemand.prices_of(tx, agent.client_id, agent.region, instance_types=types)


def places_for_standby(
    tx: sa.Connection, now: datetime, agent: Row, heir: tuple[Pool, Mode] | None = None
) -> tuple[Place, ...]:
    """Risks are the built-in rule's, also while a learned model is active. `heir`: as if the workload ran there."""
    mode = None if agent.current_mode is None else Mode(agent.current_mode)
    primary, mode = (present_pool(agent), mode) if heir is None else heir
    assessments = assess_pools(tx, now, agent.client_id, agent)
    priced = any(assessment.usd_per_hour is not None for assessment in assessments)
    if not priced and now - (agent.installed_at or agent.created_at) < PRICES_COME_WITHIN:
        return ()
    return standby_places(
        forecasts.with_risks(tx, now, agent.client_id, assessments),
        primary=primary,
        primary_mode=mode,
        ondemand=ondemand_of(tx, agent),
        now=now,
        risk_limit=agent.risk_threshold,
    )


def places_for_emergency(
    tx: sa.Connection, now: datetime, agent: Row, only_az: str | None = None, *, in_haste: bool = True
) -> tuple[Place, ...]:
    """`in_haste`: capacity now is what counts, and no time is spent on risks."""
    present = present_pool(agent)
    if present is None:
        return ()
    assessments = assess_pools(tx, now, agent.client_id, agent)
    if not in_haste:
        assessments = forecasts.with_risks(tx, now, agent.client_id, assessments)
    return emergency_places(
        assessments,
        present=present,
        ondemand=ondemand_of(tx, agent),
        now=now,
        only_az=only_az,
        risk_limit=agent.risk_threshold,
    )


def standby_facts(tx: sa.Connection, now: datetime, agent_id: AgentId) -> tuple[StandbyFacts, ...]:
    """The live replicas of an agent as an emergency sees them."""
    rows = _STANDBYS.rows(tx, {"agent": agent_id})
    noticed = live_signals.signalled(tx, now, [row.instance_id for row in rows])
    silent = silence.silent_standbys(tx, now, agent_id)
    return tuple(
        StandbyFacts(
            replica_id=ReplicaId(row.id),
            status=ReplicaStatus(row.status),
            enrolled=row.boot_id is not None and bool(row.machine_lives),
            complete_pass_age_seconds=_age_of_pass(row, now),
            under_signal=row.instance_id in noticed or row.machine_lives is False,
            silent=row.id in silent,
            is_deaf=row.synced_at is not None and _is_deaf(row, now),
            is_ending=row.instance_id in noticed and not deaths.can_serve(tx, row.instance_id),
            instance_id=row.instance_id,
        )
        for row in rows
    )


def is_enrolled(machine: Row) -> bool:
    """It has registered and heard the answer: it has spoken with the token of its newest registration."""
    return bool(machine.hears)


def hears(tx: sa.Connection, instance_id: InstanceId) -> bool:
    """Whether an epoch may be given to it: none is taken back, and who has registered anew may hear nothing of it."""
    machine = _HEARS.first(tx, {"machine": instance_id})
    return machine is not None and is_enrolled(machine)


def hears_nothing(tx: sa.Connection, now: datetime, instance_id: InstanceId) -> bool:
    """It has registered, and for a minute nothing has told that it heard an answer: an epoch can be given to it by
    nobody.
    """
    row = _HEARS.first(tx, {"machine": instance_id})
    return row is not None and _is_deaf(row, now)


def _is_deaf(machine: Row, now: datetime) -> bool:
    if machine.hears or machine.deaf_since is None:
        return False
    return bool(now - machine.deaf_since > DEAF_AFTER)


def _age_of_pass(replica: Row, now: datetime) -> float | None:
    """Age of the newest complete pass; None before the first."""
    if replica.synced_at is None:
        return None
    latency = (replica.sync_latency_ms or 0) / 1000
    return max(0.0, float((now - replica.synced_at).total_seconds())) + latency
