"""What people set: an agent's protection and guard-rails, a client's limits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from spotguard.domain.agents import AgentStatus, Autonomy
from spotguard.domain.errors import InvalidInput, NotFound, Refused
from spotguard.domain.ids import AgentId, ClientId
from spotguard.domain.traffic import Driver
from spotguard.planning.switching import NO_SYNC
from spotguard.store import agents as agent_store
from spotguard.store import commands, drills, events, plans, standbys
from spotguard.store.steps import IS_OPEN
from spotguard.store.tables import agents, clients, switches
from spotguard.store.tables import commands as commands_table

SETTABLE = frozenset(
    {
        "enabled",
        "autonomy",
        "auto_switch_enabled",
        "manual_replica_enabled",
        "auto_terminate_enabled",
        "terminate_wait_seconds",
        "min_savings_percent",
        "max_switches_per_day",
        "max_switches_per_week",
        "min_pool_hours",
        "risk_threshold",
        "allowed_instance_types",
        "allowed_azs",
        "max_hourly_usd",
        "restore_point_hours",
        "restore_points_kept",
        "fence_after_minutes",
        "restore_drill_days",
        "minute_value_usd",
        "quarantine_group",
        "traffic",
    }
)


_OF_MOVE = {"auto_terminate_enabled": "auto_terminate", "terminate_wait_seconds": "terminate_wait_seconds"}


def configure(
    tx: Connection,
    now: datetime,
    client_id: ClientId,
    agent_id: AgentId,
    wanted: Mapping[str, Any],
    *,
    auto_needs_drill: bool = True,
) -> Row[Any]:
    """The agent's row with `wanted` (values already within bounds) in it. One statement, all or nothing."""
    row = agent_store.of_client(tx, client_id, agent_id)
    _require_alive(row)
    if wanted.get("autonomy") == Autonomy.AUTO and row.autonomy != Autonomy.AUTO and auto_needs_drill:
        drills.require_passed(tx, now, agent_id)
    if wanted.get("manual_replica_enabled"):
        _require_standby(tx, row)
    _require_script(tx, agent_id, wanted.get("traffic"))
    values = _exclusive({name: wanted[name] for name in SETTABLE & wanted.keys()})
    if not values:
        return row
    tx.execute(
        sa.update(agents)
        .where(
            agents.c.id == agent_id,
            agents.c.client_id == client_id,
            agents.c.status != AgentStatus.DELETED.value,
        )
        .values(**values, config_version=agents.c.config_version + 1, updated_at=now)
    )
    said = {name: str(value) if isinstance(value, Decimal) else value for name, value in values.items()}
    told = ", ".join(f"{name} = {_text(value)}" for name, value in sorted(said.items()))
    events.append(tx, now, client_id, agent_id, events.CONFIGURED, told, said)
    plans.protection_changed(tx, now, agent_id)
    _when_the_old_ends(tx, now, agent_id, values)
    return agent_store.of_client(tx, client_id, agent_id)


def _text(value: Any) -> str:
    """As the API writes it; words without their quotation marks."""
    return value if isinstance(value, str) else json.dumps(value)


def _when_the_old_ends(tx: Connection, now: datetime, agent_id: AgentId, values: Mapping[str, Any]) -> None:
    """Also of a move that is under way: what was to happen by the former word does not."""
    if values.keys().isdisjoint({"enabled", *_OF_MOVE}):
        return
    of_it = commands_table.c.agent_id == agent_id
    commands.cancel_ends(tx, now, "its user has set anew when the old instance ends", of_it)
    copies = {column: values[name] for name, column in _OF_MOVE.items() if name in values}
    if copies:
        tx.execute(sa.update(switches).where(switches.c.agent_id == agent_id, IS_OPEN).values(**copies))


def _exclusive(values: dict[str, Any]) -> dict[str, Any]:
    """Ruling S11: one mode set clears the other in the same statement; both at once is refused."""
    automatic, manual = values.get("auto_switch_enabled"), values.get("manual_replica_enabled")
    if automatic and manual:
        raise InvalidInput(
            "auto_switch_enabled and manual_replica_enabled exclude each other: set one of them"
        )
    if automatic:
        values["manual_replica_enabled"] = False
    if manual:
        values["auto_switch_enabled"] = False
    if "manual_replica_enabled" in values:
        values["replica_enabled"] = values["manual_replica_enabled"]
    return values


def _require_alive(row: Row[Any]) -> None:
    if row.status == AgentStatus.DELETED:
        raise Refused("this agent was deleted: nothing about it changes any more")


def _require_standby(tx: Connection, row: Row[Any]) -> None:
    """Switching manual replicas on is an order for a standby: the kill switch refuses it as any other."""
    if not agent_store.can_sync(tx, agent_store.serving_instance(tx, AgentId(row.id))):
        raise Refused(NO_SYNC)
    if not row.manual_replica_enabled:
        standbys.require_may_make(tx, row)


def _require_script(tx: Connection, agent_id: AgentId, route: Mapping[str, Any] | None) -> None:
    """A route by script is the agent's own: the server never says what runs."""
    if route is None or route["driver"] != Driver.SCRIPT:
        return
    if not agent_store.has_traffic_script(tx, agent_store.serving_instance(tx, agent_id)):
        raise Refused(
            "the serving instance has no script for its traffic: name traffic_script and traffic_check in its "
            "agent's settings, start it anew, and set the route then"
        )


def limits_of(tx: Connection, client_id: ClientId) -> Any:
    """`max_instances, max_hourly_usd, max_launches_per_hour`; None is unlimited."""
    wanted = sa.select(clients.c.max_instances, clients.c.max_hourly_usd, clients.c.max_launches_per_hour)
    row = tx.execute(wanted.where(clients.c.id == client_id)).first()
    if row is None:
        raise NotFound("no such client")
    return row


def set_limits(tx: Connection, now: datetime, client_id: ClientId, limits: Mapping[str, Any]) -> Any:
    """Those named change, None lifts one. They bind voluntary and standby launches, never an emergency."""
    if limits:
        tx.execute(sa.update(clients).where(clients.c.id == client_id).values(**limits, updated_at=now))
        said = {name: None if value is None else str(value) for name, value in limits.items()}
        told = ", ".join(f"{name} = {value}" for name, value in sorted(said.items()))
        events.append(tx, now, client_id, None, "limits_changed", told, said)
    return limits_of(tx, client_id)
