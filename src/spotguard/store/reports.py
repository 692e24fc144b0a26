"""Switch reports: what agents tell of a move, in any order and any number of times, ends in the same rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from spotguard.domain.commands import CommandStatus, CommandType
from spotguard.domain.errors import NotFound, Refused
from spotguard.domain.ids import AgentId, ClientId, InstanceId, SwitchId
from spotguard.domain.instances import Mode
from spotguard.domain.switches import Step
from spotguard.store import (
    events,
    moves,
    releases,
    replicas,
    report_ends,
    report_rights,
    shapes,
    sightings,
    tickets,
)
from spotguard.store.prepared import Prepared
from spotguard.store.report_ends import SwitchReport
from spotguard.store.steps import record_step, recorded_steps
from spotguard.store.tables import agents, commands, instances, switches

# Who tells these: the server itself. An agent that claimed them could talk itself into serving.
SERVER_STEPS = frozenset({Step.ENROLLED, Step.SNAPSHOTTED, Step.GRANTED, Step.VERIFIED, Step.PRUNED})
_TOLD = {
    Step.RELEASED: "{by} has stopped the workload and let go of it",
    Step.OPENED: "{by} serves the workload",
    Step.TRAFFIC_MOVED: "clients reach the workload on {by}",
    Step.OLD_ENDED: "{old}, which had served before, is ended, says {by}",
}
_OF_AGENT = sa.select(switches).where(switches.c.agent_id == sa.bindparam("agent"))
_BY_ID = Prepared(_OF_AGENT.where(switches.c.id == sa.bindparam("switch")))
_BY_COMMAND = Prepared(_OF_AGENT.where(switches.c.command_id == sa.bindparam("command")))
_AUTO_TERMINATE = Prepared(
    sa.select(agents.c.auto_terminate_enabled).where(agents.c.id == sa.bindparam("agent"))
)
_KEEP_LEASE = Prepared(
    sa.update(commands)
    .where(
        commands.c.id == sa.bindparam("command"),
        commands.c.lease_holder == sa.bindparam("by"),
        commands.c.status == CommandStatus.LEASED.value,
    )
    .values(lease_until=sa.bindparam("until"))
)
_NEW = Prepared(
    sa.select(instances.c.private_ip, instances.c.hears).where(instances.c.id == sa.bindparam("new"))
)


@dataclass(frozen=True)
class Applied:
    """The move as it stands now. `target`: the new instance's id and address, once it has enrolled."""

    row: Row[Any]
    recorded: list[Step]
    target: tuple[str, str | None] | None
    granted: bool


def apply_switch_report(
    tx: Connection,
    now: datetime,
    *,
    client_id: ClientId,
    agent_id: AgentId,
    instance_id: InstanceId,
    report: SwitchReport,
    lease_seconds: float = 60,
) -> Applied:
    """Records what is new. `NotFound`: no such move of this agent; `Refused`: the report contradicts what is known."""
    report = _with_its_command(tx, agent_id, report)
    row = _find(tx, agent_id, report) or report_ends.adopt(tx, now, client_id, agent_id, report)
    switch_id = SwitchId(row.id)
    _require_part(tx, row, instance_id, report)
    report_rights.require_rights(tx, row, instance_id, report)
    tickets.destroyed(tx, now, instance_id, report.destroyed)
    report_ends.name_new_instance(tx, now, row, instance_id, report)
    _record_prices(tx, row, report)
    auto_terminate = _auto_terminate(tx, agent_id)
    for step in sorted(report.timing, key=list(Step).index):
        if step is Step.OLD_ENDED and not auto_terminate:
            continue  # the specification: the column stays NULL and the old instance active
        _record(tx, now, row, instance_id, step, report.timing[step])
    if auto_terminate and Step.OLD_ENDED in report.timing:
        ended_at = report.timing[Step.OLD_ENDED]
        sightings.said_to_have_ended(tx, row.agent_id, row.old_instance_id, now, ended_at)
    _keep_lease(tx, now, row, instance_id, lease_seconds)
    granted = moves.grant_if_due(tx, now, switch_id)
    replicas.recount(tx, agent_id)
    row = moves.get(tx, switch_id)
    if report.remarks and row.new_instance_id is not None:
        shapes.tell(tx, now, client_id, agent_id, row.new_instance_id, report.remarks)
    return Applied(row, recorded_steps(tx, switch_id), _target(tx, row), granted)


def _with_its_command(tx: Connection, agent_id: AgentId, report: SwitchReport) -> SwitchReport:
    """The specification's own body names neither command nor move: it is about its old instance's newest `switch`."""
    if report.switch_id is not None or report.command_id is not None or report.old is None:
        return report
    newest = (
        sa.select(commands.c.id)
        .where(
            commands.c.agent_id == agent_id,
            commands.c.instance_id == report.old.instance_id,
            commands.c.command_type == CommandType.SWITCH.value,
        )
        .order_by(commands.c.created_at.desc(), commands.c.id)
        .limit(1)
    )
    return replace(report, command_id=tx.scalar(newest))


