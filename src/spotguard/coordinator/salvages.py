"""After an unheard death: a copy of the dead holder's volume is shown to the new primary, compared, and deleted.

Copying → waiting (to be attached) → attached (the agent compares) → detaching → offered or failed. The volume itself is
shown to nobody: what was acknowledged last is in its journal alone, and to replay that writes. It is kept for a day,
for a person; what came to no comparison, until a person deletes it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from spotguard.coordinator import refusals, salvage_copies
from spotguard.coordinator.agenda import Agenda, Work
from spotguard.coordinator.context import Beat, Context, Row
from spotguard.coordinator.refusals import TOO_EARLY
from spotguard.domain.commands import CommandStatus
from spotguard.domain.errors import InvalidInput, NeedsPerson, NotVisible
from spotguard.domain.ids import AgentId, ClientId, InstanceId, VolumeId
from spotguard.domain.salvages import SALVAGE_DEVICE, SalvageStatus
from spotguard.ports.cloud import Cloud, VolumeState
from spotguard.store import dead_volumes, fleet, moves, restore_orders, salvages
from spotguard.store.tables import commands

OWED_SECONDS = 120.0
_MAY_BE_SHOWN = (SalvageStatus.WAITING, SalvageStatus.ATTACHED)
COPY_SHOWS_WITHIN = timedelta(minutes=10)  # the copy, once EC2 has said that it makes it
_HOURS = 12
BEGINS_WITHIN = timedelta(hours=_HOURS)  # of the death: it ends while the volume is kept for some hours yet
NOT_PROVEN = "the new primary was not proven for so long"
HELD = timedelta(minutes=15)  # a detaching that takes longer waits for a person
SECONDS = 10.0  # between two looks at an open one


class Salvages:
    """Looks at the recoveries that owe one, and at those that are open."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self._beat = Beat(OWED_SECONDS)

    def run(self, now: datetime, agenda: Agenda) -> int:
        begun = 0
        if self._beat.is_due(now):
            owed = self.ctx.db.read(salvages.owed)
            begun = self.ctx.each("salvage", owed, lambda switch: self._begin(now, switch))
        opened = agenda.of(Work.SALVAGE)
        return begun + self.ctx.each("salvages", opened, lambda row_id: self._look(now, row_id))

    def _begin(self, now: datetime, switch: Row) -> bool:
        if self.ctx.clouds(ClientId(switch.client_id)) is None:
            return False  # whoever calls EC2 for this client keeps the volume for a person
        why = self.ctx.db.read(lambda tx: _why_not_yet(tx, switch))
        if why is not None and now < switch.created_at + BEGINS_WITHIN:
            return False
        if now >= switch.created_at + BEGINS_WITHIN:
            why = f"its look did not begin within {_HOURS} hours of the death ({why or NOT_PROVEN})"
        return self.ctx.db.write(lambda tx: salvages.begin(tx, now, switch, why))

    def _look(self, now: datetime, salvage_id: str) -> bool:
        """What EC2 refuses is told: moves that users want, and restore points, wait until it is over."""
        row = self.ctx.db.read(lambda tx: salvages.get(tx, salvage_id))
        with refusals.told(self.ctx, now, row, AgentId(row.agent_id)):
            return self._carry_on(now, row)

    def _carry_on(self, now: datetime, row: Row) -> bool:
        cloud = self.ctx.clouds(ClientId(row.client_id))
        if cloud is None:
            if row.status != SalvageStatus.COPYING and self.ctx.news(row.id, "out of reach", now):
                self.ctx.db.write(lambda tx: salvages.tell_out_of_reach(tx, now, row))
            return False
        self.ctx.soon(now, SECONDS)
        match SalvageStatus(row.status):
            case SalvageStatus.COPYING:
                return self._copy(now, cloud, row)
            case SalvageStatus.WAITING:
                return self._attach(now, cloud, row)
            case SalvageStatus.ATTACHED:
                return self._hear(now, row)
            case SalvageStatus.DETACHING:
                return self._detach(now, cloud, row)
            case _:
                return False

    def _copy(self, now: datetime, cloud: Cloud, row: Row) -> bool:
        why = self.ctx.db.read(lambda tx: _why_not(tx, now, row))
        if why is not None:
            return self._judge(now, row, because=why)
        try:
            return salvage_copies.make(self.ctx, now, cloud, row)
        except NeedsPerson as error:
            return self._judge(now, row, because=f"it was not copied: {error}")

    def _attach(self, now: datetime, cloud: Cloud, row: Row) -> bool:
        why = self.ctx.db.read(lambda tx: _why_not(tx, now, row))
        if row.copy_id is None:
            why = "a server before this one has begun it, without a copy"
        if why is not None:
            return self._judge(now, row, because=why)
        copy_id = VolumeId(row.copy_id)
        shown = cloud.describe_volumes([copy_id])
        if not shown:
            is_late = now > row.deadline_at - salvages.LOOKS_WITHIN + COPY_SHOWS_WITHIN
            return is_late and self._judge(
                now, row, because=f"EC2 shows no {copy_id}, the copy that it made of it"
            )
        if shown[0].attached_to == row.instance_id and shown[0].state is VolumeState.IN_USE:
            asked = self.ctx.db.write(lambda tx: salvages.ask(tx, now, row))
            self.ctx.wakeup.agent(row.instance_id)
            return asked
        if shown[0].attached_to is None and shown[0].state is VolumeState.AVAILABLE:
            try:
                cloud.attach_volume(copy_id, InstanceId(row.instance_id), SALVAGE_DEVICE)
            except NeedsPerson as error:
                return self._judge(now, row, because=str(error)) if error.code not in TOO_EARLY else False
            if self.ctx.db.read(lambda tx: salvages.get(tx, row.id)).status not in _MAY_BE_SHOWN:
                cloud.detach_volume(
                    copy_id, InstanceId(row.instance_id)
                )  # another coordinator has ended the look
        return False

    def _hear(self, now: datetime, row: Row) -> bool:
        answer = self.ctx.db.read(
            lambda tx: tx.execute(sa.select(commands).where(commands.c.id == row.command_id)).one()
        )
        if answer.status == CommandStatus.COMPLETED:
            try:
                return self._judge(now, row, **salvages.measured(answer.result))
            except InvalidInput as error:
                return self._judge(now, row, because=str(error))
        if answer.status not in (CommandStatus.PENDING, CommandStatus.LEASED):
            return self._judge(now, row, because=answer.message or f"the comparison is {answer.status}")
        why = self.ctx.db.read(lambda tx: _why_not(tx, now, row))
        return why is not None and self._judge(now, row, because=why)

    def _judge(self, now: datetime, row: Row, **told: object) -> bool:
        due = now + HELD
        return self.ctx.db.write(
            lambda tx: salvages.move(tx, row, SalvageStatus.DETACHING, deadline_at=due, **told)
        )

    def _detach(self, now: datetime, cloud: Cloud, row: Row) -> bool:
        """Over when EC2 shows no copy any more. A server before this one has shown the volume itself."""
        volume_id = VolumeId(row.copy_id or row.volume_id)
        try:
            shown = cloud.describe_volumes([volume_id])
            if shown and shown[0].attached_to == row.instance_id:
                self._tell_held(now, row)
                cloud.detach_volume(volume_id, InstanceId(row.instance_id))
                return False
        except NotVisible:
            return False
        if not salvage_copies.clear(self.ctx, now, cloud, row):
            return False
        return self.ctx.db.write(lambda tx: _conclude(tx, now, row))

    def _tell_held(self, now: datetime, row: Row) -> None:
        """Once: EC2 takes nothing away that is mounted, and moves and restore points wait for it."""
        if now >= row.deadline_at and self.ctx.news(row.id, "held", now):
            self.ctx.db.write(lambda tx: salvages.tell_held(tx, now, row))


def _why_not_yet(tx: sa.Connection, switch: Row) -> str | None:
    """A look is voluntary, and waits until nothing else of this agent moves, and all that was left is free."""
    agent = fleet.agent_row(tx, switch.agent_id)
    if moves.preparing_of(tx, agent.id) is not None:
        return "the workload moves"
    attached = dead_volumes.left_by(tx, InstanceId(switch.old_instance_id)).still_attached
    if attached:
        return f"EC2 still shows {', '.join(attached)} attached"
    return restore_orders.why_not(tx, agent)


def _why_not(tx: sa.Connection, now: datetime, row: Row) -> str | None:
    agent = fleet.agent_row(tx, AgentId(row.agent_id))
    if now > row.deadline_at:
        return "its time was over before it was compared"
    if agent.instance_id != row.instance_id or moves.preparing_of(tx, agent.id) is not None:
        return "the workload moved on meanwhile"
    return restore_orders.why_not(tx, agent)


def _conclude(tx: sa.Connection, now: datetime, row: Row) -> bool:
    status = SalvageStatus.OFFERED if row.compared else SalvageStatus.FAILED
    if not salvages.move(tx, row, status, completed_at=now):
        return False
    salvages.tell(tx, now, salvages.get(tx, row.id))
    return True
