"""Commands: made, leased to the one instance that must execute them, answered once (invariant 5)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row
from sqlalchemy.exc import IntegrityError

from spotguard.domain.commands import (
    COMMAND_LIFE,
    OPEN_COMMAND,
    CommandStatus,
    CommandType,
    CreatedBy,
    Priority,
)
from spotguard.domain.errors import InvalidInput, NotFound, Refused
from spotguard.domain.ids import AgentId, ClientId, CommandId, InstanceId, PoolId
from spotguard.domain.instances import Mode
from spotguard.domain.switches import Trigger
from spotguard.store.prepared import Prepared, PreparedInsert
from spotguard.store.secrets import new_id
from spotguard.store.tables import commands

MUTATING = frozenset({CommandType.SWITCH})
REPORTABLE = frozenset({CommandStatus.COMPLETED, CommandStatus.FAILED, CommandStatus.REFUSED})
_OPEN = sorted(OPEN_COMMAND)
_ONE_AT_A_TIME = "another move of this agent is open: wait until it has ended, or cancel it"


def enqueue(  # noqa: PLR0913 -- one argument per column of the contract
    tx: Connection,
    now: datetime,
    *,
    client_id: ClientId,
    agent_id: AgentId,
    instance_id: InstanceId,
    command_type: CommandType,
    priority: Priority | int,
    created_by: CreatedBy,
    expires_at: datetime,
    target_mode: Mode | None = None,
    target_pool_id: PoolId | None = None,
    terminate_wait_seconds: int | None = None,
    trigger_type: Trigger | None = None,
    reason: str | None = None,
    payload: Mapping[str, Any] | None = None,
    epoch: int | None = None,
) -> CommandId:
    """A pending command. `Refused` when the agent has an open one that moves its workload and this is another."""
    command_id = CommandId(new_id())
    row = {
        "id": command_id,
        "client_id": client_id,
        "agent_id": agent_id,
        "instance_id": instance_id,
        "command_type": command_type.value,
        "target_mode": target_mode.value if target_mode else None,
        "target_pool_id": target_pool_id,
        "priority": int(priority),
        "terminate_wait_seconds": terminate_wait_seconds,
        "status": CommandStatus.PENDING.value,
        "created_by": created_by.value,
        "trigger_type": trigger_type.value if trigger_type else None,
        "reason": reason,
        "payload": dict(payload or {}),
        "attempt": 0,
        "epoch": epoch,
        "created_at": now,
        "expires_at": expires_at,
    }
    if command_type not in MUTATING:
        _INSERT.add(tx, row)
        return command_id
    if open_mover(tx, agent_id) is not None:
        raise Refused(_ONE_AT_A_TIME)
    try:
        _INSERT.add(tx, row)
    except IntegrityError as error:  # another process was first: the unique column says so
        raise Refused(_ONE_AT_A_TIME) from error
    return command_id


_INSERT = PreparedInsert(commands)


def open_mover(tx: Connection, agent_id: AgentId) -> CommandId | None:
    """The open command that moves this agent's workload; there is never a second one."""
    return _OPEN_MUTATING.scalar(tx, {"agent": agent_id})


_OPEN_MUTATING = Prepared(
    sa.select(commands.c.id).where(commands.c.open_switch_agent_id == sa.bindparam("agent")).limit(1)
)

_DUE = Prepared(
    sa.select(commands)
    .where(
        commands.c.instance_id == sa.bindparam("instance"),
        sa.or_(
            commands.c.status == CommandStatus.PENDING.value,
            sa.and_(
                commands.c.status == CommandStatus.LEASED.value, commands.c.lease_until <= sa.bindparam("now")
            ),
        ),
        commands.c.expires_at > sa.bindparam("now"),
    )
    .order_by(commands.c.priority.desc(), commands.c.created_at, commands.c.id)
    .limit(sa.bindparam("most"))
)


