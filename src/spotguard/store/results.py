"""What follows from a command's answer, in the transaction that records it. Every effect is harmless twice."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.engine import Connection, Row

from spotguard.domain.commands import CommandStatus, CommandType
from spotguard.domain.errors import InvalidInput, NotFound, Refused
from spotguard.domain.ids import AgentId, ClientId, InstanceId, ReplicaId, SwitchId, is_instance_id
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool, parse_pool_id
from spotguard.domain.switches import Step
from spotguard.store import events, grants, moves, quarantine, replicas, shapes, sightings
from spotguard.store.launched_for import require_not_anothers
from spotguard.store.steps import record_step
from spotguard.store.tables import switches

LONGEST_REMARK = 1000


def apply_result(tx: Connection, now: datetime, command: Row[Any]) -> None:
    """The consequences of `completed`, `failed` or `refused`.

    A `terminate_instance` that was answered proves nothing: the coordinator looks at EC2.
    """
    done = command.status == CommandStatus.COMPLETED
    _strike_refusing_pools(tx, now, command)
    match CommandType(command.command_type):
        case CommandType.PROMOTE if done:
            _opened(tx, now, command)
        case CommandType.SWITCH if not done:
            _given_up(tx, now, command)
        case CommandType.LAUNCH_REPLICA:
            _replica_launched(tx, now, command, done=done)
        case CommandType.RETIRE_REPLICA if done:
            _standby_ended(tx, now, command)
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


def _standby_ended(tx: Connection, now: datetime, command: Row[Any]) -> None:
    """Not believed of what has come to serve since: an answer may be of long ago."""
    ended = command.payload.get("instance_id")
    held = grants.holder(tx, AgentId(command.agent_id))
    if held is None or held.instance_id != ended:
        sightings.said_to_have_ended(tx, command.agent_id, ended, now, now)
    replicas.recount(tx, AgentId(command.agent_id))


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
        replicas.fail_unlaunched(tx, now, ReplicaId(replica.id), command.message or "its launch was given up")
        return
    instance_id = (command.result or {}).get("instance_id")
    if not isinstance(instance_id, str) or not is_instance_id(instance_id):
        raise InvalidInput("a completed launch_replica names the instance: result.instance_id")
    _require_free(tx, command, replica, InstanceId(instance_id))
    if replicas.machine_named(tx, now, ReplicaId(replica.id), InstanceId(instance_id)):
        _relocate(tx, replica, command)
    remarks = (command.result or {}).get("remarks")
    told = [str(remark)[:LONGEST_REMARK] for remark in remarks] if isinstance(remarks, list) else []
    shapes.tell(tx, now, ClientId(command.client_id), AgentId(command.agent_id), instance_id, told)


def _require_free(tx: Connection, command: Row[Any], replica: Row[Any], instance_id: InstanceId) -> None:
    """What was launched for a replica is nobody else's, and nobody who serves."""
    known = sightings.get(tx, instance_id)
    if known is None:
        require_not_anothers(tx, command.client_id, instance_id)
    if known is not None and known.client_id != command.client_id:
        raise NotFound("no such instance")
    if known is not None and known.agent_id not in {None, command.agent_id}:
        raise Refused("this instance belongs to another logical agent of yours")
    held = grants.holder(tx, AgentId(command.agent_id))
    if held is not None and held.instance_id == instance_id:
        raise Refused("this instance serves: result.instance_id is the one that was launched for the replica")
    is_known_as_others = known is not None and known.replica_id not in {None, replica.id}
    if is_known_as_others or replicas.named_for(tx, instance_id) not in {None, replica.id}:
        raise Refused("this instance was launched for another replica")


def _relocate(tx: Connection, replica: Row[Any], command: Row[Any]) -> None:
    """It was launched in another of the places that it was offered."""
    told = command.result or {}
    place = (told.get("pool_id"), told.get("mode"))
    if place in _offered(command) and place != (Pool(replica.instance_type, replica.az).id, replica.mode):
        replicas.relocated(
            tx, replica.id, pool=parse_pool_id(place[0]), mode=Mode(place[1]), hourly_cost=None
        )


def _strike_refusing_pools(tx: Connection, now: datetime, command: Row[Any]) -> None:
    """An agent that launches tells which pools refused, in which market; only those that it was sent to count."""
    told = command.result or {}
    lists = {Mode.SPOT: told.get("refused"), Mode.ONDEMAND: told.get("refused_ondemand")}
    for pool_id, mode in _offered(command):
        named = lists.get(Mode(mode))
        if isinstance(named, list) and pool_id in named:
            pool = parse_pool_id(pool_id)
            quarantine.strike(tx, now, ClientId(command.client_id), pool, quarantine.REFUSED, Mode(mode))


def _offered(command: Row[Any]) -> list[tuple[str, str]]:
    """Pool and mode of every place that its launch was allowed in."""
    order = command.payload.get("launch") or {}
    places = order.get("candidates") or ([order] if "pool_id" in order else [])
    return [(place["pool_id"], place["mode"]) for place in places]
