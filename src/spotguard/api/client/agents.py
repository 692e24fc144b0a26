"""`/me` and `/agents`: the tenant and its logical agents."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from pydantic.alias_generators import to_camel
from sqlalchemy.engine import Connection

from spotguard import __version__
from spotguard.api.client.desk import AskedFor, AtDesk, Desk, TheAgent, router
from spotguard.api.problems import invalid
from spotguard.domain.agents import AgentStatus
from spotguard.domain.errors import InvalidInput
from spotguard.domain.instances import Role
from spotguard.domain.pools import region_of
from spotguard.domain.traffic import misfit, route_of, told_of
from spotguard.store import agents as agent_store
from spotguard.store import (
    configuration,
    pools,
    salvages,
    standby_cost,
    tenants,
    views_agents,
    views_history,
)
from spotguard.wire.client import (
    AgentState,
    CommandState,
    Configuration,
    EventState,
    Listed,
    Me,
    SignalBrief,
    StandbyCostState,
)
from spotguard.wire.client_configuration import ConfigurationChange
from spotguard.wire.client_drills import AgentDetail, LostState, certificate_of, last_of

routes = router()
_NULLABLE = {
    "max_hourly_usd",
    "restore_point_hours",
    "fence_after_minutes",
    "minute_value_usd",
    "quarantine_group",
    "traffic",
}


@routes.get("/me")
async def me(desk: AtDesk) -> Me:
    row: Any = await desk.read(lambda tx: tenants.get(tx, desk.client_id))
    return Me(
        id=row.id,
        name=row.name,
        email=row.email,
        executor=row.executor,
        created_at=row.created_at,
        version=__version__,
    )


@routes.get("/agents")
async def agents(
    desk: AtDesk, asked: AskedFor, *, include_deleted: Annotated[bool, Query(alias="includeDeleted")] = False
) -> Listed[AgentState]:
    def work(tx: Connection) -> Listed[AgentState]:
        page = views_agents.page(
            tx, desk.now, desk.client_id, asked, deleted=include_deleted, listened_since=desk.listened_since
        )
        return Listed(items=[agent_state(view) for view in page.rows], next_cursor=page.next_cursor)

    return await desk.read(work)


@routes.get("/agents/{agentId}")
async def agent(desk: AtDesk, agent_id: TheAgent) -> AgentDetail:
    def work(tx: Connection) -> AgentDetail:
        view = views_agents.agent(tx, desk.now, desk.client_id, agent_id, listened_since=desk.listened_since)
        live = next(iter(view.replicas), None)
        cost = standby_cost.of_agent(
            tx, desk.now, view.row, primary=view.price, on_demand=view.on_demand, live=live
        )
        state = agent_state(view)
        same = {name: getattr(state, name) for name in AgentState.model_fields}
        lost = salvages.newest_of(tx, agent_id)
        return AgentDetail(
            **same,
            standby_cost=StandbyCostState.model_validate(cost),
            lost_state=None if lost is None else LostState.model_validate(lost),
        )

    return await desk.read(work)


@routes.post("/agents/{agentId}/config")
async def configure(desk: AtDesk, agent_id: TheAgent, change: ConfigurationChange) -> Configuration:
    wanted = _wanted(change)

    def work(tx: Connection) -> tuple[Any, str | None]:
        row = agent_store.of_client(tx, desk.client_id, agent_id)
        _require_zones(tx, desk, wanted.get("allowed_azs"), row)
        _require_reachable(wanted, row)
        row = configuration.configure(
            tx,
            desk.now,
            desk.client_id,
            agent_id,
            wanted,
            auto_needs_drill=desk.api.settings.auto_needs_drill,
        )
        return row, agent_store.serving_instance(tx, agent_id)

    row, serving = await desk.write(work)
    desk.wake(serving)
    return Configuration.of_row(row)


def _wanted(change: ConfigurationChange) -> dict[str, Any]:
    wanted = {name: getattr(change, name) for name in change.model_fields_set}
    for name, value in wanted.items():
        if value is None and name not in _NULLABLE:
            raise invalid(f"/{to_camel(name)}", "may be left out, but not be null")
    if "terminate_wait_minutes" in wanted:
        if "terminate_wait_seconds" in wanted:
            raise invalid(
                "/terminateWaitMinutes", "give terminateWaitSeconds or terminateWaitMinutes, not both"
            )
        wanted["terminate_wait_seconds"] = wanted.pop("terminate_wait_minutes") * 60
    if wanted.get("auto_switch_enabled") and wanted.get("manual_replica_enabled"):
        raise invalid(
            "/manualReplicaEnabled", "excludes autoSwitchEnabled: set one of them, the other is cleared"
        )
    if wanted.get("traffic") is not None:
        wanted["traffic"] = _route(wanted["traffic"].model_dump())
    if "autonomy" in wanted:
        wanted["autonomy"] = wanted["autonomy"].value
    return wanted


def _route(said: dict[str, Any]) -> dict[str, Any]:
    try:
        return told_of(route_of(said))
    except InvalidInput as error:
        field, _, because = str(error).partition(": ")
        raise invalid(f"/traffic/{to_camel(field)}", because or str(error)) from error


def _require_reachable(wanted: dict[str, Any], row: Any) -> None:
    """The route, as it will be, fits the zone and the zones that will be allowed."""
    told = wanted.get("traffic", row.traffic)
    if told is None or not {"traffic", "allowed_azs"} & wanted.keys():
        return
    because = misfit(route_of(told), row.az, wanted.get("allowed_azs", row.allowed_azs))
    if because is not None:
        raise invalid("/traffic" if "traffic" in wanted else "/allowedAzs", because)


def _require_zones(tx: Connection, desk: Desk, azs: list[str] | None, row: Any) -> None:
    """Zones of its region that have a spot price, or the one where it runs; before the first price any is believed."""
    if not azs:
        return
    known = [] if row.region is None else pools.priced_zones(tx, desk.client_id, row.region)
    for index, az in enumerate(azs):
        if region_of(az) != row.region:
            raise invalid(f"/allowedAzs/{index}", f"this agent's workload runs in {row.region}")
        if known and az not in (*known, row.az):
            because = f"no spot price of {az} is known; of {row.region} these are: {', '.join(known)}"
            raise invalid(f"/allowedAzs/{index}", because)


@routes.get("/agents/{agentId}/commands")
async def commands(desk: AtDesk, agent_id: TheAgent, asked: AskedFor) -> Listed[CommandState]:
    page = await desk.read(lambda tx: views_history.commands_of(tx, desk.client_id, agent_id, asked))
    return Listed(items=[CommandState.model_validate(r) for r in page.rows], next_cursor=page.next_cursor)


@routes.get("/agents/{agentId}/events")
async def events(desk: AtDesk, agent_id: TheAgent, asked: AskedFor) -> Listed[EventState]:
    page = await desk.read(lambda tx: views_history.events_of(tx, desk.client_id, agent_id, asked))
    return Listed(items=[EventState.model_validate(r) for r in page.rows], next_cursor=page.next_cursor)


def agent_state(view: views_agents.AgentView) -> AgentState:
    row, signal, outlook = view.row, view.signal, view.outlook
    primary = view.serving is not None and row.status != AgentStatus.DELETED
    same = {name: getattr(row, name) for name in AgentState.model_fields if name not in _COMPUTED}
    return AgentState(
        **same,
        health=view.health,
        role=Role.PRIMARY.value if primary else None,
        price_usd=view.price,
        on_demand_usd=view.on_demand,
        saving_percent=view.saving_percent,
        next_action=outlook.next_action,
        why=outlook.why,
        awaiting_decision_id=None if view.waiting is None else view.waiting.id,
        last_signal=None
        if signal is None
        else SignalBrief(
            event_id=signal.id,
            signal_type=signal.signal_type,
            signal_time=signal.signal_time,
            action=signal.action,
            because=signal.because,
        ),
        last_drill=last_of(view.failover),
        restore_certificate=certificate_of(view.restore, view.now),
        config=Configuration.of_row(row),
    )


_COMPUTED = {
    "health",
    "role",
    "price_usd",
    "on_demand_usd",
    "saving_percent",
    "next_action",
    "why",
    "awaiting_decision_id",
    "last_signal",
    "last_drill",
    "restore_certificate",
    "config",
}
