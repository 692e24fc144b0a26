"""The rows that the invariants look at, as `planning.invariants` wants them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from spotguard.domain.agents import OFFLINE_AFTER_SECONDS, AgentStatus
from spotguard.domain.commands import CommandStatus, CommandType
from spotguard.domain.epochs import GrantStatus, Proof
from spotguard.domain.ids import ClientId
from spotguard.domain.instances import GateState, InstanceState, Mode, is_proof_of_death
from spotguard.domain.replicas import ReplicaStatus, ReplicaType
from spotguard.domain.switches import OPEN_SWITCH, Step, SwitchStatus, Trigger
from spotguard.domain.tickets import TicketStatus
from spotguard.planning import invariants as inv
from spotguard.planning.deadlines import DueStep
from spotguard.store import admissions, leftover_rows, move_deadlines
from spotguard.store.batches import batch_of, batched
from spotguard.store.prepared import Prepared
from spotguard.store.tables import (
    agent_events,
    agents,
    commands,
    epoch_grants,
    handover_tickets,
    instances,
    replica_instances,
    storage_resources,
    switch_steps,
    switches,
)

Row = sa.Row[Any]
RECENT = timedelta(days=1)
ENDS_OLD, ENDS_IDLE = (
    "old_terminating",
    "instance_ended_by_us",
)  # told before the call: what ended by our hand
_ENDS = (CommandType.TERMINATE_INSTANCE.value, CommandType.RETIRE_REPLICA.value)
_NEVER_BEGUN = (CommandStatus.PENDING.value, CommandStatus.CANCELLED.value)


def gather(tx: sa.Connection, now: datetime, client_id: ClientId | None = None) -> inv.Facts:
    """Everything alive and everything of the last day; of one client where asked."""
    machines = _machines(tx, client_id)
    grants = _grants(tx, client_id)
    held = {grant.instance_id for grant in grants}
    return inv.Facts(
        now=now,
        agents=_agents(tx, client_id),
        grants=grants,
        instances=machines,
        replicas=_replicas(tx, client_id, held),
        switches=_switches(tx, now, client_id),
        storage=_storage(tx, client_id),
        caps=admissions.of_newest(tx, now - RECENT, client_id),
    )


class _Rows:
    """The same question of everybody and of one client."""

    def __init__(self, query: sa.Select[Any], client_column: sa.ColumnElement[Any]) -> None:
        self._everybody = Prepared(query)
        self._one = Prepared(query.where(client_column == sa.bindparam("client")))

    def of(self, tx: sa.Connection, client_id: ClientId | None, **values: Any) -> Sequence[Any]:
        if client_id is None:
            return self._everybody.rows(tx, values)
        return self._one.rows(tx, values | {"client": client_id})


def _agents(tx: sa.Connection, client_id: ClientId | None) -> list[inv.AgentFact]:
    return [
        inv.AgentFact(
            agent_id=row.id,
            client_id=row.client_id,
            epoch=row.epoch,
            instance_id=row.instance_id,
            auto_switch_enabled=row.auto_switch_enabled,
            manual_replica_enabled=row.manual_replica_enabled,
            replica_count=row.replica_count,
            current_replica_id=row.current_replica_id,
            instance_count=row.instance_count,
            is_deleted=row.status == AgentStatus.DELETED,
        )
        for row in _AGENTS.of(tx, client_id)
    ]


_a = agents.c
_AGENTS = _Rows(
    sa.select(
        _a.id,
        _a.client_id,
        _a.epoch,
        _a.instance_id,
        _a.auto_switch_enabled,
        _a.manual_replica_enabled,
        _a.replica_count,
        _a.current_replica_id,
        _a.instance_count,
        _a.status,
    ),
    _a.client_id,
)


def _grants(tx: sa.Connection, client_id: ClientId | None) -> list[inv.GrantFact]:
    return [
        inv.GrantFact(
            agent_id=row.agent_id,
            epoch=row.epoch,
            instance_id=row.instance_id,
            status=GrantStatus(row.status),
            granted_at=row.granted_at,
            proof=Proof(row.proof),
            released_at=row.released_at,
            former_released_at=row.former_released_at,
            former_died=_died(row),
            ticket_out_to=row.ticket_out_to,
        )
        for row in _GRANTS.of(tx, client_id)
    ]


def _ticket_out_to() -> sa.ScalarSelect[Any]:
    """A ticket for the epoch that another one was granted, to an instance that runs as it ran then."""
    ticket, heir = handover_tickets.c, instances.alias("heir")
    return (
        sa.select(ticket.to_instance_id)
        .join(heir, heir.c.id == ticket.to_instance_id)
        .where(
            ticket.agent_id == epoch_grants.c.agent_id,
            ticket.epoch == epoch_grants.c.epoch,
            ticket.to_instance_id != epoch_grants.c.instance_id,
            ticket.status.in_([TicketStatus.OUT.value, TicketStatus.OVER.value]),
            heir.c.is_active,
            sa.func.coalesce(heir.c.ec2_state, "") != InstanceState.STOPPED.value,
            heir.c.boot_id == ticket.to_boot_id,
        )
        .limit(1)
        .correlate(epoch_grants)
        .scalar_subquery()
    )


_former = epoch_grants.alias("former")
_g = epoch_grants.c
_GRANTS = _Rows(
    sa.select(
        _g.agent_id,
        _g.epoch,
        _g.instance_id,
        _g.status,
        _g.granted_at,
        _g.proof,
        _g.released_at,
        _former.c.released_at.label("former_released_at"),
        instances.c.ec2_state.label("former_state"),
        instances.c.current_mode.label("former_mode"),
        instances.c.launched_at.label("former_launched_at"),
        _ticket_out_to().label("ticket_out_to"),
    )
    .join(agents, agents.c.id == epoch_grants.c.agent_id)
    .outerjoin(
        _former,
        sa.and_(_former.c.agent_id == epoch_grants.c.agent_id, _former.c.epoch == epoch_grants.c.epoch - 1),
    )
    .outerjoin(instances, instances.c.id == _former.c.instance_id),
    agents.c.client_id,
)


def _died(row: Row) -> bool:
    """A stopped holder that somebody has started since was dead when it mattered: its present run began later."""
    if row.former_launched_at is not None and row.former_launched_at > row.granted_at:
        return True
    told = row.former_state and row.former_mode
    return bool(told) and is_proof_of_death(InstanceState(row.former_state), Mode(row.former_mode))


def _machines(tx: sa.Connection, client_id: ClientId | None) -> list[inv.InstanceFact]:
    orphans = {row.id for row in leftover_rows.orphan_machines(tx)}
    return [
        inv.InstanceFact(
            instance_id=row.id,
            agent_id=row.agent_id,
            client_id=row.client_id,
            is_active=row.is_active,
            gate_open=row.gate == GateState.OPEN
            and row.drill_id is None,  # a probe reaches it, no client does
            heard_at=row.last_heartbeat_at,
            mode=None if row.current_mode is None else Mode(row.current_mode),
            usd_per_hour=row.spot_price if row.current_mode == Mode.SPOT else row.ondemand_price,
            is_ours=row.intention_token is not None,
            since=max(at for at in (row.updated_at, row.created_at, row.move_over, row.standby_over) if at),
            has_role=row.id not in orphans or row.ec2_state == InstanceState.SHUTTING_DOWN,
        )
        for row in _MACHINES.of(tx, client_id)
    ]


_i = instances.c
_MACHINES = _Rows(
    sa.select(
        _i.id,
        _i.agent_id,
        _i.client_id,
        _i.is_active,
        _i.gate,
        _i.drill_id,
        _i.last_heartbeat_at,
        _i.current_mode,
        _i.spot_price,
        _i.ondemand_price,
        _i.intention_token,
        _i.updated_at,
        _i.created_at,
        _i.ec2_state,
        switches.c.completed_at.label("move_over"),
        replica_instances.c.terminated_at.label("standby_over"),
    )
    .outerjoin(switches, switches.c.id == instances.c.switch_id)
    .outerjoin(replica_instances, replica_instances.c.id == instances.c.replica_id)
    .where(instances.c.is_active),
    instances.c.client_id,
)


def _replicas(tx: sa.Connection, client_id: ClientId | None, held: set[str]) -> list[inv.ReplicaFact]:
    return [
        inv.ReplicaFact(
            replica_id=row.id,
            agent_id=row.agent_id,
            replica_type=ReplicaType(row.replica_type),
            status=ReplicaStatus(row.status),
            is_active=row.is_active,
            instance_id=row.instance_id,
            promoted_instance_held_epoch=row.instance_id in held,
        )
        for row in _REPLICAS.of(tx, client_id)
    ]


_r = replica_instances.c
_REPLICAS = _Rows(
    sa.select(_r.id, _r.agent_id, _r.replica_type, _r.status, _r.is_active, _r.instance_id).join(
        agents, _a.id == _r.agent_id
    ),
    _a.client_id,
)


def _switches(tx: sa.Connection, now: datetime, client_id: ClientId | None) -> list[inv.SwitchFact]:
    rows = _MOVES.of(tx, client_id, since=now - RECENT)
    steps = _steps(tx, now)
    asked = _asked_to_end(tx, rows)
    away = _away(tx, now)
    moving = {row.agent_id for row in rows if row.status == SwitchStatus.PREPARING}
    return [
        inv.SwitchFact(
            switch_id=row.id,
            agent_id=row.agent_id,
            status=SwitchStatus(row.status),
            trigger=Trigger(row.event_trigger),
            steps=frozenset(steps.get(row.id, ())),
            at=row.created_at,
            deadline_at=row.deadline_at,
            voluntary=row.event_trigger == Trigger.AUTO_SWITCH
            and row.plan.get("aim") != "recover"
            and row.status not in (SwitchStatus.UNWOUND, SwitchStatus.FAILED),
            most_a_day=row.plan.get("most_a_day", inv.MANY_SWITCHES_A_DAY),
            due=_due(tx, row, away, moving),
            old_ended_by_us=any(at >= row.created_at for at in asked.get(row.old_instance_id, ())),
        )
        for row in rows
    ]


_OPEN_OR_RECENT = sa.or_(
    switches.c.status.in_([status.value for status in OPEN_SWITCH]),
    switches.c.created_at > sa.bindparam("since"),
)
_MOVES = _Rows(sa.select(switches).where(_OPEN_OR_RECENT), switches.c.client_id)


def _due(tx: sa.Connection, switch: Row, away: set[str], moving: set[str]) -> DueStep | None:
    """While its agent is away, or being moved or recovered once more, a move waits for that."""
    waits = switch.status == SwitchStatus.COMMITTED and switch.agent_id in moving
    return None if waits or switch.agent_id in away else move_deadlines.due_of(tx, switch)


def _away(tx: sa.Connection, now: datetime) -> set[str]:
    """Offline, deleted, or in the midst of a move whose new holder is not heard of."""
    silent_since = now - timedelta(seconds=OFFLINE_AFTER_SECONDS)
    return {row.id for row in _AWAY.rows(tx, {"silent_since": silent_since})}


_UNHEARD = sa.exists().where(
    epoch_grants.c.held_agent_id == agents.c.id,
    instances.c.id == epoch_grants.c.instance_id,
    epoch_grants.c.granted_at < sa.bindparam("silent_since"),
    sa.func.coalesce(instances.c.last_heartbeat_at, epoch_grants.c.granted_at) < sa.bindparam("silent_since"),
)
_AWAY = Prepared(
    sa.select(agents.c.id).where(
        sa.or_(agents.c.status == AgentStatus.OFFLINE.value, agents.c.deleted_at.is_not(None), _UNHEARD)
    )
)


def _asked_to_end(tx: sa.Connection, moves: Sequence[Row]) -> dict[str, list[datetime]]:
    """When we asked for the end of which instance: by a command that an agent has taken, or by a call of our own."""
    if not moves:
        return {}
    movers, since = sorted({row.agent_id for row in moves}), min(row.created_at for row in moves)
    asked: dict[str, list[datetime]] = {}
    for some in batched(movers):
        for query in (_TAKEN, _CALLED):
            for row in query.rows(tx, some | {"since": since}):
                asked.setdefault(row.told.get("instance_id", ""), []).append(row.at)
    return asked


_c, _e = commands.c, agent_events.c
_TAKEN = Prepared(
    sa.select(_c.payload.label("told"), _c.created_at.label("at")).where(
        _c.agent_id.in_(batch_of(_c.agent_id)),
        _c.created_at >= sa.bindparam("since"),
        _c.command_type.in_(_ENDS),
        _c.status.not_in(_NEVER_BEGUN),
    )
)
_CALLED = Prepared(
    sa.select(_e.detail.label("told"), _e.at).where(
        _e.agent_id.in_(batch_of(_e.agent_id)),
        _e.at >= sa.bindparam("since"),
        _e.kind.in_([ENDS_OLD, ENDS_IDLE]),
    )
)


def _steps(tx: sa.Connection, now: datetime) -> dict[str, list[Step]]:
    steps: dict[str, list[Step]] = {}
    for row in _STEPS.rows(tx, {"since": now - RECENT}):
        steps.setdefault(row.switch_id, []).append(Step(row.step))
    return steps


_STEPS = Prepared(
    sa.select(switch_steps.c.switch_id, switch_steps.c.step)
    .join(switches, switches.c.id == switch_steps.c.switch_id)
    .where(_OPEN_OR_RECENT)
)


def _storage(tx: sa.Connection, client_id: ClientId | None) -> list[inv.StorageFact]:
    rows = _SUSPECTS.of(tx, client_id)
    loose = {row.id for row in leftover_rows.unreferenced(tx)} if rows else set()
    return [inv.StorageFact(row.id, row.id not in loose, row.suspect_since) for row in rows]


_s = storage_resources.c
_SUSPECTS = _Rows(
    sa.select(_s.id, _s.suspect_since).where(_s.ended_at.is_(None), _s.suspect_since.is_not(None)),
    _s.client_id,
)
