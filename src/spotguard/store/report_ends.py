"""The two ends of a reported move: naming the new instance, and adopting a move that is told after the fact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row
from sqlalchemy.exc import IntegrityError

from spotguard.domain.commands import CommandType
from spotguard.domain.errors import InvalidInput, NotFound, Refused
from spotguard.domain.ids import AgentId, ClientId, CommandId, InstanceId, SwitchId, is_instance_id
from spotguard.domain.instances import Mode
from spotguard.domain.pools import parse_pool_id
from spotguard.domain.switches import MoveKind, Step, SwitchStatus, Trigger
from spotguard.store import events, intentions, looks
from spotguard.store.launched_for import require_not_anothers
from spotguard.store.secrets import new_id
from spotguard.store.steps import SERVER, record_step
from spotguard.store.tables import agents, commands, instances, switches


@dataclass(frozen=True)
class End:
    """One end of a move, as far as it was told."""

    instance_id: InstanceId
    instance_type: str | None = None
    region: str | None = None
    az: str | None = None
    mode: str | None = None
    pool_id: str | None = None
    ami_id: str | None = None

    def columns(self, side: str) -> dict[str, Any]:
        """The columns of `switches`: `old_…` or `new_…`."""
        return {f"{side}_{name}": value for name, value in asdict(self).items()}


@dataclass(frozen=True)
class SwitchReport:
    """A report, parsed; every part may be missing."""

    command_id: CommandId | None = None
    switch_id: SwitchId | None = None
    trigger: Trigger | None = None
    old: End | None = None
    new: End | None = None
    timing: Mapping[Step, datetime] = field(default_factory=dict)
    on_demand: Decimal | None = None
    old_spot: Decimal | None = None
    new_spot: Decimal | None = None
    destroyed: tuple[str, ...] = ()  # handover tickets that the speaker will never use or give
    remarks: tuple[str, ...] = ()  # what EC2 made otherwise than the new instance was asked for


def name_new_instance(
    tx: Connection, now: datetime, row: Row[Any], by: InstanceId, report: SwitchReport
) -> None:
    """The move's new instance, once and for all; its row if it has not registered yet (the specification's step 12)."""
    new = report.new
    if new is None:
        return
    _require_ours(tx, row.client_id, row.agent_id, new)
    known = instances.c.id == new.instance_id
    told = {name: value for name, value in new.columns("new").items() if value is not None}
    first = {name: sa.func.coalesce(switches.c[name], value) for name, value in told.items()}
    tx.execute(sa.update(switches).where(switches.c.id == row.id).values(**first))
    intentions.reserved_is(tx, now, new.instance_id, switch_id=SwitchId(row.id))
    if tx.execute(sa.select(instances.c.id).where(known)).first() is None:
        insert_instance(tx, now, row, new)
    tx.execute(
        sa.update(instances)
        .where(known, instances.c.switch_id.is_(None))
        .values(switch_id=row.id, updated_at=now)
    )
    record_step(tx, now, SwitchId(row.id), Step.LAUNCHED, report.timing.get(Step.LAUNCHED, now), by)
    enrolled_at = tx.scalar(sa.select(instances.c.installed_at).where(known, instances.c.hears))
    if enrolled_at is not None:
        record_step(tx, now, SwitchId(row.id), Step.ENROLLED, enrolled_at, new.instance_id)


def _require_ours(tx: Connection, client_id: str, agent_id: str, end: End) -> bool:
    """Whether it is known already; `NotFound` or `Refused` where it is somebody else's."""
    if not is_instance_id(end.instance_id):
        raise InvalidInput(f"not an instance id: {end.instance_id!r}")
    row = tx.execute(
        sa.select(instances.c.client_id, instances.c.agent_id).where(instances.c.id == end.instance_id)
    ).first()
    if row is None:
        require_not_anothers(tx, client_id, end.instance_id)
        return False
    if row.client_id != client_id:
        raise NotFound("no such instance")
    if row.agent_id not in {None, agent_id}:
        raise Refused("this instance belongs to another logical agent of yours")
    return True


