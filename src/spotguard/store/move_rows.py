"""A move's row in `switches`, and its command for the present holder."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from spotguard.domain.agents import Executor
from spotguard.domain.clock import rfc3339
from spotguard.domain.commands import CommandType
from spotguard.domain.errors import Refused
from spotguard.domain.ids import AgentId, CommandId, InstanceId, SwitchId
from spotguard.domain.instances import Mode
from spotguard.domain.switches import SwitchStatus
from spotguard.planning.deadlines import prepares_within
from spotguard.store import commands, intentions, launch_orders, move_plans
from spotguard.store.accounts import executor_of
from spotguard.store.move_orders import MoveOrder
from spotguard.store.prepared import Prepared, PreparedInsert
from spotguard.store.starting_images import image_of
from spotguard.store.tables import commands as commands_table
from spotguard.store.tables import switches

Row = sa.Row[Any]
_AFTER_CLOSE = timedelta(minutes=10)
"""A hand-over whose deadline has passed is soon a death, or was a false alarm."""

_SWITCH = Prepared(sa.select(switches).where(switches.c.id == sa.bindparam("switch")))
_INSERT = PreparedInsert(switches)
_PREPARING = Prepared(sa.select(switches).where(switches.c.open_agent_id == sa.bindparam("agent")))


def get(tx: sa.Connection, switch_id: SwitchId) -> Row:
    row: Row = _SWITCH.one(tx, {"switch": switch_id})
    return row


def preparing_of(tx: sa.Connection, agent_id: AgentId) -> Row | None:
    """The move that is under way before its grant."""
    return _PREPARING.first(tx, {"agent": agent_id})


def insert_switch(tx: sa.Connection, now: datetime, order: MoveOrder) -> SwitchId:
    """The row, one preparing at a time; `Refused` when another process was first."""
    switch_id = SwitchId(str(uuid.uuid4()))
    try:
        _INSERT.add(tx, _row(now, switch_id, order))
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
        "new_spot_price": order.prices["new_spot"] if decided_target else None,
        "savings_impact": old - new if decided_target and old is not None and new is not None else None,
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
        "goes_back_to": None if order.goes_back is None else order.goes_back.instance_id,
        "created_by": order.created_by.value,
        **order.plan_extra,
    }


def executor(tx: sa.Connection, switch: Row) -> Executor:
    """As the move's command says; one that is chosen later counts for later moves."""
    c = commands_table.c
    payload = tx.scalar(sa.select(c.payload).where(c.id == switch.command_id)) or {}
    return Executor(payload.get("executor") or executor_of(tx, switch.client_id))


def enqueue_switch(
    tx: sa.Connection, now: datetime, order: MoveOrder, switch: Row, target: Mapping[str, str] | None
) -> CommandId:
    """The old half's work, as one command for the present holder."""
    executor = executor_of(tx, order.client_id)
    launch = None
    if order.replica_id is None and order.goes_back is None and executor is Executor.AGENT:
        launch = launch_orders.payload_of(
            tx,
            now,
            client_id=order.client_id,
            agent_id=order.agent_id,
            pool=order.target,
            mode=order.target_mode,
            image_id=image_of(tx, order.agent),
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
        "executor": executor.value,
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
