"""After the grant a move only goes forward: opened, verified, the old instance ended, its leftovers deleted."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from spotguard.coordinator import leftovers
from spotguard.coordinator.context import Context, Row
from spotguard.domain.commands import CommandStatus, CommandType, CreatedBy, Priority
from spotguard.domain.errors import NotVisible, Refused
from spotguard.domain.ids import AgentId, ClientId, InstanceId, SwitchId
from spotguard.domain.instances import GateState, InstanceState
from spotguard.domain.switches import Step, SwitchStatus
from spotguard.execution.ending import look_before_end
from spotguard.store import commands, events, grants, moves, sightings, traffic
from spotguard.store.invariant_facts import ENDS_OLD
from spotguard.store.steps import LEFT_RUNNING, SERVER, step_times
from spotguard.store.tables import commands as commands_table
from spotguard.store.tables import switches

COMMAND_VALID = timedelta(minutes=10)
ASK_AGAIN = timedelta(minutes=5)  # a successor that refused or failed to end the old one
_TRIED = (CommandStatus.FAILED.value, CommandStatus.REFUSED.value, CommandStatus.EXPIRED.value)
_ENDING = (InstanceState.SHUTTING_DOWN.value, InstanceState.TERMINATED.value)


def advance(ctx: Context, now: datetime, switch: Row) -> bool:
    """One look at a committed move; True when it has got on."""
    changed = ctx.db.write(lambda tx: _open_and_verify(tx, now, switch, ctx.settings.healthy_checks))
    times = ctx.db.read(lambda tx: step_times(tx, switch.id))
    is_open = Step.OLD_ENDED not in times or ctx.db.read(lambda tx: _only_said_to_have_ended(tx, switch))
    if is_open:
        changed |= _end_old(ctx, now, switch, times)
        times = ctx.db.read(lambda tx: step_times(tx, switch.id)) if changed else times
        is_open = Step.OLD_ENDED not in times or ctx.db.read(lambda tx: _only_said_to_have_ended(tx, switch))
    if Step.VERIFIED in times and not is_open:
        changed |= _prune(ctx, now, switch)
    return changed


def _only_said_to_have_ended(tx: sa.Connection, switch: Row) -> bool:
    """An agent's word that nobody has seen in EC2 yet: until then it is neither ended nor left running."""
    ended_at = tx.scalar(sa.select(switches.c.old_terminated_at).where(switches.c.id == switch.id))
    old = None if ended_at is None else sightings.get(tx, switch.old_instance_id)
    return old is not None and bool(old.is_active)


def _open_and_verify(tx: sa.Connection, now: datetime, switch: Row, healthy_checks: int) -> bool:
    """By the new holder's own heartbeats; a later holder's, if that one has taken over meanwhile."""
    times = step_times(tx, switch.id)
    if Step.VERIFIED in times:
        return False
    has_route = traffic.route_told(tx, switch.agent_id) is not None
    held = grants.holder(tx, switch.agent_id)
    if held is None:
        return False
    serving = sightings.get(tx, held.instance_id)
    if serving is None or serving.last_heartbeat_at is None or serving.last_heartbeat_at <= held.granted_at:
        return False
    if serving.gate != GateState.OPEN:
        return False
    superseded = held.instance_id != switch.new_instance_id
    detail = {"superseded_by_epoch": held.epoch} if superseded else {}
    changed = Step.OPENED not in times and moves.record_step(
        tx, now, switch.id, Step.OPENED, serving.last_heartbeat_at, held.instance_id, detail
    )
    if Step.TRAFFIC_MOVED not in times and (superseded or not has_route):
        why = detail or {"because": "no route is configured: clients find the workload by themselves"}
        at = times.get(Step.OPENED, serving.last_heartbeat_at)
        changed |= moves.record_step(tx, now, switch.id, Step.TRAFFIC_MOVED, at, SERVER, why)
    elif Step.TRAFFIC_MOVED not in times:
        return changed
    proven = serving.healthy_streak >= healthy_checks and moves.can_serve(tx, held.instance_id)
    if proven and moves.record_step(tx, now, switch.id, Step.VERIFIED, now, SERVER, detail):
        moves.settled(tx, switch.agent_id)
        _tell(tx, now, switch, "switch_verified", f"{held.instance_id} serves and is healthy")
        changed = True
    return changed


