"""Restore drills: a clone of the newest restore point is launched in quarantine, probed, judged, and ended.

One step at a time, each written down: waiting (intention, launch) → running (enrolled, asked to open its gate for a
probe) → ending (judged; the machine is terminated, its volumes deleted) → passed or failed. Nothing is believed to be
gone before EC2 shows it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from spotguard.coordinator import clones, launches
from spotguard.coordinator.clones import in_quarantine
from spotguard.coordinator.context import Context, Row
from spotguard.coordinator.launches import Order
from spotguard.domain.commands import CommandStatus, CommandType, CreatedBy, Priority
from spotguard.domain.drills import PURPOSE, DrillStatus
from spotguard.domain.errors import CloudError, Refused
from spotguard.domain.ids import AgentId, ClientId, CommandId, DrillId, InstanceId
from spotguard.domain.traffic import TargetGroup, route_of
from spotguard.execution.launching import Launched, NotYet
from spotguard.planning.drills import BOOTS_WITHIN, LAUNCHED_WITHIN, Verdict, judge_restore, span
from spotguard.ports.cloud import Cloud
from spotguard.store import (
    commands,
    drills,
    events,
    fleet,
    grants,
    intentions,
    rehearsed,
    restore_orders,
    sightings,
    traffic,
)
from spotguard.store.restore_orders import NO_QUARANTINE, DueDrill
from spotguard.store.tables import commands as commands_table
from spotguard.store.tables import instances
from spotguard.telemetry import get_logger

NO_EC2 = "restore points are rehearsed by a server with the client's AWS account, and this client has none"
SLOW_TO_CLEAR = timedelta(minutes=30)
log = get_logger("coordinator")
_ANSWERED = {
    CommandStatus.FAILED,
    CommandStatus.REFUSED,
    CommandStatus.EXPIRED,
    CommandStatus.CANCELLED,
}


class RestoreDrills:
    """Carries one drill on by one step."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx

    def order_due(self, now: datetime) -> int:
        """Those of the schedule."""
        due = self.ctx.db.read(lambda tx: restore_orders.due(tx, now))
        return self.ctx.each("restore drills", due, lambda one: self._order(now, one))

    def _order(self, now: datetime, due: DueDrill) -> bool:
        client_id, agent_id = due.client_id, due.agent_id
        if self.ctx.clouds(client_id) is None:
            return False  # there would be no restore point either, and that duty says so
        if due.quarantine_group is None:
            return self._ask_for_quarantine(now, due)
        try:
            self.ctx.db.write(
                lambda tx: restore_orders.order_restore(tx, now, client_id, agent_id, CreatedBy.COORDINATOR)
            )
        except Refused as refusal:
            self._tell(now, client_id, agent_id, f"a restore drill is due and waits: {refusal}")
            return False
        self.ctx.soon(now, 1)
        return True

    def _ask_for_quarantine(self, now: datetime, due: DueDrill) -> bool:
        """Who orders a drill himself knows what his workload does; nobody is surprised by one."""
        if self.ctx.news(due.agent_id, NO_QUARANTINE, now):
            told = now, due.client_id, due.agent_id, "restore_drill", NO_QUARANTINE, due.every
            self.ctx.db.write(lambda tx: events.append_every(tx, *told))
        return False

    def carry_on(self, now: datetime, drill: Row) -> bool:
        cloud = self.ctx.clouds(ClientId(drill.client_id))
        if cloud is None:
            return self._without_ec2(now, drill)
        match DrillStatus(drill.status):
            case DrillStatus.WAITING:
                return self._launch(now, cloud, drill)
            case DrillStatus.RUNNING:
                return self._probe(now, drill)
            case _:
                return self._clear(now, cloud, drill)

    def _without_ec2(self, now: datetime, drill: Row) -> bool:
        """Before anything was asked of EC2 it fails; later it waits until its account is back."""
        if self.ctx.db.read(lambda tx: intentions.of_seed(tx, drill.id)):
            return False
        verdict = Verdict(passed=False, because=NO_EC2)
        return self.ctx.db.write(lambda tx: drills.conclude(tx, now, drill, verdict))

    def _launch(self, now: datetime, cloud: Cloud, drill: Row) -> bool:
        stop = self.ctx.db.read(lambda tx: restore_orders.why_not(tx, fleet.agent_row(tx, drill.agent_id)))
        if stop is None and now > drill.created_at + LAUNCHED_WITHIN:
            stop = f"no clone could be launched within {LAUNCHED_WITHIN.total_seconds() / 60:.0f} minutes"
        if stop is not None:
            return self._judge(now, drill, passed=False, because=stop)
        try:
            result = launches.carry_on(self.ctx, now, cloud, self._wish(now, drill))
        except Refused as refusal:  # a spend cap or a quota
            return self._judge(now, drill, passed=False, because=str(refusal))
        match result:
            case Launched():
                view = result.instance
                self.ctx.soon(now, 5)
                return self.ctx.db.write(
                    lambda tx: drills.move(
                        tx,
                        drill,
                        DrillStatus.RUNNING,
                        instance_id=view.instance_id,
                        launched_at=view.launched_at,
                        state_age_seconds=span(drill.image_made_at, view.launched_at),
                        deadline_at=view.launched_at + BOOTS_WITHIN,
                    )
                )
            case NotYet():
                self.ctx.soon(now, result.again_seconds)
                return False
            case _:
                return self._judge(now, drill, passed=False, because=result.because)

    def _wish(self, now: datetime, drill: Row) -> Order:
        def look(tx: sa.Connection) -> Order:
            agent = fleet.agent_row(tx, drill.agent_id)
            held = grants.holder(tx, AgentId(drill.agent_id))
            return Order(
                agent=agent,
                purpose=PURPOSE,
                places=restore_orders.places(tx, now, agent),
                image_id=drill.image_id,
                devices=(),  # the image brings its own
                voluntary=True,
                drill_id=DrillId(drill.id),
                source=None if held is None else InstanceId(held.instance_id),
                reshape=lambda shape: in_quarantine(shape, agent.quarantine_group),
            )

        return self.ctx.db.read(look)

    def _probe(self, now: datetime, drill: Row) -> bool:
        stop = self.ctx.db.read(lambda tx: _why_stopped(tx, now, drill))
        if stop is not None:
            return self._judge(now, drill, passed=False, because=stop)
        if drill.command_id is None:
            asked = self.ctx.db.write(lambda tx: _ask(tx, now, drill))
            if asked:
                self.ctx.wakeup.agent(drill.instance_id)
            return asked
        command = self.ctx.db.read(lambda tx: _command(tx, drill))
        if command.status == CommandStatus.COMPLETED:
            return self._proven(now, drill, command.completed_at, command.result)
        if command.status in _ANSWERED:
            because = f"the clone {command.status}: {command.message or 'no reason given'}"
            return self._judge(now, drill, passed=False, because=because)
        return False

    def _proven(self, now: datetime, drill: Row, healthy_at: datetime, result: Any = None) -> bool:
        """`result`: what the clone's agent says that it has looked at."""
        clone, serving = self.ctx.db.read(lambda tx: rehearsed.look(tx, drill, result))
        verdict = judge_restore(clone, serving)
        told = {"healthy_at": healthy_at, "seconds": span(drill.launched_at, healthy_at)}
        return self._judge(
            now, drill, passed=verdict.passed, because=verdict.because, **(told if verdict.passed else {})
        )

    def _judge(self, now: datetime, drill: Row, *, passed: bool, because: str, **measured: object) -> bool:
        self.ctx.soon(now, 1)
        told = {"judged_passed": passed, "because": because, "deadline_at": now + SLOW_TO_CLEAR, **measured}
        return self.ctx.db.write(lambda tx: drills.move(tx, drill, DrillStatus.ENDING, **told))

    def _clear(self, now: datetime, cloud: Cloud, drill: Row) -> bool:
        """End and delete what was made; the drill is over when EC2 shows none of it."""
        if now > drill.deadline_at:
            late = "what a restore drill made is not gone yet: EC2 does not end or delete it"
            self._tell(now, ClientId(drill.client_id), AgentId(drill.agent_id), late)
        self._withdraw(now, drill)
        if not clones.clear(self.ctx, now, cloud, _set_apart(drill)):
            return False
        return self.ctx.db.write(lambda tx: _conclude(tx, now, drill))

    def _withdraw(self, now: datetime, drill: Row) -> None:
        """From a load balancer where the agent in its image, of another version perhaps, has announced it. A refusal
        holds up no end: what has ended is sent nobody.
        """
        told = self.ctx.db.read(lambda tx: traffic.route_told(tx, drill.agent_id))
        port = self.ctx.traffics(ClientId(drill.client_id))
        route = None if told is None else route_of(told)
        if drill.instance_id is None or port is None or not isinstance(route, TargetGroup):
            return
        if not self.ctx.news(drill.id, "withdrawn", now):
            return
        try:
            port.withdraw(route, InstanceId(drill.instance_id))
        except CloudError as error:
            log.warning("not withdrawn", instance=drill.instance_id, because=str(error))

    def _tell(self, now: datetime, client_id: ClientId, agent_id: AgentId, message: str) -> None:
        if self.ctx.news(agent_id, message, now):
            self.ctx.db.write(
                lambda tx: events.append(tx, now, client_id, agent_id, "restore_drill", message)
            )