def is_open(tx: Connection, instance_id: InstanceId, command_type: CommandType) -> bool:
    """One of this type waits for this instance, or is being carried out by it."""
    c = commands.c
    wanted = c.instance_id == instance_id, c.command_type == command_type.value, c.status.in_(_OPEN)
    return tx.execute(sa.select(c.id).where(*wanted).limit(1)).first() is not None


def last_made_at(tx: Connection, instance_id: InstanceId, command_type: CommandType) -> datetime | None:
    """When the newest of this type was made for this instance, whatever came of it."""
    c = commands.c
    newest = sa.select(c.created_at).where(c.instance_id == instance_id, c.command_type == command_type.value)
    return tx.scalar(newest.order_by(c.created_at.desc()).limit(1))


def lease(
    tx: Connection, now: datetime, instance_id: InstanceId, lease_seconds: float, limit: int = 10
) -> list[Row[Any]]:
    """Pending commands of this instance, and its leased ones whose lease has run out, highest priority first.

    Each row is conditional on what was seen: of two polls at once one gets it.
    """
    until = now + timedelta(seconds=lease_seconds)
    leased: list[CommandId] = []
    for row in _DUE.rows(tx, {"instance": instance_id, "now": now, "most": limit}):
        COMMAND_LIFE.require(CommandStatus(row.status), CommandStatus.LEASED)
        moved = _LEASE.change(
            tx,
            {"seen_id": row.id, "seen_status": row.status, "seen_attempt": row.attempt, "holder": instance_id}
            | {"until": until, "at": now},
        )
        if moved == 1:
            leased.append(row.id)
    return [_ONE.one(tx, {"wanted": command_id}) for command_id in leased]


_LEASE = Prepared(
    sa.update(commands)
    .where(
        commands.c.id == sa.bindparam("seen_id"),
        commands.c.status == sa.bindparam("seen_status"),
        commands.c.attempt == sa.bindparam("seen_attempt"),
    )
    .values(
        status=CommandStatus.LEASED.value,
        lease_holder=sa.bindparam("holder"),
        lease_until=sa.bindparam("until"),
        leased_at=sa.bindparam("at"),
        attempt=commands.c.attempt + 1,
    )
)


def complete(
    tx: Connection,
    now: datetime,
    instance_id: InstanceId,
    command_id: CommandId,
    status: CommandStatus,
    message: str | None,
    result: Mapping[str, Any] | None,
) -> Row[Any]:
    """The stored command. The same answer again changes nothing.

    `NotFound` for another's command; `Refused` when it was never leased here, was done though it has expired or was
    cancelled, or was answered otherwise before.
    """
    if status not in REPORTABLE:
        raise InvalidInput(f"a command ends completed, failed or refused, not {status}")
    # locked: of two answers at once the second sees the first one's
    row = _ONE_LOCKED.first(tx, {"wanted": command_id})
    if row is None or row.instance_id != instance_id:
        raise NotFound("this instance has no such command")
    moved = _COMPLETE.change(
        tx,
        {
            "wanted": command_id,
            "holder": instance_id,
            "to": status.value,
            "at": now,
            "said": message,
            "outcome": result,
        },
    )
    row = _ONE.one(tx, {"wanted": command_id})
    if moved == 0 and row.status != status and not _was_given_up(row, status):
        raise Refused(_why_not(row))
    return cast("Row[Any]", row)


# the user data of a launch hold its enrolment token: nobody launches by an order that has ended
_WITHOUT_SECRET = sa.func.json_remove(commands.c.payload, sa.literal("$.launch.user_data"))
_WANTED = sa.select(commands).where(commands.c.id == sa.bindparam("wanted"))
_ONE, _ONE_LOCKED = Prepared(_WANTED), Prepared(_WANTED.with_for_update())