def _end_old(ctx: Context, now: datetime, switch: Row, times: dict[Step, datetime]) -> bool:
    old = None
    if switch.old_instance_id is not None:
        old = ctx.db.read(lambda tx: sightings.get(tx, switch.old_instance_id))
    held = ctx.db.read(lambda tx: grants.holder(tx, switch.agent_id))
    if old is None or not old.is_active:
        at = now if old is None else old.ended_at or old.terminated_at or now
        return ctx.db.write(lambda tx: moves.record_step(tx, now, switch.id, Step.OLD_ENDED, at, SERVER))
    if held is not None and held.instance_id == old.id:
        return _leave(ctx, now, switch, "it serves again")
    if not switch.auto_terminate:
        return _leave(ctx, now, switch, "auto-terminate is off") if Step.VERIFIED in times else False
    if Step.VERIFIED not in times or Step.OPENED not in times or old.ec2_state in _ENDING:
        return False
    due = times[Step.OPENED] + timedelta(seconds=switch.terminate_wait_seconds or 0)
    if now < due:
        if (due - now).total_seconds() < ctx.settings.pass_seconds:
            ctx.soon(now, (due - now).total_seconds())
        ctx.rest(switch.id, now, due)
        return False
    return _terminate(ctx, now, switch, InstanceId(old.id))


def _leave(ctx: Context, now: datetime, switch: Row, because: str) -> bool:
    """Nothing is terminated: the specification's column stays NULL, and the step says why."""
    detail = {LEFT_RUNNING: True, "because": because}
    return ctx.db.write(lambda tx: moves.record_step(tx, now, switch.id, Step.OLD_ENDED, now, SERVER, detail))


def _terminate(ctx: Context, now: datetime, switch: Row, old: InstanceId) -> bool:
    """By the successor's agent where agents execute; by the server where it does, or where the agent may not."""
    cloud = ctx.clouds(ClientId(switch.client_id))
    by_agent = ctx.db.write(lambda tx: _ask_successor(tx, now, switch, old, fallback=cloud is not None))
    if by_agent is not None:
        ctx.wakeup.agent(by_agent)
        return True
    if cloud is None or ctx.db.read(lambda tx: _is_asked(tx, switch)):
        return False
    ctx.soon(now, 5)
    try:
        if look_before_end(cloud, old, switch.agent_id, ctx.maker(switch.client_id)) is None:
            return False  # long gone, perhaps: observation counts its absences
    except Refused as refusal:
        return _leave(ctx, now, switch, str(refusal))
    why = f"{old} is told to end: the waiting time is over"
    ctx.db.write(lambda tx: _tell(tx, now, switch, ENDS_OLD, why, instance_id=old))
    try:
        cloud.terminate_instance(old)
    except NotVisible:
        return False  # long gone, perhaps: observation counts its absences
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
    c = commands_table.c
    earlier = tx.execute(
        sa.select(c.status, c.payload, c.created_at).where(
            c.agent_id == switch.agent_id,
            c.command_type == CommandType.TERMINATE_INSTANCE.value,
            c.created_at >= switch.created_at,
        )
    ).all()
    tried = [row for row in earlier if row.payload.get("instance_id") == old]
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
        payload={"instance_id": old, "switch_id": switch.id},
        epoch=held.epoch,
    )
    return str(held.instance_id)


def _prune(ctx: Context, now: datetime, switch: Row) -> bool:
    if not leftovers.of_switch(ctx, now, switch):
        return False
    return ctx.db.write(lambda tx: _complete(tx, now, SwitchId(switch.id)))


def _complete(tx: sa.Connection, now: datetime, switch_id: SwitchId) -> bool:
    moves.record_step(tx, now, switch_id, Step.PRUNED, now, SERVER)
    return moves.finish(tx, now, switch_id, SwitchStatus.COMPLETED, "every step is done")


def _tell(tx: sa.Connection, now: datetime, switch: Row, kind: str, message: str, **more: str) -> None:
    events.append(tx, now, switch.client_id, switch.agent_id, kind, message, {"switch_id": switch.id, **more})
