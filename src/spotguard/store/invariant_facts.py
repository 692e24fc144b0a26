"""The rows that the invariants look at, as `planning.invariants` wants them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from spotguard.domain.agents import AgentStatus
from spotguard.domain.epochs import GrantStatus, Proof
from spotguard.domain.ids import ClientId
from spotguard.domain.instances import GateState, InstanceState, Mode, is_proof_of_death
from spotguard.domain.replicas import ReplicaStatus, ReplicaType
from spotguard.domain.tickets import TicketStatus
from spotguard.planning import invariants as inv
from spotguard.store import admissions, invariant_moves, invariant_sieve, left_alone, leftover_rows
from spotguard.store.batches import batch_of, batched
from spotguard.store.prepared import Prepared
from spotguard.store.set_apart import is_set_apart
from spotguard.store.tables import (
    agent_tokens,
    agents,
    epoch_grants,
    handover_tickets,
    instances,
    replica_instances,
    storage_resources,
    switches,
)

Row = sa.Row[Any]
RECENT = timedelta(days=1)
SUSPECT_AGENTS = 1000  # with more than these in doubt one look at all of them is cheaper


@dataclass(frozen=True)
class _Scope:
    """Whose rows: a client's, everybody's where None; of all its agents, or of some."""

    client_id: ClientId | None
    agents: Sequence[str] | None = None


def gather(tx: sa.Connection, now: datetime, client_id: ClientId | None = None) -> inv.Facts:
    """Everything alive and everything of the last day; of one client where asked."""
    return _facts(tx, now, _Scope(client_id), leftover_rows.orphan_machines(tx))


def gather_doubtful(tx: sa.Connection, now: datetime, client_id: ClientId) -> inv.Facts:
    """The same without the agents in whose rows the checks cannot find anything."""
    orphans = leftover_rows.orphan_machines(tx)
    idle = {row.agent_id for row in orphans if row.client_id == client_id and row.agent_id}
    doubtful = sorted(invariant_sieve.doubtful(tx, client_id) | idle)
    few = len(doubtful) <= SUSPECT_AGENTS
    return _facts(tx, now, _Scope(client_id, doubtful if few else None), orphans)


def _facts(tx: sa.Connection, now: datetime, scope: _Scope, orphans: Sequence[Row]) -> inv.Facts:
    return inv.Facts(
        now=now,
        agents=_agents(tx, scope),
        grants=_grants(tx, scope),
        instances=_machines(
            tx, scope, {row.id for row in orphans if left_alone.why_left_alone(tx, row) is None}
        ),
        replicas=_replicas(tx, scope),
        switches=invariant_moves.of_client(tx, now, scope.client_id),
        storage=_storage(tx, scope),
        caps=admissions.of_newest(tx, now - RECENT, scope.client_id),
    )


class _Rows:
    """The same question of everybody, of one client, and of some of its agents where rows are an agent's."""

    def __init__(
        self,
        query: sa.Select[Any],
        client_column: sa.ColumnElement[Any],
        agent_column: sa.ColumnElement[Any] | None = None,
    ) -> None:
        self._everybody = Prepared(query)
        self._one = Prepared(query.where(client_column == sa.bindparam("client")))
        self._some = (
            None
            if agent_column is None
            else Prepared(
                query.where(client_column == sa.bindparam("client"), agent_column.in_(batch_of(agent_column)))
            )
        )

    def of(self, tx: sa.Connection, scope: _Scope, **values: Any) -> Sequence[Any]:
        if scope.client_id is None:
            return self._everybody.rows(tx, values)
        values |= {"client": scope.client_id}
        if scope.agents is None or self._some is None:
            return self._one.rows(tx, values)
        return [row for some in batched(scope.agents) for row in self._some.rows(tx, values | some)]


def _agents(tx: sa.Connection, scope: _Scope) -> list[inv.AgentFact]:
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
        for row in _AGENTS.of(tx, scope)
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
    _a.id,
)


def _grants(tx: sa.Connection, scope: _Scope) -> list[inv.GrantFact]:
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
            heir=row.heir,
        )
        for row in _GRANTS.of(tx, scope)
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


def _in_its_boot_since() -> sa.ScalarSelect[Any]:
    """When it first registered in the boot that it is in."""
    t = agent_tokens.c
    mine = t.instance_id == instances.c.id, t.boot_id == instances.c.boot_id
    return sa.select(sa.func.min(t.created_at)).where(*mine).correlate(instances).scalar_subquery()


