"""History, newest first: replicas, decisions, commands, events, switches with their steps, interruptions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spotguard.domain.errors import NotFound
from spotguard.domain.ids import AgentId, ClientId, ReplicaId, SwitchId
from spotguard.domain.switches import Step
from spotguard.store.tables import (
    agent_events,
    agents,
    commands,
    decisions,
    drills,
    replica_instances,
    spot_interruption_events,
    switch_steps,
    switches,
)
from spotguard.store.views_paging import Asked, Page, by_id, newest_first

EXPORTED_AT_MOST = 50_000


def _require_agent(tx: Connection, client_id: ClientId, agent_id: AgentId) -> None:
    found = sa.select(agents.c.id).where(agents.c.client_id == client_id, agents.c.id == agent_id)
    if tx.execute(found).first() is None:
        raise NotFound("no such agent")


def replicas(tx: Connection, client_id: ClientId, agent_id: AgentId, asked: Asked) -> Page:
    _require_agent(tx, client_id, agent_id)
    table = replica_instances
    return newest_first(
        tx, sa.select(table).where(table.c.agent_id == agent_id), table.c.created_at, table.c.id, asked
    )


def replica(tx: Connection, client_id: ClientId, agent_id: AgentId, replica_id: ReplicaId) -> Any:
    _require_agent(tx, client_id, agent_id)
    table = replica_instances
    row = tx.execute(sa.select(table).where(table.c.agent_id == agent_id, table.c.id == replica_id)).first()
    if row is None:
        raise NotFound("no such replica")
    return row


def decisions_of(tx: Connection, client_id: ClientId, agent_id: AgentId, asked: Asked) -> Page:
    _require_agent(tx, client_id, agent_id)
    query = sa.select(decisions).where(decisions.c.client_id == client_id, decisions.c.agent_id == agent_id)
    return newest_first(tx, query, decisions.c.decided_at, decisions.c.id, asked)


def drills_of(tx: Connection, client_id: ClientId, agent_id: AgentId, asked: Asked) -> Page:
    _require_agent(tx, client_id, agent_id)
    query = sa.select(drills).where(drills.c.client_id == client_id, drills.c.agent_id == agent_id)
    return newest_first(tx, query, drills.c.created_at, drills.c.id, asked)


def commands_of(tx: Connection, client_id: ClientId, agent_id: AgentId, asked: Asked) -> Page:
    _require_agent(tx, client_id, agent_id)
    query = sa.select(commands).where(commands.c.client_id == client_id, commands.c.agent_id == agent_id)
    return newest_first(tx, query, commands.c.created_at, commands.c.id, asked)


def events_of(tx: Connection, client_id: ClientId, agent_id: AgentId, asked: Asked) -> Page:
    _require_agent(tx, client_id, agent_id)
    query = sa.select(agent_events).where(
        agent_events.c.client_id == client_id, agent_events.c.agent_id == agent_id
    )
    return by_id(tx, query, agent_events.c.id, asked, falling=True)


def _named_switches(client_id: ClientId) -> sa.Select[Any]:
    return (
        sa.select(switches, agents.c.logical_agent_id)
        .join(agents, agents.c.id == switches.c.agent_id)
        .where(switches.c.client_id == client_id)
    )


def switches_page(tx: Connection, client_id: ClientId, asked: Asked, agent_id: AgentId | None = None) -> Page:
    query = _named_switches(client_id)
    if agent_id is not None:
        _require_agent(tx, client_id, agent_id)
        query = query.where(switches.c.agent_id == agent_id)
    return newest_first(tx, query, switches.c.created_at, switches.c.id, asked)


def switches_export(tx: Connection, client_id: ClientId) -> Sequence[Any]:
    """Newest first, the newest `EXPORTED_AT_MOST` at most; with when the old gate closed and the new one opened."""
    gates = _at(Step.GATE_CLOSED).label("gate_closed_at"), _at(Step.OPENED).label("opened_at")
    query = (
        _named_switches(client_id)
        .add_columns(*gates)
        .order_by(switches.c.created_at.desc(), switches.c.id.desc())
    )
    return tx.execute(query.limit(EXPORTED_AT_MOST)).all()


def _at(step: Step) -> sa.ScalarSelect[Any]:
    s = switch_steps.c
    return sa.select(s.at).where(s.switch_id == switches.c.id, s.step == step.value).scalar_subquery()


def switch(tx: Connection, client_id: ClientId, switch_id: SwitchId) -> Any:
    row = tx.execute(_named_switches(client_id).where(switches.c.id == switch_id)).first()
    if row is None:
        raise NotFound("no such switch")
    return row


def steps_of(tx: Connection, switch_ids: Sequence[str]) -> dict[str, list[Any]]:
    """Of moves that the caller has found in its own tenant: their steps, oldest first."""
    rows = tx.execute(sa.select(switch_steps).where(switch_steps.c.switch_id.in_(switch_ids))).all()
    found: dict[str, list[Any]] = {switch_id: [] for switch_id in switch_ids}
    for row in sorted(rows, key=lambda row: (row.at, _ORDER[row.step])):
        found[row.switch_id].append(row)
    return found


_ORDER = {step.value: place for place, step in enumerate(Step)}


def interruptions(tx: Connection, client_id: ClientId, asked: Asked) -> Page:
    table = spot_interruption_events
    query = (
        sa.select(table, agents.c.logical_agent_id)
        .join(agents, agents.c.id == table.c.agent_id)
        .where(agents.c.client_id == client_id)
    )
    return newest_first(tx, query, table.c.detected_at, table.c.id, asked)