def _find(tx: Connection, agent_id: AgentId, report: SwitchReport) -> Row[Any] | None:
    if report.switch_id is not None:
        row = _by_id(tx, agent_id, report.switch_id)
        if row is None:
            raise NotFound("no such move of this agent")
        return row
    if report.command_id is None:
        return None
    of_its: Row[Any] | None = _BY_COMMAND.first(tx, {"agent": agent_id, "command": report.command_id})
    if of_its is not None:
        return of_its
    of_command = sa.select(commands.c.payload).where(
        commands.c.id == report.command_id, commands.c.agent_id == agent_id
    )
    payload = tx.scalar(of_command) or {}  # a promote command names its move in its payload
    return _by_id(tx, agent_id, payload.get("switch_id"))


def _by_id(tx: Connection, agent_id: AgentId, switch_id: str | None) -> Row[Any] | None:
    row: Row[Any] | None = _BY_ID.first(tx, {"agent": agent_id, "switch": switch_id})
    return row


def _require_part(tx: Connection, row: Row[Any], instance_id: InstanceId, report: SwitchReport) -> None:
    """The two instances of the move; and that it has ended the old one, a later holder that was asked to."""
    new = report.new.instance_id if report.new else None
    if row.old_instance_id and report.old and report.old.instance_id != row.old_instance_id:
        raise Refused(f"this move leaves {row.old_instance_id}, not {report.old.instance_id}")
    if row.new_instance_id and new and new != row.new_instance_id:
        raise Refused(f"this move goes to {row.new_instance_id}, not {new}: end the other one")
    if instance_id not in {row.old_instance_id, row.new_instance_id or new}:
        only_that = report.timing.keys() == {Step.OLD_ENDED} and report.old is None and report.new is None
        if not (only_that and _was_asked_to_end_old(tx, row, instance_id)):
            raise Refused("only the two instances of a move report on it")


def _was_asked_to_end_old(tx: Connection, row: Row[Any], instance_id: InstanceId) -> bool:
    asked = sa.select(commands.c.payload).where(
        commands.c.agent_id == row.agent_id,
        commands.c.instance_id == instance_id,
        commands.c.command_type == CommandType.TERMINATE_INSTANCE.value,
    )
    return any(payload.get("switch_id") == row.id for payload in tx.scalars(asked))


def _record_prices(tx: Connection, row: Row[Any], report: SwitchReport) -> None:
    """First told stays: prices at the time of the move, in USD per hour; the impact is old − new."""
    on_demand = row.on_demand_price if row.on_demand_price is not None else report.on_demand
    old = row.old_spot_price if row.old_spot_price is not None else report.old_spot
    new = row.new_spot_price if row.new_spot_price is not None else report.new_spot
    old_mode = row.old_mode or (report.old.mode if report.old else None)
    new_mode = row.new_mode or (report.new.mode if report.new else None)
    paid_before = on_demand if old_mode == Mode.ONDEMAND else old
    paid_after = on_demand if new_mode == Mode.ONDEMAND else new
    impact = None if paid_before is None or paid_after is None else paid_before - paid_after
    known = (row.on_demand_price, row.old_spot_price, row.new_spot_price, row.savings_impact)
    if known != (on_demand, old, new, impact):
        tx.execute(
            sa.update(switches)
            .where(switches.c.id == row.id)
            .values(on_demand_price=on_demand, old_spot_price=old, new_spot_price=new, savings_impact=impact)
        )


def _auto_terminate(tx: Connection, agent_id: AgentId) -> bool:
    found = _AUTO_TERMINATE.first(tx, {"agent": agent_id})
    return found is not None and bool(found.auto_terminate_enabled)


def _record(tx: Connection, now: datetime, row: Row[Any], by: InstanceId, step: Step, at: datetime) -> None:
    switch_id = SwitchId(row.id)
    if step is Step.RELEASED and by != row.old_instance_id:
        if step not in recorded_steps(tx, switch_id):
            raise Refused("only the holder itself can let go of its epoch")
        return
    if step is Step.TRAFFIC_MOVED and by != row.new_instance_id:
        raise Refused("only the new instance tells that clients reach it")
    new = record_step(tx, now, switch_id, step, at, by)
    if step is Step.RELEASED:
        releases.let_go(tx, now, row, by, at)
    if new and step in _TOLD:
        events.append(
            tx,
            now,
            ClientId(row.client_id),
            AgentId(row.agent_id),
            f"move_{step.value}",
            _TOLD[step].format(by=by, old=row.old_instance_id),
            {"switch_id": row.id},
        )


def _keep_lease(tx: Connection, now: datetime, row: Row[Any], by: InstanceId, lease_seconds: float) -> None:
    """Whoever reports progress still has the command in hand."""
    if row.command_id is None:
        return
    until = now + timedelta(seconds=lease_seconds)
    _KEEP_LEASE.change(tx, {"command": row.command_id, "by": by, "until": until})


def _target(tx: Connection, row: Row[Any]) -> tuple[str, str | None] | None:
    if row.new_instance_id is None:
        return None
    new = _NEW.first(tx, {"new": row.new_instance_id})
    return None if new is None or not new.hears else (row.new_instance_id, new.private_ip)