_former = epoch_grants.alias("former")
_out = handover_tickets.alias("out")
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
        instances.c.hibernates.label("former_hibernates"),
        instances.c.launched_at.label("former_launched_at"),
        _in_its_boot_since().label("former_boot_since"),
        _ticket_out_to().label("ticket_out_to"),
        _out.c.to_instance_id.label("heir"),
    )
    .join(agents, agents.c.id == epoch_grants.c.agent_id)
    .outerjoin(
        _out,
        sa.and_(
            _out.c.out_agent_id == epoch_grants.c.agent_id,
            _out.c.from_instance_id == epoch_grants.c.instance_id,
            _out.c.epoch == epoch_grants.c.epoch + 1,
        ),
    )
    .outerjoin(
        _former,
        sa.and_(_former.c.agent_id == epoch_grants.c.agent_id, _former.c.epoch == epoch_grants.c.epoch - 1),
    )
    .outerjoin(instances, instances.c.id == _former.c.instance_id),
    _a.client_id,
    _g.agent_id,
)


def _died(row: Row) -> bool:
    """A stopped holder that somebody has started since was dead when it mattered: its present run began later.

    EC2 tells so at the next look, and itself before that, when it registers.
    """
    began = [at for at in (row.former_launched_at, row.former_boot_since) if at is not None]
    if began and max(began) > row.granted_at and row.former_hibernates is False:
        return True
    if not (row.former_state and row.former_mode):
        return False
    state, mode = InstanceState(row.former_state), Mode(row.former_mode)
    return is_proof_of_death(state, mode, hibernates=row.former_hibernates)


def _machines(tx: sa.Connection, scope: _Scope, orphans: set[str]) -> list[inv.InstanceFact]:
    nobodys = () if scope.agents is None else _NOBODYS.of(tx, scope)
    return [
        inv.InstanceFact(
            instance_id=row.id,
            agent_id=row.agent_id,
            client_id=row.client_id,
            is_active=row.is_active,
            gate_open=row.gate == GateState.OPEN and not is_set_apart(row),  # no client reaches such a one
            heard_at=row.last_heartbeat_at,
            mode=None if row.current_mode is None else Mode(row.current_mode),
            usd_per_hour=row.spot_price if row.current_mode == Mode.SPOT else row.ondemand_price,
            is_ours=row.intention_token is not None,
            since=max(at for at in (row.updated_at, row.created_at, row.move_over, row.standby_over) if at),
            has_role=row.id not in orphans or row.ec2_state == InstanceState.SHUTTING_DOWN,
        )
        for row in (*_MACHINES.of(tx, scope), *nobodys)
    ]


_i = instances.c
_RUNNING = (
    sa.select(
        _i.id,
        _i.agent_id,
        _i.client_id,
        _i.is_active,
        _i.gate,
        _i.drill_id,
        _i.probe_id,
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
    .where(instances.c.is_active)
)
_MACHINES = _Rows(_RUNNING, _i.client_id, _i.agent_id)
_NOBODYS = _Rows(_RUNNING.where(_i.agent_id.is_(None)), _i.client_id)


def _replicas(tx: sa.Connection, scope: _Scope) -> list[inv.ReplicaFact]:
    return [
        inv.ReplicaFact(
            replica_id=row.id,
            agent_id=row.agent_id,
            replica_type=ReplicaType(row.replica_type),
            status=ReplicaStatus(row.status),
            is_active=row.is_active,
            instance_id=row.instance_id,
            instance_held_epoch=bool(row.held_epoch),
            is_outgoing=row.is_outgoing,
        )
        for row in _REPLICAS.of(tx, scope)
    ]


_r = replica_instances.c
_REPLICAS = _Rows(
    sa.select(
        _r.id,
        _r.agent_id,
        _r.replica_type,
        _r.status,
        _r.is_active,
        _r.is_outgoing,
        _r.instance_id,
        sa.exists().where(_g.agent_id == _r.agent_id, _g.instance_id == _r.instance_id).label("held_epoch"),
    ).join(agents, _a.id == _r.agent_id),
    _a.client_id,
    _r.agent_id,
)


def _storage(tx: sa.Connection, scope: _Scope) -> list[inv.StorageFact]:
    rows = _SUSPECTS.of(tx, scope)
    loose = {row.id for row in leftover_rows.unreferenced(tx)} if rows else set()
    return [inv.StorageFact(row.id, row.id not in loose, row.suspect_since) for row in rows]


_s = storage_resources.c
_SUSPECTS = _Rows(
    sa.select(_s.id, _s.suspect_since).where(_s.ended_at.is_(None), _s.suspect_since.is_not(None)),
    _s.client_id,
)
