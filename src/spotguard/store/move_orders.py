"""What a move is ordered with: may it be opened, which plan it follows, its row and its command."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from spotguard.domain.agents import AgentStatus, Executor, KillLevel
from spotguard.domain.clock import rfc3339
from spotguard.domain.commands import CommandType, CreatedBy, Priority
from spotguard.domain.errors import NotFound, Refused
from spotguard.domain.ids import AgentId, ClientId, CommandId, InstanceId, ReplicaId, SwitchId
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.domain.replicas import LIVE_REPLICA
from spotguard.domain.switches import MoveKind, SwitchStatus, Trigger
from spotguard.domain.traffic import Route, route_of
from spotguard.planning.deadlines import prepares_within
from spotguard.planning.move_warnings import warnings
from spotguard.planning.switching import MoveFacts, MovePlan, choose
from spotguard.planning.traffic import expected, why_unreachable
from spotguard.store import (
    commands,
    grants,
    intentions,
    kill,
    launch_orders,
    move_plans,
    quarantine,
    replicas,
    storage,
    type_facts,
)
from spotguard.store.move_prices import prices_of
from spotguard.store.tables import agents, clients, switches
from spotguard.store.tables import commands as commands_table

Row = sa.Row[Any]
_URGENT = (Trigger.EMERGENCY, Trigger.REBALANCE)
_AFTER_CLOSE = timedelta(
    minutes=10
)  # a hand-over whose deadline has passed is soon a death, or was a false alarm


@dataclass(frozen=True)
class MoveOrder:
    """A wish for a move; `prepare` adds what the rows know."""

    client_id: ClientId
    agent_id: AgentId
    trigger: Trigger
    created_by: CreatedBy
    priority: Priority
    target_pool: Pool | None
    target_mode: Mode
    replica_id: ReplicaId | None
    kind: MoveKind | None
    close_by: datetime | None
    reason: str
    plan_extra: Mapping[str, Any]
    agent: Any = None
    held: Any = None
    plan: MovePlan = field(
        default_factory=lambda: choose(MoveFacts(same_az=False, standby=True, state_gib=None))
    )
    warnings: tuple[str, ...] = ()
    prices: Mapping[str, Decimal | None] = field(default_factory=dict)
    is_recovery: bool = False

    @property
    def route(self) -> Route | None:
        return None if self.agent is None or self.agent.traffic is None else route_of(self.agent.traffic)

    @property
    def mode(self) -> Mode:
        return self.target_mode

    @property
    def target(self) -> Pool:
        return self.target_pool or Pool(self.agent.instance_type, self.agent.az)

    @property
    def is_urgent(self) -> bool:
        return self.trigger in _URGENT

    @property
    def is_capped(self) -> bool:
        """A launch by somebody's wish: spend caps bind it (invariant 12). A standby that runs already was counted."""
        return not self.is_urgent and self.replica_id is None

    @staticmethod
    def recovery(
        tx: sa.Connection,
        now: datetime,
        agent: Row,
        held: Row,
        kind: MoveKind,
        replica_id: ReplicaId | None,
        because: str,
        plan: Mapping[str, Any],
    ) -> MoveOrder:
        """A move without an old half."""
        bare = MoveOrder(
            client_id=agent.client_id,
            agent_id=agent.id,
            trigger=Trigger.EMERGENCY,
            created_by=CreatedBy.COORDINATOR,
            priority=Priority.EMERGENCY,
            target_pool=None,
            target_mode=Mode.SPOT,
            replica_id=replica_id,
            kind=kind,
            close_by=None,
            reason=because,
            plan_extra=plan,
            agent=agent,
            held=held,
            is_recovery=True,
        )
        cost = None if bare.route is None else expected(bare.route)
        facts = MoveFacts(
            same_az=True, standby=replica_id is not None, state_gib=None, forced=kind, traffic=cost
        )
        chosen = choose(facts)
        return replace(
            bare,
            plan=replace(chosen, because=because),
            prices=prices_of(tx, now, agent, bare.target, bare.target_mode),
        )


def prepare(tx: sa.Connection, now: datetime, wish: MoveOrder) -> MoveOrder:
    """The wish with its agent, holder, plan and prices. `Refused` says which rule forbids it and what to do."""
    agent = tx.execute(
        sa.select(agents).where(agents.c.id == wish.agent_id, agents.c.client_id == wish.client_id)
    ).one_or_none()
    if agent is None:
        raise NotFound("no such agent")
    held = grants.holder(tx, wish.agent_id)
    order = replace(wish, agent=agent, held=held)
    _require_permission(tx, order)
    _require_idle(tx, now, order)
    order = _with_target(tx, order)
    order = replace(order, prices=prices_of(tx, now, agent, order.target, order.target_mode))
    _require_price(order)
    if order.is_capped:
        intentions.require_caps(tx, now, order.client_id, order.agent_id, order.prices["new"])
    order = replace(order, plan=_plan(tx, order))
    return replace(order, warnings=_warnings(tx, now, order))


