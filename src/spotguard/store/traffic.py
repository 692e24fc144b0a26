"""Routes to workloads as the rows have them: whose traffic the server moves, to whom, and what of it is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from spotguard.domain.agents import AgentStatus, Executor
from spotguard.domain.ids import AgentId, ClientId, InstanceId, SwitchId
from spotguard.domain.switches import Step, SwitchStatus
from spotguard.domain.traffic import Driver, Route, Script, route_of
from spotguard.ports.traffic import Endpoint
from spotguard.store import accounts, claims, events, grants, kill
from spotguard.store.prepared import Prepared
from spotguard.store.steps import has, record_step
from spotguard.store.tables import (
    agents,
    clients,
    epoch_grants,
    instances,
    replica_instances,
    switch_steps,
    switches,
)

_a, _g, _i = agents.c, epoch_grants.c, instances.c
_ENDED_WITHIN = timedelta(hours=1)  # longer ago, and it was withdrawn, or EC2 has forgotten it
STUCK = "traffic_stuck"  # the kind of event

_ENDPOINT = (_i.id, _i.private_ip, _i.public_ip)
_ROUTE = Prepared(sa.select(_a.traffic).where(_a.id == sa.bindparam("agent")))
_ROADS = Prepared(
    sa.select(_a.id, _a.client_id, _a.traffic, _a.enabled, _g.epoch, *_ENDPOINT[1:], _i.id.label("holder_id"))
    .join(epoch_grants, _g.held_agent_id == _a.id)
    .join(instances, _i.id == _g.instance_id)
    .join(clients, clients.c.id == _a.client_id)
    .where(
        _a.traffic.is_not(None),
        _a.status != AgentStatus.DELETED.value,
        clients.c.executor == Executor.SERVER.value,
        _g.released_at.is_(None),
        _i.is_active,
    )
)
_mine: sa.BindParameter[Any] = sa.bindparam("agent")
_FORMER = Prepared(
    sa.select(*_ENDPOINT)
    .join(epoch_grants, _g.instance_id == _i.id)
    .where(_g.agent_id == _mine, _g.epoch == sa.bindparam("before"))
)
_standby = sa.select(replica_instances.c.instance_id).where(
    replica_instances.c.agent_id == _mine, replica_instances.c.is_active
)
_successor = sa.select(switches.c.new_instance_id).where(
    switches.c.agent_id == _mine, switches.c.status == SwitchStatus.PREPARING.value
)
_WAITING = Prepared(
    sa.select(*_ENDPOINT).where(
        _i.agent_id == _mine,
        _i.is_active,
        _i.boot_id.is_not(None),
        sa.or_(_i.id.in_(_standby), _i.id.in_(_successor)),
    )
)
_GONE = Prepared(
    sa.select(_i.id).where(
        _i.agent_id == _mine, sa.not_(_i.is_active), _i.terminated_at > sa.bindparam("since")
    )
)
_done = switch_steps.alias("done")
_MOVING = Prepared(
    sa.select(switches.c.agent_id)
    .join(switch_steps, switch_steps.c.switch_id == switches.c.id)
    .outerjoin(_done, sa.and_(_done.c.switch_id == switches.c.id, _done.c.step == Step.TRAFFIC_MOVED.value))
    .where(
        switches.c.status == SwitchStatus.COMMITTED.value,
        switch_steps.c.step == Step.OPENED.value,
        _done.c.step.is_(None),
    )
)


@dataclass(frozen=True)
class Road:
    """One workload whose traffic the server moves, and who holds its epoch. `enabled` false: hands off (ruling B8), or
    the kill switch stands at `all`: in the copy of a backup this may not be who serves.
    """

    agent_id: AgentId
    client_id: ClientId
    route: Route
    epoch: int
    holder: Endpoint
    enabled: bool

    @property
    def id(self) -> str:
        return self.agent_id


def route_told(tx: sa.Connection, agent_id: AgentId | str) -> Mapping[str, Any] | None:
    """An agent's route as it is stored; None: none is configured."""
    told: Mapping[str, Any] | None = _ROUTE.scalar(tx, {"agent": agent_id})
    return told


