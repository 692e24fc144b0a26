"""Opening a failover drill: the hand-over of a termination notice, without the notice.

It takes the best standby; where there is none, it makes the emergency replica that a notice would have made; where the
state cannot be copied, it moves the volume, as a recovery would. Unlike after a notice no gate is closed before the
target has the state, and spend caps, quotas and the kill switch bind it: it is voluntary.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from spotguard.domain.agents import AgentStatus, Protection
from spotguard.domain.commands import CreatedBy, Priority
from spotguard.domain.drills import DrillKind, DrillStatus
from spotguard.domain.errors import Refused
from spotguard.domain.ids import AgentId, ClientId, DrillId, InstanceId, ReplicaId, SwitchId
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.domain.replicas import ReplicaStatus, ReplicaType
from spotguard.domain.switches import MoveKind, Trigger
from spotguard.engine.hazard import AgeHazard
from spotguard.planning.drills import calm_places
from spotguard.planning.emergency import StandbyFacts, best_standby
from spotguard.planning.standby import Place
from spotguard.store import agents as agent_rows
from spotguard.store import (
    drills,
    fleet,
    forecasts,
    grants,
    intentions,
    live_signals,
    move_orders,
    moves,
    quotas,
    replicas,
    salvages,
    standbys,
)
from spotguard.store.cap_room import within_caps
from spotguard.store.move_orders import MoveOrder
from spotguard.store.steps import IS_OPEN, only_prunes
from spotguard.store.tables import switches

AFTER_GRANT = timedelta(minutes=25)
"""The times of the steps from the grant to the proof together: 120 s to open, 600 s for traffic, 600 s to verify."""

REASON = "a failover drill: handed over as after a termination notice"
MADE = "no standby is there: an emergency replica is launched and synced first, and then promoted, as after a notice"
NO_PLACE = (
    "no allowed pool is known to hand over to: allow more instance types or zones, or wait for price reports"
)


@dataclass(frozen=True)
class OpenedDrill:
    """A failover that has begun."""

    drill_id: DrillId
    switch_id: SwitchId


def open_failover(
    tx: sa.Connection,
    now: datetime,
    client_id: ClientId,
    agent_id: AgentId,
    created_by: CreatedBy,
    hazard: AgeHazard | None = None,
) -> OpenedDrill:
    """The drill and its move, in one transaction. `Refused` says which rule forbids it and what to do.

    `hazard`: whose risks keep it out of stormy pools; None: the built-in rule's.
    """
    fleet.agent_row(tx, agent_id, client_id)  # NotFound before anything is touched
    fleet.hold(tx, now, agent_id)
    drills.require_none_open(tx, agent_id)
    order = _order(tx, now, client_id, agent_id, created_by, hazard)
    opened = moves.open_ordered(tx, now, order)
    deadline = moves.get(tx, opened.switch_id).deadline_at + AFTER_GRANT
    drill_id = drills.insert(
        tx,
        now,
        client_id=client_id,
        agent_id=agent_id,
        kind=DrillKind.FAILOVER,
        status=DrillStatus.RUNNING,
        created_by=created_by,
        deadline_at=deadline,
        switch_id=opened.switch_id,
        replica_id=order.replica_id,
        made_replica=order.makes_replica,
    )
    return OpenedDrill(drill_id, opened.switch_id)


def preview_failover(
    tx: sa.Connection,
    now: datetime,
    client_id: ClientId,
    agent_id: AgentId,
    created_by: CreatedBy,
    hazard: AgeHazard | None = None,
) -> MoveOrder:
    """What `open_failover` would order, or how it refuses; every row stays as it is."""
    trial = tx.begin_nested()
    try:
        drills.require_none_open(tx, agent_id)
        return move_orders.prepare(tx, now, _order(tx, now, client_id, agent_id, created_by, hazard))
    finally:
        trial.rollback()


def _order(
    tx: sa.Connection,
    now: datetime,
    client_id: ClientId,
    agent_id: AgentId,
    created_by: CreatedBy,
    hazard: AgeHazard | None,
) -> MoveOrder:
    """To whom the workload goes, and what is told of it."""
    agent = fleet.agent_row(tx, agent_id, client_id)
    _require_calm(tx, now, agent)
    standby = best_standby(fleet.standby_facts(tx, now, agent_id))
    if standby is not None:
        because = f"{_standing(standby)}; {_follows(tx, now, agent, standby.replica_id)}"
        return _to_replica(tx, agent, standby.replica_id, created_by, because=because)
    if agent_rows.can_sync(tx, agent_rows.serving_instance(tx, agent_id)):
        wished = _wish(tx, now, agent, created_by, hazard)
        return _to_replica(tx, agent, wished, created_by, because=MADE, makes_replica=True)
    return _without_sync(tx, now, agent, created_by, hazard)


def _standing(standby: StandbyFacts) -> str:
    if standby.status is ReplicaStatus.READY:
        return (
            "the ready standby, which is billed already, is promoted with the last delta, as after a notice"
        )
    return f"the standby, which is billed already and {standby.status}, is promoted once it is ready"


def _follows(tx: sa.Connection, now: datetime, agent: Any, replica_id: ReplicaId) -> str:
    """What stands by afterwards. `Refused` where one is always kept and the caps would not let the next one in."""
    if fleet.protection(agent) is not Protection.MANUAL:
        return "no other one follows it"
    ending = InstanceId(agent.instance_id) if agent.auto_terminate_enabled else None
    promoted = replicas.get(tx, AgentId(agent.id), replica_id)
    heir = (Pool(promoted.instance_type, promoted.az), Mode(promoted.mode))
    places = fleet.places_for_standby(tx, now, agent, heir)
    try:
        fit = within_caps(tx, now, ClientId(agent.client_id), AgentId(agent.id), places, after=ending)
    except Refused as refusal:
        raise Refused(f"a new standby could not follow the promoted one: {refusal}") from refusal
    if not fit or fit[0].usd_per_hour is None:
        return "a new one follows it"
    return f"a new one follows it, for about {fit[0].usd_per_hour} USD an hour"


def _require_calm(tx: sa.Connection, now: datetime, agent: Any) -> None:
    """Nothing of the real kind is under way; deleted, disabled and the kill switch are the order's own refusals."""
    if agent.status == AgentStatus.OFFLINE:
        raise Refused("the serving instance is silent: a drill would prove nothing, look at it first")
    goes_on = sa.not_(only_prunes(switches.c.id))
    moving = sa.select(switches.c.id).where(switches.c.agent_id == agent.id, IS_OPEN, goes_on)
    if tx.execute(moving.limit(1)).first() is not None:
        raise Refused("a switch of this agent is not over yet: wait until its old instance has ended")
    if salvages.goes_on(tx, agent.id):
        raise Refused(
            "what its dead instance's volume has that is lacking here is looked at: wait for the event lost_state"
        )
    held = grants.holder(tx, AgentId(agent.id))
    if held is not None and live_signals.signalled(tx, now, [held.instance_id]):
        raise Refused("the serving instance has an interruption signal: a real hand-over comes first")