def preview(tx: sa.Connection, now: datetime, wish: MoveOrder) -> MoveOrder:
    """What `prepare` would come to, or how it refuses; every row stays as it is."""
    trial = tx.begin_nested()
    try:
        return prepare(tx, now, wish)
    finally:
        trial.rollback()


def _require_permission(tx: sa.Connection, order: MoveOrder) -> None:
    if order.agent.status == AgentStatus.DELETED:
        raise Refused("this agent is deleted: register its workload under a new name")
    if not order.agent.enabled:
        raise Refused("this agent is disabled, SpotGuard keeps its hands off: enable it first")
    level = kill.level_for(tx, order.client_id, order.agent_id)
    if level is KillLevel.ALL or (level is KillLevel.VOLUNTARY and not order.is_urgent):
        raise Refused(f"the kill switch stands at {level.name.lower()}: set it to none first")


def _require_idle(tx: sa.Connection, now: datetime, order: MoveOrder) -> None:
    if order.held is None:
        raise Refused("no instance of this agent serves: register one first")
    if order.held.released_at is not None:
        raise Refused("the present holder has let go already: a recovery is under way, wait for it")
    preparing = tx.execute(sa.select(switches.c.id).where(switches.c.open_agent_id == order.agent_id)).first()
    if preparing is not None:
        raise Refused("another switch of this agent is under way: wait until it has ended")
    stale = tx.execute(
        sa.select(commands_table.c.id).where(commands_table.c.open_switch_agent_id == order.agent_id)
    ).scalar_one_or_none()
    if stale is not None:  # of a move that is over: its instance lost the epoch before it could answer
        commands.cancel(tx, now, CommandId(stale), "its switch has ended")


def _with_target(tx: sa.Connection, order: MoveOrder) -> MoveOrder:
    if order.replica_id is not None:
        replica = replicas.get(tx, order.agent_id, order.replica_id)
        if replica.status not in LIVE_REPLICA:
            raise Refused(f"this replica is {replica.status}: create another")
        pool = Pool(replica.instance_type, replica.az)
        return _reachable(replace(order, target_pool=pool, target_mode=Mode(replica.mode)))
    if order.target_mode is Mode.SPOT and order.target_pool is None:
        raise Refused("a spot pool must be named")
    if order.agent.instance_type is None or order.agent.az is None:
        raise Refused("this agent's instance type and zone are not known yet: wait for its registration")
    if _is_present(order):
        raise Refused(f"the workload runs {_place(order)} already: nothing to do")
    why = type_facts.why_it_fails(tx, order.agent, order.target.instance_type)
    if why is not None:
        raise Refused(f"this machine would not run on {order.target.instance_type}: {why}")
    if order.kind is MoveKind.VOLUME and order.target.az != order.agent.az:
        raise Refused(
            f"a volume lives in one zone: choose a pool in {order.agent.az}, or another kind of move"
        )
    return _reachable(order)


def _reachable(order: MoveOrder) -> MoveOrder:
    """An emergency goes all the same: what it serves is worth more than its address."""
    because = why_unreachable(order.route, order.agent.az, order.target.az)
    if because is not None and not order.is_urgent:
        raise Refused(because)
    return order


def _is_present(order: MoveOrder) -> bool:
    if order.target_mode is Mode.ONDEMAND:
        present = Pool(order.agent.instance_type, order.agent.az)
        return bool(order.agent.current_mode == Mode.ONDEMAND and order.target == present)
    return bool(order.agent.current_mode == Mode.SPOT and order.target.id == order.agent.current_pool_id)


def _place(order: MoveOrder) -> str:
    return "on demand" if order.target_mode is Mode.ONDEMAND else f"in {order.target.id}"


def _require_price(order: MoveOrder) -> None:
    if order.replica_id is None and order.target_mode is Mode.SPOT and order.prices["new_spot"] is None:
        raise Refused(
            f"no recent price is known of {order.target.id}: a pool without a price is never chosen"
        )


def _plan(tx: sa.Connection, order: MoveOrder) -> MovePlan:
    volume = storage.state_volume_of(tx, order.held.instance_id)
    return choose(
        MoveFacts(
            same_az=order.target.az == order.agent.az,
            standby=order.replica_id is not None,
            state_gib=None if volume is None else volume.size_gib,
            forced=order.kind,
            overlap_usd_per_hour=order.prices["new"],
            wait_seconds=order.agent.terminate_wait_seconds if order.agent.auto_terminate_enabled else 0,
            measured=move_plans.measured(tx, order.client_id),
            traffic=None if order.route is None else expected(order.route),
        )
    )


def _warnings(tx: sa.Connection, now: datetime, order: MoveOrder) -> tuple[str, ...]:
    struck = quarantine.active(tx, order.client_id, now) if order.mode is Mode.SPOT else {}
    change = move_plans.change_of(
        order.agent,
        order.plan,
        order.target,
        order.mode,
        old_usd=order.prices["old"],
        new_usd=order.prices["new"],
        quarantined_until=struck.get(order.target.id),
    )
    return warnings(change)