def is_agents(tx: sa.Connection, client_id: ClientId | str, told: Mapping[str, Any]) -> bool:
    """Who calls AWS moves it (ruling B18); a script runs on the instance."""
    return told["driver"] == Driver.SCRIPT or accounts.executor_of(tx, client_id) is Executor.AGENT


def roads(tx: sa.Connection) -> list[Road]:
    """Every workload with a route that is not its own script's, of clients whose executor is the server."""
    stopped = kill.stopped(tx)
    found = [
        Road(
            AgentId(row.id),
            ClientId(row.client_id),
            route_of(row.traffic),
            row.epoch,
            Endpoint(InstanceId(row.holder_id), row.private_ip or "", row.public_ip),
            row.enabled and not kill.stops(stopped, row.client_id, row.id),
        )
        for row in _ROADS.rows(tx, {})
    ]
    return [road for road in found if not isinstance(road.route, Script)]


def holds(tx: sa.Connection, agent_id: AgentId, epoch: int) -> bool:
    """Whether the epoch is still the current one, its holder has not let go, and nobody else claims a newer one."""
    held = grants.holder(tx, agent_id)
    if held is None or held.epoch != epoch or held.released_at is not None:
        return False
    return not claims.bars(tx, agent_id, epoch + 1, InstanceId(held.instance_id))


def former(tx: sa.Connection, agent_id: AgentId, epoch: int) -> Endpoint | None:
    """Who held the epoch before."""
    return _endpoint(_FORMER.first(tx, {"agent": agent_id, "before": epoch - 1}))


def waiting(tx: sa.Connection, agent_id: AgentId) -> list[Endpoint]:
    """Standbys and the successor of an open move, once their agents have enrolled: who may serve next."""
    rows = _WAITING.rows(tx, {"agent": agent_id})
    return [found for row in rows if (found := _endpoint(row)) is not None]


def gone(tx: sa.Connection, now: datetime, agent_id: AgentId) -> list[InstanceId]:
    """Instances of this agent that have ended lately."""
    ended = _GONE.rows(tx, {"agent": agent_id, "since": now - _ENDED_WITHIN})
    return [InstanceId(row.id) for row in ended]


def moving(tx: sa.Connection) -> set[AgentId]:
    """Agents of whom `unrecorded` has any."""
    return {AgentId(row.agent_id) for row in _MOVING.rows(tx, {})}


def unrecorded(tx: sa.Connection, agent_id: AgentId) -> list[SwitchId]:
    """Moves that have opened and whose traffic is not known to have moved."""
    return [SwitchId(row.id) for row in _UNRECORDED.rows(tx, {"agent": agent_id})]


_UNRECORDED = Prepared(
    sa.select(switches.c.id).where(
        switches.c.agent_id == sa.bindparam("agent"),
        switches.c.status == SwitchStatus.COMMITTED.value,
        has(switches.c.id, Step.OPENED),
        sa.not_(has(switches.c.id, Step.TRAFFIC_MOVED)),
    )
)


def arrived(tx: sa.Connection, now: datetime, road: Road, actor: str, because: str) -> bool:
    """Read back: clients reach the holder. True when a move learns it now; False when the epoch is over."""
    if not holds(tx, road.agent_id, road.epoch):
        return False
    new = False
    for switch_id in unrecorded(tx, road.agent_id):
        detail = {"because": because, "epoch": road.epoch}
        new |= record_step(tx, now, switch_id, Step.TRAFFIC_MOVED, now, actor, detail)
        message = f"clients reach {road.holder.instance_id}: {because}"
        told = {"switch_id": switch_id, "epoch": road.epoch}
        events.append(tx, now, road.client_id, road.agent_id, "traffic_moved", message, told)
    return new


def stuck(tx: sa.Connection, now: datetime, client_id: ClientId, agent_id: AgentId, because: str) -> None:
    """What the agent that has to move it says; told once an hour for as long as it says so."""
    message = f"its traffic cannot be moved: {' '.join(because.split())}"
    events.append_hourly(tx, now, client_id, agent_id, STUCK, message)


def _endpoint(row: Any) -> Endpoint | None:
    if row is None:
        return None
    return Endpoint(InstanceId(row.id), row.private_ip or "", row.public_ip)
