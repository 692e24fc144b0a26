"""What script, summary and stories read from the database of a world."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool, parse_pool_id
from spotguard.domain.replicas import ReplicaStatus
from spotguard.domain.switches import OPEN_SWITCH
from spotguard.simulation.world import World
from spotguard.store.tables import agents, replica_instances, switches

Row = sa.Row[Any]


def agent(world: World, name: str) -> Row:
    wanted = sa.select(agents).where(agents.c.client_id == world.client_id, agents.c.logical_agent_id == name)
    return world.db.read(lambda tx: tx.execute(wanted).one())


def replicas(world: World, agent_id: str) -> list[Row]:
    wanted = (
        sa.select(replica_instances)
        .where(replica_instances.c.agent_id == agent_id)
        .order_by(replica_instances.c.created_at)
    )
    return world.db.read(lambda tx: list(tx.execute(wanted)))


def ready_replica(world: World, agent_id: str) -> str | None:
    ready = [row.id for row in replicas(world, agent_id) if row.status == ReplicaStatus.READY]
    return ready[0] if ready else None


def moves(world: World, agent_id: str | None = None) -> list[Row]:
    wanted = (
        sa.select(switches).where(switches.c.client_id == world.client_id).order_by(switches.c.created_at)
    )
    if agent_id is not None:
        wanted = wanted.where(switches.c.agent_id == agent_id)
    return world.db.read(lambda tx: list(tx.execute(wanted)))


def is_moving(world: World, agent_id: str) -> bool:
    return any(row.status in OPEN_SWITCH for row in moves(world, agent_id))


def spot_pool(world: World, name: str) -> Pool | None:
    row = agent(world, name)
    return parse_pool_id(row.current_pool_id) if row.current_mode == Mode.SPOT else None


class Makers:
    """Which move made an instance serve: several lead to one that was gone back to, each before an epoch of its own."""

    def __init__(self, moves_told: Iterable[Row]) -> None:
        self._moves: dict[str, list[Row]] = {}
        for row in moves_told:
            if row.new_instance_id is not None:
                self._moves.setdefault(row.new_instance_id, []).append(row)

    def of(self, instance_id: str, epoch: int) -> Row | None:
        """The newest of those that left an earlier epoch; None: no move leads there."""
        leading = self._moves.get(instance_id, [])
        return next((row for row in reversed(leading) if row.from_epoch < epoch), None)