def insert_switch(tx: sa.Connection, now: datetime, order: MoveOrder) -> SwitchId:
    """The row, one preparing at a time; `Refused` when another process was first."""
    switch_id = SwitchId(str(uuid.uuid4()))
    try:
        tx.execute(sa.insert(switches), _row(now, switch_id, order))
    except IntegrityError as error:
        raise Refused("another switch of this agent is under way: wait until it has ended") from error
    return switch_id


def _row(now: datetime, switch_id: SwitchId, order: MoveOrder) -> dict[str, Any]:
    agent, old, new = order.agent, order.prices["old"], order.prices["new"]
    decided_target = not order.is_recovery or order.replica_id is not None
    return {
        "id": switch_id,
        "client_id": order.client_id,
        "agent_id": order.agent_id,
        "old_instance_id": order.held.instance_id,
        "old_instance_type": agent.instance_type,
        "old_region": agent.region,
        "old_az": agent.az,
        "old_mode": agent.current_mode,
        "old_pool_id": agent.current_pool_id,
        "old_ami_id": agent.ami_id,
        "new_instance_type": order.target.instance_type if decided_target else None,
        "new_region": order.target.region if decided_target else None,
        "new_az": order.target.az if decided_target else None,
        "new_mode": order.target_mode.value if decided_target else None,
        "new_pool_id": order.target.id if decided_target and order.target_mode is Mode.SPOT else None,
        "on_demand_price": order.prices["on_demand"],
        "old_spot_price": order.prices["old_spot"],
        "new_spot_price": order.prices["new_spot"],
        "savings_impact": None if old is None or new is None else old - new,
        "event_trigger": order.trigger.value,
        "trigger_type": order.trigger.value,
        "timing_data": {},
        "created_at": now,
        "status": SwitchStatus.PREPARING.value,
        "kind": order.plan.kind.value,
        "is_recovery": order.is_recovery,
        "replica_id": order.replica_id,
        "from_epoch": order.held.epoch,
        "plan": plan_json(order),
        "terminate_wait_seconds": agent.terminate_wait_seconds,
        "auto_terminate": agent.auto_terminate_enabled,
        "deadline_at": deadline(now, order),
    }


def deadline(now: datetime, order: MoveOrder) -> datetime:
    """Until when it may prepare: after a notice not much longer than the instance lives."""
    if order.close_by is not None:
        return order.close_by + _AFTER_CLOSE
    plan = order.plan
    return now + prepares_within(plan.kind, is_recovery=order.is_recovery, state_gib=plan.state_gib)


def plan_json(order: MoveOrder) -> dict[str, Any]:
    """The plan as its row keeps it and people see it."""
    return {
        "because": order.reason,
        **move_plans.as_json(order.plan, is_recovery=order.is_recovery, close_by=order.close_by),
        "warnings": list(order.warnings),
        "created_by": order.created_by.value,
        **order.plan_extra,
    }


def enqueue_switch(
    tx: sa.Connection, now: datetime, order: MoveOrder, switch: Row, target: Mapping[str, str] | None
) -> CommandId:
    """The old half's work, as one command for the present holder."""
    executor = tx.execute(sa.select(clients.c.executor).where(clients.c.id == order.client_id)).scalar_one()
    launch = None
    if order.replica_id is None and executor == Executor.AGENT:
        launch = launch_orders.payload_of(
            tx,
            now,
            client_id=order.client_id,
            agent_id=order.agent_id,
            pool=order.target,
            mode=order.target_mode,
            image_id=image_of(order.agent),
            purpose="successor",
            devices=launch_orders.devices_of(tx, InstanceId(order.held.instance_id), order.plan.kind),
            switch_id=switch.id,
        )
        wisher = intentions.Wisher(
            order.client_id, order.agent_id, SwitchId(switch.id), None, voluntary=order.is_capped
        )
        usd = order.prices["new"]
        intentions.reserve(tx, now, wisher, pool=order.target, mode=order.target_mode, usd_per_hour=usd)
    payload = {
        "switch_id": switch.id,
        "kind": order.plan.kind.value,
        "epoch": order.held.epoch,
        "executor": executor,
        "close_by": None if order.close_by is None else rfc3339(order.close_by),
        "target": target,
        "launch": launch,
    }
    return commands.enqueue(
        tx,
        now,
        client_id=order.client_id,
        agent_id=order.agent_id,
        instance_id=InstanceId(order.held.instance_id),
        command_type=CommandType.SWITCH,
        priority=order.priority,
        created_by=order.created_by,
        expires_at=switch.deadline_at,
        target_mode=order.target_mode,
        target_pool_id=order.target.id,
        terminate_wait_seconds=order.agent.terminate_wait_seconds,
        trigger_type=order.trigger,
        reason=order.reason,
        payload=payload,
        epoch=order.held.epoch,
    )


def image_of(agent: Row) -> str:
    if agent.ami_id is None:
        raise Refused("the agent's image is not known: its registration must tell ami_id")
    return str(agent.ami_id)
