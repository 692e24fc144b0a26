"""GET pending-commands, a long poll, and POST result."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy.engine import Connection
from starlette.requests import Request
from starlette.responses import Response

from spotguard.api import credentials
from spotguard.api.context import Api, reply
from spotguard.api.problems import forbidden, invalid, too_busy
from spotguard.api.wakeups import Wakeups
from spotguard.domain.clock import rfc3339
from spotguard.domain.commands import CommandStatus
from spotguard.domain.errors import NotFound
from spotguard.domain.ids import ClientId, CommandId, InstanceId
from spotguard.store import commands
from spotguard.store.results import apply_result
from spotguard.wire.agent import CommandResult, LeasedCommand, PendingCommands, StoredCommand

LONGEST_WAIT_SECONDS = 25
MOST_OF_AN_INSTANCE = 3
LOOK_AGAIN_SECONDS = 1.0  # other processes' writes wake nobody here
_WHOLE, _SECONDS = re.compile(r"[0-9]{1,10}"), re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,6})?")
_RESULT = msgspec.json.Decoder(CommandResult)


async def pending_commands(api: Api, request: Request) -> Response:
    token_hash = credentials.token_hash_of(request)
    wait = _number(request, "wait", _SECONDS, highest=LONGEST_WAIT_SECONDS) or 0
    version = _number(request, "config_version", _WHOLE, highest=2**31)
    seen_version = None if version is None else int(version)
    agent_id = request.path_params["agent_id"]
    found, instance_id = await _look(api, agent_id, token_hash, seen_version, answer_anyway=wait == 0)
    if found is not None:
        return reply(found)
    _require_room(api, instance_id)
    api.long_polls[instance_id] += 1
    try:
        return reply(await _wait(api, request, agent_id, token_hash, seen_version, instance_id, wait))
    finally:
        api.long_polls[instance_id] -= 1
        if not api.long_polls[instance_id]:
            del api.long_polls[instance_id]


def _require_room(api: Api, instance_id: str) -> None:
    """No instance takes the room of the others: it needs one, and another while a lost one is not known to be."""
    if api.long_polls[instance_id] >= MOST_OF_AN_INSTANCE:
        raise too_busy("this instance waits in as many long polls as it may", 5)
    if api.long_polls.total() >= api.settings.max_waiters:
        raise too_busy("too many long polls wait in this process", 5)


def _number(request: Request, name: str, form: re.Pattern[str], *, highest: int) -> float | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if form.fullmatch(text) is None or float(text) > highest:
        raise invalid(f"/query/{name}", f"a number from 0 to {highest}")
    return float(text)


async def _wait(
    api: Api,
    request: Request,
    agent_id: str,
    token_hash: str,
    seen_version: int | None,
    instance_id: str,
    seconds: float,
) -> PendingCommands:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    # A process whose wake-ups go elsewhere looks every second all the same.
    wakeups = api.wakeup if isinstance(api.wakeup, Wakeups) else Wakeups()
    with wakeups.waiting(instance_id) as waiter, api.ending.waking(waiter):
        while True:
            left = 0.0 if api.ending.begun else end - loop.time()
            gone = await request.is_disconnected()  # nothing is leased to whoever is not there
            found, _ = await _look(
                api, agent_id, token_hash, seen_version, answer_anyway=left <= 0 or gone, lease=not gone
            )
            if found is not None:
                return found
            await waiter.wait(min(LOOK_AGAIN_SECONDS, left))


async def _look(
    api: Api,
    agent_id: str,
    token_hash: str,
    seen_version: int | None,
    *,
    answer_anyway: bool,
    lease: bool = True,
) -> tuple[PendingCommands | None, str]:
    """Read first, and write only if there is something to lease: most looks find nothing."""
    now = api.clock.now()

    caller = await api.read(lambda tx: credentials.agent(tx, now, token_hash, agent_id))
    if caller.commands_pending and lease:
        return await _lease(api, now, agent_id, token_hash), caller.instance_id
    changed = seen_version is not None and seen_version != caller.config_version
    if changed or answer_anyway:
        return PendingCommands([], caller.config_version, rfc3339(now)), caller.instance_id
    return None, caller.instance_id


async def _lease(api: Api, now: datetime, agent_id: str, token_hash: str) -> PendingCommands | None:
    def write(tx: Connection) -> tuple[list[Any], int]:
        caller = credentials.agent(tx, now, token_hash, agent_id)
        instance_id = InstanceId(caller.instance_id)
        rows = commands.lease(tx, now, instance_id, api.settings.lease_seconds, api.settings.commands_at_once)
        return rows, caller.config_version

    rows, config_version = await api.write(write)
    return PendingCommands([_leased(row) for row in rows], config_version, rfc3339(now))


def _leased(row: Any) -> LeasedCommand:
    return LeasedCommand(
        id=row.id,
        command_type=row.command_type,
        target_mode=row.target_mode,
        target_pool_id=row.target_pool_id,
        priority=row.priority,
        terminate_wait_seconds=row.terminate_wait_seconds,
        payload=row.payload,
        attempt=row.attempt,
        epoch=row.epoch,
        lease_until=rfc3339(row.lease_until),
        created_at=rfc3339(row.created_at),
        expires_at=rfc3339(row.expires_at),
    )


async def command_result(api: Api, request: Request) -> Response:
    said = await api.body(request, _RESULT)
    token_hash = credentials.token_hash_of(request)
    now = api.clock.now()

    def work(tx: Connection) -> StoredCommand:
        caller = credentials.agent(tx, now, token_hash, request.path_params["agent_id"])
        command_id = CommandId(request.path_params["command_id"])
        known = commands.of_client(tx, ClientId(caller.client_id), command_id)
        if known.agent_id != caller.agent_id:
            raise NotFound("this agent has no such command")
        if known.instance_id != caller.instance_id:
            raise forbidden(f"this command is for {known.instance_id}")
        row = commands.complete(
            tx,
            now,
            InstanceId(caller.instance_id),
            command_id,
            CommandStatus(said.status),
            said.message,
            said.result,
        )
        apply_result(tx, now, row)
        return _stored(row)

    stored = await api.write(work)
    api.wakeup.coordinator()
    return reply(stored)


def _stored(row: Any) -> StoredCommand:
    return StoredCommand(
        id=row.id,
        command_type=row.command_type,
        instance_id=row.instance_id,
        status=row.status,
        message=row.message,
        result=row.result,
        attempt=row.attempt,
        created_at=rfc3339(row.created_at),
        completed_at=rfc3339(row.completed_at) if row.completed_at else None,
        expires_at=rfc3339(row.expires_at),
    )
