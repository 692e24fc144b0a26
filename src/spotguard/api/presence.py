"""POST heartbeat: an instance lives, and learns its role."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy.engine import Connection, Row
from starlette.requests import Request
from starlette.responses import Response

from spotguard.api import credentials
from spotguard.api.context import Api, reply
from spotguard.api.moments import moment
from spotguard.api.problems import forbidden, invalid
from spotguard.domain.clock import rfc3339
from spotguard.domain.errors import InvalidInput, Refused
from spotguard.domain.ids import AgentId, ClientId, InstanceId
from spotguard.domain.instances import Mode, Role, parse_mode
from spotguard.domain.pools import Pool, parse_pool_id
from spotguard.domain.tickets import Word
from spotguard.store import agents, claims, events, handovers, moves, releases, ticket_turns, traffic
from spotguard.wire.agent import HandedOver, Heartbeat, HeartbeatReply, TicketSlip

_DECODER = msgspec.json.Decoder(Heartbeat)


async def heartbeat(api: Api, request: Request) -> Response:
    beat = await api.body(request, _DECODER)
    token_hash = credentials.token_hash_of(request)
    now = api.clock.now()

    def work(tx: Connection) -> tuple[HeartbeatReply, bool]:
        caller = credentials.agent(tx, now, token_hash, request.path_params["agent_id"])
        if beat.instance_id != caller.instance_id:
            raise forbidden("this token belongs to another instance")
        if beat.handed_over is not None and handovers.told(tx, now, caller, _handed_over(beat.handed_over)):
            caller = credentials.agent(tx, now, token_hash, request.path_params["agent_id"])
        claims.told(tx, now, caller, beat.epoch, beat.released)
        mode = _mode(beat.mode, caller.instance_mode)
        role = agents.heartbeat(
            tx,
            now,
            caller,
            mode=mode,
            pool_id=_pool_id(beat.pool_id, caller.instance_type, caller.az),
            gate=beat.gate,
            workload_healthy=beat.workload_healthy,
            can_sync=beat.can_sync,
            has_traffic_script=beat.has_traffic_script,
            state_on_root=beat.state_on_root,
            state_volumes=beat.state_volumes,
        )
        if role is Role.PRIMARY:
            _tell_what_is_stuck(tx, now, caller, beat)
        has_let_go = role is Role.PRIMARY and _has_let_go(tx, now, caller, beat.released)
        is_awaited = not caller.hears and moves.enrolled(tx, now, caller.instance_id)
        of_tickets = ticket_turns.Said(beat.ticket, beat.destroyed, takes_one=beat.takes_tickets)
        answer = ticket_turns.turn(tx, now, caller, of_tickets)
        told = HeartbeatReply(
            config_version=caller.config_version,
            commands_pending=caller.commands_pending,
            role=Role.PASSIVE if has_let_go else role,
            epoch=caller.epoch,
            server_time=rfc3339(now),
            ticket=_slip(answer.slip),
            destroy_ticket=answer.destroy,
        )
        return told, has_let_go or is_awaited

    def claim(tx: Connection) -> None:
        caller = credentials.agent(tx, now, token_hash, request.path_params["agent_id"])
        claims.told(tx, now, caller, beat.epoch, beat.released)
        if beat.handed_over is not None:
            claims.unknown_hand_over(tx, now, caller)

    try:
        told, is_news = await api.write(work)
    except Refused:  # of its ticket these rows know nothing: what it holds is heard all the same
        await api.write(claim)
        raise
    if is_news:
        api.wakeup.coordinator()
    return reply(told)


def _tell_what_is_stuck(tx: Connection, now: datetime, caller: Row[Any], beat: Heartbeat) -> None:
    client_id, agent_id = ClientId(caller.client_id), AgentId(caller.agent_id)
    if beat.traffic_stuck is not None:
        traffic.stuck(tx, now, client_id, agent_id, beat.traffic_stuck)
    if beat.workload_stuck is not None:
        message = " ".join(beat.workload_stuck.split())
        events.append_hourly(tx, now, client_id, agent_id, events.WORKLOAD_STUCK, message)


def _has_let_go(tx: Connection, now: datetime, caller: Row[Any], released: int | None) -> bool:
    if released is None or released < caller.epoch:
        return False
    client_id, agent_id = ClientId(caller.client_id), AgentId(caller.agent_id)
    return releases.heard(tx, now, client_id, agent_id, InstanceId(caller.instance_id), released)


def _handed_over(said: HandedOver) -> handovers.HandedOver:
    """The holder's times as it told them: its signature is over them."""
    times = {
        name: moment(getattr(said, name), f"/handed_over/{name}")
        for name in ("begun_at", "gate_closed_at", "delta_sent_at", "released_at")
    }
    opened_at = None if said.opened_at is None else moment(said.opened_at, "/handed_over/opened_at")
    word = Word(**times, position=said.position)
    return handovers.HandedOver(said.ticket_id, word, said.signature, opened_at)


def _slip(slip: ticket_turns.Slip | None) -> TicketSlip | None:
    if slip is None:
        return None
    ticket = slip.ticket
    return TicketSlip(
        id=ticket.id,
        agent_id=ticket.agent_id,
        epoch=ticket.epoch,
        from_instance=ticket.from_instance,
        to_instance=ticket.to_instance,
        to_boot=ticket.to_boot,
        seal=slip.seal,
    )


def _mode(text: str, registered: str | None) -> Mode:
    try:
        mode = parse_mode(text)
    except InvalidInput as error:
        raise invalid("/mode", str(error)) from error
    if registered is not None and mode != registered:
        raise invalid(
            "/mode", f"this instance registered as {registered}; an instance's market never changes"
        )
    return mode


def _pool_id(text: str | None, instance_type: str, az: str) -> str:
    """The pool of this instance: told or not, it follows from its type and zone."""
    if text is None:
        return Pool(instance_type, az).id
    try:
        pool = parse_pool_id(text)
    except InvalidInput as error:
        raise invalid("/pool_id", str(error)) from error
    if (pool.instance_type, pool.az) != (instance_type, az):
        raise invalid("/pool_id", f"this instance registered as {instance_type} in {az}")
    return text