def _why_stopped(tx: sa.Connection, now: datetime, drill: Row) -> str | None:
    machine = sightings.get(tx, drill.instance_id)
    if machine is not None and not machine.is_active:
        return f"its clone {drill.instance_id} has ended before it was healthy"
    if now > drill.deadline_at:
        enrolled = machine is not None and fleet.is_enrolled(machine)
        how_far = "its agent had enrolled" if enrolled else "its agent never enrolled"
        return f"not healthy within {BOOTS_WITHIN.total_seconds() / 60:.0f} minutes: {how_far}"
    return restore_orders.why_not(tx, fleet.agent_row(tx, drill.agent_id))


def _ask(tx: sa.Connection, now: datetime, drill: Row) -> bool:
    """Once it has enrolled: one command for the clone alone."""
    fleet.hold(tx, now, AgentId(drill.agent_id))
    if drills.get(tx, DrillId(drill.id)) != drill:
        return False  # somebody was first
    machine = sightings.get(tx, drill.instance_id)
    if machine is None or machine.drill_id != drill.id or not fleet.is_enrolled(machine):
        return False
    command_id = commands.enqueue(
        tx,
        now,
        client_id=ClientId(drill.client_id),
        agent_id=AgentId(drill.agent_id),
        instance_id=InstanceId(drill.instance_id),
        command_type=CommandType.DRILL,
        priority=Priority.SCHEDULED,
        created_by=CreatedBy.COORDINATOR,
        expires_at=drill.deadline_at,
        reason="a restore drill: open the gate for a probe",
        payload={"drill_id": drill.id},
    )
    return drills.move(tx, drill, DrillStatus.RUNNING, command_id=command_id)


def _command(tx: sa.Connection, drill: Row) -> Row:
    mine = commands_table.c.id == CommandId(drill.command_id)
    return tx.execute(sa.select(commands_table).where(mine)).one()


def _set_apart(drill: Row) -> clones.SetApart:
    return clones.SetApart(
        client_id=ClientId(drill.client_id),
        agent_id=AgentId(drill.agent_id),
        seed=drill.id,
        purpose=PURPOSE,
        mine=sa.or_(instances.c.drill_id == drill.id, instances.c.id == drill.instance_id),
        because=f"the clone of restore point {drill.image_id} had it, and its drill is over",
    )


def _conclude(tx: sa.Connection, now: datetime, drill: Row) -> bool:
    status = DrillStatus.PASSED if drill.judged_passed else DrillStatus.FAILED
    if not drills.move(tx, drill, status, completed_at=now):
        return False
    drills.tell_end(tx, now, drill, status, drill.because)
    return True
