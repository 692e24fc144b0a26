"""POST interruption-signal, sync-status and promote: what happens around standbys."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from starlette.requests import Request
from starlette.responses import Response

from spotguard.api import credentials
from spotguard.api.context import Api, reply
from spotguard.api.moments import happened_at, moment
from spotguard.api.problems import forbidden, invalid
from spotguard.domain.clock import rfc3339
from spotguard.domain.commands import CreatedBy
from spotguard.domain.errors import InvalidInput
from spotguard.domain.ids import AgentId, ClientId, InstanceId, ReplicaId, SwitchId
from spotguard.domain.replicas import ReplicaStatus, SyncStatus
from spotguard.domain.signals import SignalAction, parse_signal_type
from spotguard.store import agents, fallbacks, plans, replicas, signals
from spotguard.store.tables import switches
from spotguard.wire.agent import (
    Empty,
    FallbackReply,
    Promotion,
    ReplicaReply,
    Signal,
    SignalReply,
    SyncReport,
)

LONGEST_NOTICE = timedelta(days=1)
_SIGNAL = msgspec.json.Decoder(Signal)
_SYNC = msgspec.json.Decoder(SyncReport)
_EMPTY = msgspec.json.Decoder(Empty)


async def interruption_signal(api: Api, request: Request) -> Response:
    said = await api.body(request, _SIGNAL)
    token_hash = credentials.token_hash_of(request)
    now = api.clock.now()

    def work(tx: Connection) -> Any:
        caller = credentials.agent(tx, now, token_hash, request.path_params["agent_id"])
        try:
            signal_type = parse_signal_type(said.signal_type)
        except InvalidInput as error:
            raise invalid("/signal_type", str(error)) from error
        signal_time = happened_at(said.signal_time, now, "/signal_time")
        action_time = None if said.action_time is None else moment(said.action_time, "/action_time")
        if action_time is not None and abs(action_time - signal_time) > LONGEST_NOTICE:
            raise invalid("/action_time", "more than a day away from signal_time")
        row = signals.receive(
            tx,
            now,
            client_id=ClientId(caller.client_id),
            agent_id=AgentId(caller.agent_id),
            instance_id=InstanceId(caller.instance_id),
            signal_type=signal_type,
            signal_time=signal_time,
            action_time=action_time,
        )
        return row, caller.instance_id

    row, instance_id = await api.write(work)
    api.wakeup.coordinator()
    api.wakeup.agent(instance_id)
    return reply(
        SignalReply(
            event_id=row.id,
            action=SignalAction(row.action),
            replica_id=row.replica_id,
            because=row.because or "",
        )
    )


async def sync_status(api: Api, request: Request) -> Response:
    said = await api.body(request, _SYNC)
    token_hash = credentials.token_hash_of(request)
    now = api.clock.now()

    def work(tx: Connection) -> tuple[ReplicaReply, bool, str | None]:
        caller = credentials.agent(tx, now, token_hash, request.path_params["agent_id"])
        replica_id = ReplicaId(request.path_params["replica_id"])
        known = replicas.get(tx, AgentId(caller.agent_id), replica_id)
        if known.instance_id != caller.instance_id:
            raise forbidden("only the replica's own instance reports its state")
        row = replicas.apply_sync_status(
            tx,
            now,
            replica_id,
            sync_status=said.sync_status,
            progress=Decimal(str(said.state_transfer_progress)),
            latency_ms=said.sync_latency_ms,
            position=said.position,
            measured_at=_measured_at(said, now),
        )
        is_news = row.status == ReplicaStatus.READY and known.status != ReplicaStatus.READY
        primary = agents.serving_instance(tx, AgentId(caller.agent_id)) if is_news else None
        return _replica(row), is_news, primary

    stored, is_news, primary = await api.write(work)
    if is_news:
        api.wakeup.coordinator()
    if primary is not None:
        api.wakeup.agent(primary)
    return reply(stored)


async def fallback_status(api: Api, request: Request) -> Response:
    said = await api.body(request, _SYNC)
    token_hash = credentials.token_hash_of(request)
    now = api.clock.now()
    switch_id = SwitchId(request.path_params["switch_id"])

    def work(tx: Connection) -> None:
        caller = credentials.agent(tx, now, token_hash, request.path_params["agent_id"])
        fallbacks.apply_status(
            tx,
            now,
            AgentId(caller.agent_id),
            switch_id,
            InstanceId(caller.instance_id),
            sync_status=said.sync_status,
            latency_ms=said.sync_latency_ms,
            position=said.position,
            measured_at=_measured_at(said, now),
        )

    await api.write(work)
    return reply(FallbackReply(switch_id=switch_id, sync_status=said.sync_status))


def _measured_at(said: SyncReport, now: datetime) -> datetime:
    return now if said.measured_at is None else happened_at(said.measured_at, now, "/measured_at")


def _replica(row: Any) -> ReplicaReply:
    return ReplicaReply(
        replica_id=row.id,
        instance_id=row.instance_id,
        replica_type=row.replica_type,
        pool_id=row.pool_id,
        status=ReplicaStatus(row.status),
        sync_status=SyncStatus(row.sync_status) if row.sync_status else None,
        state_transfer_progress=row.state_transfer_progress,
        sync_latency_ms=row.sync_latency_ms,
        position=row.position,
        ready_at=rfc3339(row.ready_at) if row.ready_at else None,
    )


async def promote(api: Api, request: Request) -> Response:
    await api.body(request, _EMPTY)
    shown = credentials.shown_by(request)
    now = api.clock.now()

    def work(tx: Connection) -> Promotion:
        client_id = credentials.tenant(tx, now, shown)
        agent_id = AgentId(request.path_params["agent_id"])
        replica_id = ReplicaId(request.path_params["replica_id"])
        agent = agents.of_client(tx, client_id, agent_id)
        replicas.get(tx, agent_id, replica_id)
        opened = plans.promote(
            tx, now, client_id=client_id, agent_id=agent_id, replica_id=replica_id, created_by=CreatedBy.USER
        )
        move = tx.execute(
            sa.select(switches.c.old_instance_id, switches.c.new_instance_id).where(
                switches.c.id == opened.switch_id
            )
        ).one()
        return Promotion(
            replica_id=replica_id,
            old_instance_id=move.old_instance_id,
            new_instance_id=move.new_instance_id,
            epoch=agent.epoch + 1,
            switch_id=opened.switch_id,
        )

    promotion = await api.write(work)
    api.wakeup.coordinator()
    if promotion.old_instance_id is not None:
        api.wakeup.agent(promotion.old_instance_id)
    return reply(promotion)
