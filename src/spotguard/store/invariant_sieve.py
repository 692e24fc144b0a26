"""Whom of a tenant's agents the invariants have to look at, asked in a few aggregates: a fleet's rows are too many.

Nothing is judged here. Whoever is named is held against `planning.invariants`; whoever is not has rows in which they
can find nothing. What the schema itself refuses (two held epochs, both modes at once, a second live manual replica, a
replica that is active and over) is not asked again.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from spotguard.domain.epochs import Proof
from spotguard.domain.ids import ClientId
from spotguard.domain.instances import GateState, InstanceState
from spotguard.domain.replicas import ReplicaStatus
from spotguard.domain.tickets import TicketStatus
from spotguard.store.prepared import Prepared
from spotguard.store.tables import agents, epoch_grants, handover_tickets, instances, replica_instances

_a, _g, _i, _r, _t = agents.c, epoch_grants.c, instances.c, replica_instances.c, handover_tickets.c
_OF_CLIENT = _a.client_id == sa.bindparam("client")


def doubtful(tx: sa.Connection, client_id: ClientId) -> set[str]:
    """Ids of agents."""
    return {row.agent_id for query in _SIEVES for row in query.rows(tx, {"client": client_id})}


def _of_agent(wanted: Any, *where: sa.ColumnElement[bool]) -> sa.ScalarSelect[Any]:
    return sa.select(wanted).where(*where).correlate(agents).scalar_subquery()


_MACHINES = _of_agent(sa.func.count(), _i.agent_id == _a.id, _i.is_active)
_STANDBYS = _of_agent(sa.func.count(), _r.agent_id == _a.id, _r.is_active)
_EPOCHS = _of_agent(sa.func.count(), _g.agent_id == _a.id)
_NEWEST = _of_agent(sa.func.coalesce(sa.func.max(_g.epoch), 0), _g.agent_id == _a.id)
_NAMED = sa.exists().where(_r.id == _a.current_replica_id, _r.agent_id == _a.id, _r.is_active)
_SERVES = sa.exists().where(_g.agent_id == _a.id, _g.epoch == _a.epoch, _g.instance_id == _a.instance_id)
_IN_ORDER = sa.and_(
    _a.instance_count == _MACHINES,
    _a.replica_count == _STANDBYS,
    sa.or_(_NAMED, sa.and_(_a.replica_count == 0, _a.current_replica_id.is_(None))),
    _a.epoch == _EPOCHS,  # with the next: no gap
    _a.epoch == _NEWEST,
    sa.or_(_a.epoch == 0, _SERVES),
)

_former = epoch_grants.alias("former")
_machine = instances.alias("former_machine")
_PROVEN = sa.or_(
    sa.and_(_g.proof == Proof.FIRST.value, _g.epoch == 1),
    sa.and_(_g.proof == Proof.RELEASED.value, _former.c.released_at.is_not(None)),
    sa.and_(
        _g.proof.in_([Proof.DEAD.value, Proof.VANISHED.value]),
        _machine.c.ec2_state == InstanceState.TERMINATED.value,
        _machine.c.current_mode.is_not(None),
    ),
    _g.proof == Proof.VOLUME_MOVED.value,
)


def _not(cleared: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Also where it is NULL: what is not known clears nobody."""
    return sa.case((cleared, 0), else_=1) == 1


_MISCOUNTED = sa.select(_a.id.label("agent_id")).where(_OF_CLIENT, _not(_IN_ORDER))
_UNPROVEN = (
    sa.select(_g.agent_id)
    .join(agents, _a.id == _g.agent_id)
    .outerjoin(_former, sa.and_(_former.c.agent_id == _g.agent_id, _former.c.epoch == _g.epoch - 1))
    .outerjoin(_machine, _machine.c.id == _former.c.instance_id)
    .where(_OF_CLIENT, _not(_PROVEN))
)
_TICKETED = (
    sa.select(_g.agent_id)
    .join(handover_tickets, sa.and_(_t.agent_id == _g.agent_id, _t.epoch == _g.epoch))
    .join(agents, _a.id == _g.agent_id)
    .where(
        _OF_CLIENT,
        _t.status.in_([TicketStatus.OUT.value, TicketStatus.OVER.value]),
        _t.to_instance_id != _g.instance_id,
    )
)
_TWO_GATES = (
    sa.select(_g.agent_id)
    .join(instances, _i.agent_id == _g.held_agent_id)
    .join(agents, _a.id == _g.agent_id)
    .where(_OF_CLIENT, _i.is_active, _i.gate == GateState.OPEN.value, _i.id != _g.instance_id)
)
_HELD = sa.exists().where(_g.agent_id == _r.agent_id, _g.instance_id == _r.instance_id)
_PROMOTED = (
    sa.select(_r.agent_id)
    .join(agents, _a.id == _r.agent_id)
    .where(
        _OF_CLIENT,
        sa.or_(
            sa.and_(_r.status == ReplicaStatus.PROMOTED.value, sa.not_(_HELD)),
            sa.and_(_r.is_active, _HELD),
        ),
    )
)
_SIEVES = tuple(
    Prepared(query.distinct()) for query in (_MISCOUNTED, _UNPROVEN, _TICKETED, _TWO_GATES, _PROMOTED)
)