_COMPLETE = Prepared(
    sa.update(commands)
    .where(
        commands.c.id == sa.bindparam("wanted"),
        commands.c.status == CommandStatus.LEASED.value,
        commands.c.lease_holder == sa.bindparam("holder"),
    )
    .values(
        status=sa.bindparam("to"),
        completed_at=sa.bindparam("at"),
        message=sa.bindparam("said"),
        result=sa.bindparam("outcome", type_=sa.JSON),
        payload=_WITHOUT_SECRET,
    )
)


def _was_given_up(row: Row[Any], answer: CommandStatus) -> bool:
    """Whoever answers that it did not do what it should not do any more agrees with what stands there."""
    ended = row.status in (CommandStatus.CANCELLED.value, CommandStatus.EXPIRED.value)
    return ended and answer is not CommandStatus.COMPLETED


def _why_not(row: Row[Any]) -> str:
    match CommandStatus(row.status):
        case CommandStatus.EXPIRED:
            return f"this command expired at {row.expires_at.isoformat()} and stays so: undo what was begun"
        case CommandStatus.CANCELLED:
            return f"this command was cancelled ({row.message or 'no reason given'}) and stays so: undo what was begun"
        case CommandStatus.PENDING:
            return "this command was never given to this instance: ask for pending commands first"
        case CommandStatus.LEASED:
            return "this command is leased to another instance"
        case _:
            return f"this command was answered before, with {row.status}: the first answer stands"


def cancel(tx: Connection, now: datetime, command_id: CommandId, because: str) -> bool:
    """End it before it is answered. False when it had ended already."""
    return _end(tx, now, command_id, CommandStatus.CANCELLED, because)


def conclude(tx: Connection, now: datetime, command_id: CommandId, because: str) -> bool:
    """Other rows prove that its work is done: nobody waits for the answer, which may come late or never."""
    return _end(tx, now, command_id, CommandStatus.COMPLETED, because) or cancel(tx, now, command_id, because)


def cancel_ends(tx: Connection, now: datetime, because: str, *of: sa.ColumnElement[bool]) -> None:
    """Nobody ends an old instance by a command that was made before its user said otherwise."""
    wanted = sa.select(commands.c.id).where(
        commands.c.command_type == CommandType.TERMINATE_INSTANCE.value, commands.c.status.in_(_OPEN), *of
    )
    for command_id in tx.scalars(wanted).all():
        cancel(tx, now, command_id, because)


def expire_due(tx: Connection, now: datetime) -> list[Row[Any]]:
    """Every open command past its time becomes `expired`; the rows that did, as they were."""
    stale = _STALE.rows(tx, {"now": now})
    return [row for row in stale if _end(tx, now, row.id, CommandStatus.EXPIRED, "nobody answered in time")]


_STALE = Prepared(
    sa.select(commands).where(commands.c.status.in_(_OPEN), commands.c.expires_at <= sa.bindparam("now"))
)


def _end(tx: Connection, now: datetime, command_id: CommandId, to: CommandStatus, because: str) -> bool:
    told = {"wanted": command_id, "to": to.value, "at": now, "why": because}
    return _ENDS[to].change(tx, told) == 1


def _ending(to: CommandStatus) -> Prepared:
    origins = [status.value for status in COMMAND_LIFE.origins(to)]
    return Prepared(
        sa.update(commands)
        .where(commands.c.id == sa.bindparam("wanted"), commands.c.status.in_(origins))
        .values(
            status=sa.bindparam("to"),
            completed_at=sa.bindparam("at"),
            message=sa.bindparam("why"),
            payload=_WITHOUT_SECRET,
        )
    )


_ENDS = {to: _ending(to) for to in (CommandStatus.CANCELLED, CommandStatus.COMPLETED, CommandStatus.EXPIRED)}


def of_client(tx: Connection, client_id: ClientId, command_id: CommandId) -> Row[Any]:
    """`NotFound` for one of another tenant."""
    row = tx.execute(
        sa.select(commands).where(commands.c.id == command_id, commands.c.client_id == client_id)
    ).first()
    if row is None:
        raise NotFound("no such command")
    return row
