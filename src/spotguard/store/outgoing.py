"""Standbys that are to be replaced: each stays, and is synced, until a whole pass has reached its successor."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from spotguard.domain.ids import AgentId, InstanceId, ReplicaId
from spotguard.store.tables import replica_instances

_r = replica_instances.c


def give_way(tx: sa.Connection, replica_ids: Sequence[ReplicaId]) -> None:
    """A successor may be wished for beside them."""
    if replica_ids:
        tx.execute(
            sa.update(replica_instances)
            .where(_r.id.in_(replica_ids), _r.is_active, sa.not_(_r.is_outgoing))
            .values(is_outgoing=True)
        )


def machine_of(tx: sa.Connection, agent_id: AgentId | str) -> InstanceId | None:
    """Which ends when its successor comes: a cap need not have room for both."""
    found = sa.select(_r.instance_id).where(_r.agent_id == agent_id, _r.is_active, _r.is_outgoing)
    machine = tx.scalar(found.where(_r.instance_id.is_not(None)).order_by(_r.id).limit(1))
    return None if machine is None else InstanceId(machine)


def stay(tx: sa.Connection, agent_id: AgentId | str) -> None:
    """Their successor came to nothing."""
    tx.execute(
        sa.update(replica_instances)
        .where(_r.agent_id == agent_id, _r.is_active, _r.is_outgoing)
        .values(is_outgoing=False)
    )
