"""What follows from a command's answer, in the transaction that records it. Every effect is harmless twice."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.engine import Connection, Row

from spotguard.domain.commands import CommandStatus, CommandType
from spotguard.domain.errors import InvalidInput, NotFound
from spotguard.domain.ids import AgentId, ClientId, InstanceId, ReplicaId, SwitchId, is_instance_id
from spotguard.domain.switches import Step
from spotguard.store import events, moves, replicas
from spotguard.store.steps import record_step
from spotguard.store.tables import switches


def apply_result(tx: Connection, now: datetime, command: Row[Any]) -> None:
    """The consequences of `completed`, `failed` or `refused`.

    A `terminate_instance` that was answered proves nothing: the coordinator looks at EC2.
    """
    done = command.status == CommandStatus.COMPLETED
    match CommandType(command.command_type):
        case CommandType.PROMOTE if done:
            _opened(tx, now, command)
        case CommandType.SWITCH | CommandType.DRILL if not done:
            _given_up(tx, now, command)
        case CommandType.LAUNCH_REPLICA:
            _replica_launched(tx, now, command, done=done)
        case _:
            pass
    if not done:
        message = f"{command.command_type} {command.status}: {command.message or 'no reason given'}"
        detail = {"command_id": command.id, "instance_id": command.instance_id}
        events.append(
            tx,
            now,
            ClientId(command.client_id),
            AgentId(command.agent_id),
            f"command_{command.status}",
            message,
            detail,
        )


def _move_of(tx: Connection, command: Row[Any]) -> SwitchId | None:
    wanted = command.payload.get("switch_id")
    found = tx.execute(
        switches.select().where(switches.c.id == wanted, switches.c.agent_id == command.agent_id)
    ).first()
    return None if found is None else SwitchId(found.id)


def _opened(tx: Connection, now: datetime, command: Row[Any]) -> None:
    switch_id = _move_of(tx, command)
    if switch_id is not None:
        record_step(tx, now, switch_id, Step.OPENED, now, command.instance_id)


def _given_up(tx: Connection, now: datetime, command: Row[Any]) -> None:
    switch_id = _move_of(tx, command)
    if switch_id is not None:
        moves.unwind(
            tx, now, switch_id, f"{command.instance_id} {command.status}: {command.message or 'no reason'}"
        )


def _replica_launched(tx: Connection, now: datetime, command: Row[Any], *, done: bool) -> None:
    replica_id = command.payload.get("replica_id")
    if replica_id is None:
        return
    try:
        replica = replicas.get(tx, AgentId(command.agent_id), ReplicaId(replica_id))
    except NotFound:
        return  # the row of its wish is gone: nothing follows
    if not done:
        replicas.fail(tx, now, ReplicaId(replica.id), command.message or "its launch was given up")
        return
    instance_id = (command.result or {}).get("instance_id")
    if not isinstance(instance_id, str) or not is_instance_id(instance_id):
        raise InvalidInput("a completed launch_replica names the instance: result.instance_id")
    replicas.machine_named(tx, now, ReplicaId(replica.id), InstanceId(instance_id))
