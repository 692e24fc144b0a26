"""The old instance of a move whose new one is proven: ended in its time, by what its user says at that moment."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from spotguard.coordinator.context import REST, Context, Row
from spotguard.domain.clock import rfc3339
from spotguard.domain.commands import CommandStatus, CommandType, CreatedBy, Priority
from spotguard.domain.errors import NeedsPerson, NotVisible, Refused
from spotguard.domain.ids import AgentId, ClientId, InstanceId
from spotguard.domain.instances import InstanceState
from spotguard.domain.switches import Step
from spotguard.domain.tags import ADOPTED_TAG
from spotguard.execution.ending import look_before_end
from spotguard.ports.cloud import Cloud
from spotguard.store import commands, events, fleet, grants, moves, old_ends, sightings
from spotguard.store.invariant_moves import ENDS_OLD
from spotguard.store.prepared import Prepared
from spotguard.store.steps import LEFT_RUNNING, SERVER
from spotguard.store.tables import commands as commands_table
from spotguard.store.tables import switches

COMMAND_VALID = timedelta(minutes=10)
REFUSED_FOR = timedelta(minutes=10)  # so long EC2 is not asked again, nor its end announced
_REFUSED = "its end was refused"
ASK_AGAIN = timedelta(minutes=5)  # a successor that refused or failed to end the old one
_TRIED = (CommandStatus.FAILED.value, CommandStatus.REFUSED.value, CommandStatus.EXPIRED.value)
_ENDING = (InstanceState.SHUTTING_DOWN.value, InstanceState.TERMINATED.value)


_SAID_TO_HAVE_ENDED = Prepared(
    sa.select(switches.c.old_terminated_at).where(switches.c.id == sa.bindparam("switch"))
)


def only_said_to_have_ended(tx: sa.Connection, switch: Row) -> bool:
    """An agent's word that nobody has seen in EC2 yet: until then it is neither ended nor left running."""
    ended_at = _SAID_TO_HAVE_ENDED.scalar(tx, {"switch": switch.id})
    old = None if ended_at is None else sightings.get(tx, switch.old_instance_id)
    return old is not None and bool(old.is_active)


def end(ctx: Context, now: datetime, switch: Row, times: dict[Step, datetime]) -> bool:
    old = None
    if switch.old_instance_id is not None:
        old = ctx.db.read(lambda tx: sightings.get(tx, switch.old_instance_id))
    held = ctx.db.read(lambda tx: grants.holder(tx, switch.agent_id))
    if old is None or not old.is_active:
        at = now if old is None else old.ended_at or old.terminated_at or now
        return ctx.db.write(lambda tx: moves.record_step(tx, now, switch.id, Step.OLD_ENDED, at, SERVER))
    if held is not None and held.instance_id == old.id:
        return _leave(ctx, now, switch, "it serves again")
    said = ctx.db.read(lambda tx: old_ends.word(tx, switch))
    if not said.auto_terminate:
        return _leave(ctx, now, switch, "auto-terminate is off") if Step.VERIFIED in times else False
    if said.due is None or old.ec2_state in _ENDING:
        return False
    return _when_due(ctx, now, switch, said, said.due)


def _when_due(ctx: Context, now: datetime, switch: Row, said: old_ends.Word, due: datetime) -> bool:
    if now < due:
        return _wait(ctx, now, switch, due)
    if said.hold is not None:
        return _hold(ctx, now, switch, said.hold)
    return _terminate(ctx, now, switch, InstanceId(switch.old_instance_id))


def _wait(ctx: Context, now: datetime, switch: Row, due: datetime) -> bool:
    if (due - now).total_seconds() < ctx.settings.pass_seconds:
        ctx.soon(now, (due - now).total_seconds())
    ctx.rest(switch.id, now, due)
    return False


def _hold(ctx: Context, now: datetime, switch: Row, because: str) -> bool:
    """The old one runs on until its user says otherwise."""
    if ctx.news(switch.id, because, now):
        message = f"{switch.old_instance_id} is not ended: {because}"
        ctx.db.write(lambda tx: _tell(tx, now, switch, "old_kept", message))
    ctx.rest(switch.id, now, now + REST)
    return False


def _leave(ctx: Context, now: datetime, switch: Row, because: str) -> bool:
    return ctx.db.write(lambda tx: _is_left(tx, now, switch, because))


def _is_left(tx: sa.Connection, now: datetime, switch: Row, because: str) -> bool:
    """Nothing is terminated: the specification's column stays NULL, and the step says why."""
    detail = {LEFT_RUNNING: True, "because": because}
    return moves.record_step(tx, now, switch.id, Step.OLD_ENDED, now, SERVER, detail)


def _leave_unowned(tx: sa.Connection, now: datetime, switch: Row, old: InstanceId, because: str) -> bool:
    """Its user wants it ended and never handed it over: he alone can end what he goes on paying for."""
    if not _is_left(tx, now, switch, because):
        return False
    message = (
        f"{because}. It is billed beside the new one until you end it yourself. SpotGuard ends the old instance of a "
        f"move where it is tagged {ADOPTED_TAG}={switch.agent_id} before the waiting time is over"
    )
    _tell(tx, now, switch, "needs_person", message, instance_id=old)
    return True