def _wish(
    tx: sa.Connection, now: datetime, agent: Any, created_by: CreatedBy, hazard: AgeHazard | None
) -> ReplicaId:
    """The emergency replica that a notice would have made, where caps and quotas have room for it."""
    _require_may_launch(tx, agent, created_by)
    place = _place(tx, now, agent, hazard)
    return standbys.create(tx, now, agent, ReplicaType.TERMINATION, place, created_by, REASON)


def _require_may_launch(tx: sa.Connection, agent: Any, created_by: CreatedBy) -> None:
    """Before a row is written that only the order would refuse."""
    move_orders.require_permission(tx, _bare(agent, created_by))


def _places(tx: sa.Connection, now: datetime, agent: Any, hazard: AgeHazard | None) -> tuple[Place, ...]:
    places = fleet.places_for_standby(tx, now, agent)
    if not places:
        raise Refused(NO_PLACE)
    client_id = ClientId(agent.client_id)
    bare = fleet.assess_pools(tx, now, client_id, agent)
    return calm_places(places, forecasts.with_risks(tx, now, client_id, bare, hazard), agent.risk_threshold)


def _place(tx: sa.Connection, now: datetime, agent: Any, hazard: AgeHazard | None) -> Place:
    client_id, agent_id = ClientId(agent.client_id), AgentId(agent.id)
    places = _places(tx, now, agent, hazard)
    place = quotas.with_room(tx, now, client_id, places)[0]
    intentions.require_caps(tx, now, client_id, agent_id, place.usd_per_hour)
    return place


def _without_sync(
    tx: sa.Connection, now: datetime, agent: Any, created_by: CreatedBy, hazard: AgeHazard | None
) -> MoveOrder:
    """The state goes with its volume: in its own zone, if a place there is allowed; else by an image."""
    _require_may_launch(tx, agent, created_by)
    places = _places(tx, now, agent, hazard)
    place = next((place for place in places if place.pool.az == agent.az), places[0])
    return _bare(agent, created_by, target_pool=place.pool, target_mode=place.mode)


def _to_replica(
    tx: sa.Connection, agent: Any, replica_id: ReplicaId, created_by: CreatedBy, **more: Any
) -> MoveOrder:
    replica = replicas.get(tx, AgentId(agent.id), replica_id)
    mode = Mode(replica.mode)
    return _bare(agent, created_by, target_mode=mode, replica_id=replica_id, kind=MoveKind.SYNCED, **more)


def _bare(agent: Any, created_by: CreatedBy, **more: Any) -> MoveOrder:
    wish: dict[str, Any] = {
        "target_pool": None,
        "target_mode": Mode.SPOT,
        "replica_id": None,
        "kind": None,
        "agent": agent,
    }
    return MoveOrder(
        client_id=ClientId(agent.client_id),
        agent_id=AgentId(agent.id),
        trigger=Trigger.MANUAL,
        created_by=created_by,
        priority=Priority.USER,
        close_by=None,
        reason=REASON,
        plan_extra={},
        **wish | more,
    )