def insert_instance(tx: Connection, now: datetime, row: Row[Any], new: End) -> None:
    """The row of a move's new instance, unless that was first to say who it is."""
    agent = tx.execute(sa.select(agents).where(agents.c.id == row.agent_id)).one()
    told = {
        "id": new.instance_id,
        "client_id": row.client_id,
        "agent_id": row.agent_id,
        "instance_type": new.instance_type or agent.instance_type,
        "region": new.region or agent.region,
        "az": new.az,
        "ami_id": new.ami_id,
        "current_mode": new.mode,
        "current_pool_id": new.pool_id,
        "baseline_ondemand_price": agent.baseline_ondemand_price,
        "is_active": True,
        "created_at": now,
        "updated_at": now,
        "switch_id": row.id,
    }
    try:
        with tx.begin_nested():
            tx.execute(sa.insert(instances), told)
    except IntegrityError:
        if not _require_ours(tx, row.client_id, row.agent_id, new):
            raise
        return
    if new.mode == Mode.SPOT and new.pool_id is not None:
        looks.launched(tx, now, ClientId(row.client_id), parse_pool_id(new.pool_id), new.instance_id)


def adopt(
    tx: Connection, now: datetime, client_id: ClientId, agent_id: AgentId, report: SwitchReport
) -> Row[Any]:
    """A row for a move that the server did not open (the specification's flow 10): both ends and a command of ours.

    Whoever let go of the epoch in it hands over (`preparing`, granted in the same transaction); any other such
    report is history (`completed`) and moves no epoch.
    """
    command = tx.execute(
        sa.select(commands).where(
            commands.c.id == report.command_id,
            commands.c.agent_id == agent_id,
            commands.c.command_type == CommandType.SWITCH.value,
        )
    ).first()
    if command is None:
        raise NotFound("no such move of this agent: give its switch_id, or the command_id that asked for it")
    if report.old is None or report.new is None:
        raise Refused("a move that the server has not opened is told whole: old_instance and new_instance")
    if report.old.instance_id != command.instance_id:
        raise Refused(f"this command asked {command.instance_id} to move, not {report.old.instance_id}")
    for end in (report.old, report.new):
        _require_ours(tx, client_id, agent_id, end)
    hands_over = Step.RELEASED in report.timing
    agent = tx.execute(sa.select(agents).where(agents.c.id == agent_id)).one()
    trigger = (report.trigger or Trigger(command.trigger_type or Trigger.MANUAL)).value
    switch_id = SwitchId(new_id())
    row = {
        "id": switch_id,
        "client_id": client_id,
        "agent_id": agent_id,
        "command_id": command.id,
        **report.old.columns("old"),
        **report.new.columns("new"),
        "event_trigger": trigger,
        "trigger_type": trigger,
        "timing_data": {},
        "created_at": now,
        "status": (SwitchStatus.PREPARING if hands_over else SwitchStatus.COMPLETED).value,
        "completed_at": None if hands_over else now,
        "kind": MoveKind.IMAGE.value,
        "from_epoch": agent.epoch,
        "plan": {"because": "reported after the fact by its agent"},
        "terminate_wait_seconds": command.terminate_wait_seconds,
        "auto_terminate": agent.auto_terminate_enabled,
    }
    try:
        with tx.begin_nested():
            tx.execute(sa.insert(switches), row)
    except IntegrityError as error:
        raise Refused("another move of this agent is open: this one is not told to be part of it") from error
    record_step(tx, now, switch_id, Step.DECIDED, report.timing.get(Step.DECIDED, command.created_at), SERVER)
    message = f"{report.old.instance_id} → {report.new.instance_id}, told after the fact"
    events.append(tx, now, client_id, agent_id, "move_adopted", message, {"switch_id": switch_id})
    return tx.execute(sa.select(switches).where(switches.c.id == switch_id)).one()