def _terminate(ctx: Context, now: datetime, switch: Row, old: InstanceId) -> bool:
    """By the successor's agent where agents execute; by the server where it does, or where the agent may not."""
    cloud = ctx.clouds(ClientId(switch.client_id))
    by_agent = ctx.db.write(lambda tx: _ask_successor(tx, now, switch, old, fallback=cloud is not None))
    if by_agent is not None:
        ctx.wakeup.agent(by_agent)
        return True
    if cloud is None or _was_just_refused(ctx, now, switch) or ctx.db.read(lambda tx: _is_asked(tx, switch)):
        return False
    ctx.soon(now, 5)
    return _terminate_here(ctx, now, cloud, switch, old)


def _terminate_here(ctx: Context, now: datetime, cloud: Cloud, switch: Row, old: InstanceId) -> bool:
    """False where EC2 does not show it: long gone, perhaps, and observation counts its absences."""
    try:
        if look_before_end(cloud, old, switch.agent_id, ctx.maker(switch.client_id)) is None:
            return False
    except Refused as refusal:
        because = str(refusal)
        return ctx.db.write(lambda tx: _leave_unowned(tx, now, switch, old, because))
    if not ctx.db.write(lambda tx: _announce(tx, now, switch, old)):
        return False
    try:
        cloud.terminate_instance(old)
    except NotVisible:
        return False
    except NeedsPerson as error:
        return _needs_person(ctx, now, switch, old, error)
    return True


def _was_just_refused(ctx: Context, now: datetime, switch: Row) -> bool:
    at = ctx.told.get((switch.id, _REFUSED))
    return at is not None and now - at < REFUSED_FOR


def _needs_person(ctx: Context, now: datetime, switch: Row, old: InstanceId, error: NeedsPerson) -> bool:
    """As where it is protected from termination (E23). Nobody tells us when that is mended: asked again, seldom."""
    ctx.told[switch.id, _REFUSED] = now
    if ctx.news(switch.id, error.code, now):
        message = (
            f"EC2 refuses the end of {old}, and it is billed beside the new one; a person must act: {error}"
        )
        ctx.db.write(
            lambda tx: _tell(tx, now, switch, "needs_person", message, instance_id=old, code=error.code)
        )
    return False


def _announce(tx: sa.Connection, now: datetime, switch: Row, old: InstanceId) -> bool:
    """The last look at what its user says, and the word that it is ended, in one transaction; False: it is not."""
    fleet.hold(tx, now, switch.agent_id)
    if not old_ends.word(tx, switch).allows(now):
        return False
    why = f"{old} is told to end: the waiting time is over"
    _tell(tx, now, switch, ENDS_OLD, why, instance_id=old)
    return True


def _is_asked(tx: sa.Connection, switch: Row) -> bool:
    """A command to end it is open."""
    c = commands_table.c
    found = sa.select(c.id).where(
        c.agent_id == switch.agent_id,
        c.command_type == CommandType.TERMINATE_INSTANCE.value,
        c.status.in_([CommandStatus.PENDING.value, CommandStatus.LEASED.value]),
    )
    return tx.execute(found.limit(1)).first() is not None


def _ask_successor(
    tx: sa.Connection, now: datetime, switch: Row, old: InstanceId, *, fallback: bool
) -> str | None:
    """One `terminate_instance` command for the present holder; None when the server has to do it or one is open."""
    if not moves.executes_itself(tx, switch.client_id) or _is_asked(tx, switch):
        return None
    fleet.hold(tx, now, switch.agent_id)
    if not old_ends.word(tx, switch).allows(now):
        return None
    c = commands_table.c
    earlier = tx.execute(
        sa.select(c.status, c.payload, c.created_at).where(
            c.agent_id == switch.agent_id,
            c.command_type == CommandType.TERMINATE_INSTANCE.value,
            c.created_at >= switch.created_at,
        )
    ).all()
    tried = [
        row
        for row in earlier
        if row.payload.get("instance_id") == old and row.status != CommandStatus.CANCELLED
    ]
    if tried and (
        fallback or any(row.status not in _TRIED or now - row.created_at < ASK_AGAIN for row in tried)
    ):
        return None
    held = grants.holder(tx, switch.agent_id)
    if held is None:
        return None
    commands.enqueue(
        tx,
        now,
        client_id=ClientId(switch.client_id),
        agent_id=AgentId(switch.agent_id),
        instance_id=InstanceId(held.instance_id),
        command_type=CommandType.TERMINATE_INSTANCE,
        priority=Priority.SCHEDULED,
        created_by=CreatedBy.COORDINATOR,
        expires_at=now + COMMAND_VALID,
        reason="the new instance is proven and the waiting time is over",
        payload={
            "instance_id": old,
            "switch_id": switch.id,
            "made_at": _made_at(tx, old),
            "clear": not fallback and not switch.is_recovery,  # a server without EC2 deletes nothing itself
        },
        epoch=held.epoch,
    )
    return str(held.instance_id)


def _made_at(tx: sa.Connection, old: InstanceId) -> str | None:
    row = sightings.get(tx, old)
    return None if row is None else rfc3339(row.launched_at or row.created_at)


def _tell(tx: sa.Connection, now: datetime, switch: Row, kind: str, message: str, **more: str) -> None:
    events.append(tx, now, switch.client_id, switch.agent_id, kind, message, {"switch_id": switch.id, **more})
