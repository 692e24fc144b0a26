"""What is left of a dead holder's state: its volumes, and those of which nobody knows whose they were."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from spotguard.domain.drills import PURPOSE as REHEARSAL
from spotguard.domain.instances import EndReason
from spotguard.domain.probes import PURPOSE as PROBE
from spotguard.domain.replicas import ReplicaStatus
from spotguard.domain.salvages import PURPOSE as SALVAGE
from spotguard.domain.signals import NOTICE_SECONDS
from spotguard.domain.switches import MoveKind
from spotguard.planning.switching import ROOT_DEVICES
from spotguard.store import agents, grants, storage
from spotguard.store.prepared import Prepared
from spotguard.store.steps import IS_GRANTED
from spotguard.store.tables import instances, replica_instances, storage_resources, switches

Row = sa.Row[Any]
_s = storage_resources.c
_r = replica_instances.c
_MOST_MOVES = 50  # that nobody saw, one after the other


@dataclass(frozen=True)
class StateLeft:
    """`volumes`: the dead holder's own. `strays`: free ones that may be its: never an excuse for an older copy.
    `copies`: those that a standby has, or had, which was in sync.
    """

    volumes: list[Row]
    strays: list[Row]
    copies: list[Row]


def left_by(tx: sa.Connection, agent: Row) -> StateLeft:
    """Of the agent's holder, as the rows have it: look at EC2 first. Of a holder whose state lies on its root, no other
    volume is state.

    What a recovery that came to nothing had carried to a machine that has died since comes first.
    """
    held = grants.holder(tx, agent.id)
    if held is None:
        return StateLeft([], [], [])
    strays = strays_of(tx, agent.id, held.instance_id)
    if agents.state_on_root(tx, held.instance_id):
        return StateLeft([], strays, [])
    carried = storage.data_volumes_named(tx, _volumes_of_failed_recovery(tx, agent, held))
    volumes = carried or storage.data_volumes_of(tx, held.instance_id) or _moved_unseen(tx, held.instance_id)
    return StateLeft(volumes, strays, list(_COPIES.rows(tx, {"agent": agent.id})))


def was_taken_unheard(tx: sa.Connection, instance_id: str) -> bool:
    """AWS took it, and the server had lost it before the notice: its agent was alone, and closed its gate in time."""
    row = _END.first(tx, {"machine": instance_id})
    if row is None or row.end_reason != EndReason.INTERRUPTED or row.ended_at is None:
        return False
    noticed_at = row.ended_at - timedelta(seconds=NOTICE_SECONDS)
    return row.last_heartbeat_at is None or bool(row.last_heartbeat_at < noticed_at)


def strays_of(tx: sa.Connection, agent_id: str, instance_id: str) -> list[Row]:
    """Free volumes of the agent that nobody has been seen with, or that this one had at a device that nobody knows."""
    return list(_STRAYS.rows(tx, {"agent": agent_id, "machine": instance_id}))


def never_seen(tx: sa.Connection) -> list[Row]:
    """Free volumes of ours that nobody has ever been seen with, of every tenant."""
    return list(_NEVER_SEEN.rows(tx, {}))


_FREE = (
    sa.select(storage_resources)
    .where(
        _s.kind == "volume",
        _s.ended_at.is_(None),
        _s.attached_to.is_(None),
        # copies: of an older state, whose clone never served, of an image's that was launched only to look, and of a
        # dead holder's, to be looked at
        sa.func.coalesce(_s.purpose, "").not_in([REHEARSAL, PROBE, SALVAGE]),
    )
    .order_by(_s.created_at, _s.id)
)
_NEVER_SEEN = Prepared(_FREE.where(_s.is_ours, _s.last_attached_to.is_(None)))
_STRAYS = Prepared(
    _FREE.where(
        _s.agent_id == sa.bindparam("agent"),
        sa.or_(
            _s.last_attached_to.is_(None),
            sa.and_(_s.last_attached_to == sa.bindparam("machine"), _s.device.is_(None)),
        ),
    )
)
_COPIES = Prepared(
    sa.select(storage_resources.c.id)
    .where(
        _s.kind == "volume",
        _s.ended_at.is_(None),
        _s.agent_id == sa.bindparam("agent"),
        sa.or_(_s.device.is_(None), _s.device.not_in(ROOT_DEVICES)),
        sa.exists().where(
            _r.instance_id == _s.last_attached_to,
            _r.synced_at.is_not(None),
            _r.status != ReplicaStatus.PROMOTED.value,
        ),
    )
    .order_by(_s.created_at, _s.id)
)
_END = Prepared(
    sa.select(instances.c.end_reason, instances.c.ended_at, instances.c.last_heartbeat_at).where(
        instances.c.id == sa.bindparam("machine")
    )
)
_RECOVERY = Prepared(
    sa.select(switches.c.plan)
    .where(
        switches.c.agent_id == sa.bindparam("agent"),
        switches.c.from_epoch == sa.bindparam("epoch"),
        switches.c.is_recovery,
        switches.c.kind == MoveKind.VOLUME.value,
    )
    .order_by(switches.c.created_at.desc())
    .limit(1)
)


def _volumes_of_failed_recovery(tx: sa.Connection, agent: Row, held: Row) -> list[str]:
    """What the newest recovery of this epoch's holder set out to carry; none if it is the first."""
    plan = _RECOVERY.scalar(tx, {"agent": agent.id, "epoch": held.epoch})
    return [volume["id"] for volume in (plan or {}).get("volumes", [])]


def _moved_unseen(tx: sa.Connection, instance_id: str) -> list[Row]:
    """Agents carried them from holder to holder while no look saw it: the rows name an earlier holder."""
    holder: str | None = instance_id
    for _ in range(_MOST_MOVES):
        holder = tx.execute(
            sa.select(switches.c.old_instance_id)
            .where(
                switches.c.new_instance_id == holder,
                switches.c.kind == MoveKind.VOLUME.value,
                IS_GRANTED,
            )
            .limit(1)
        ).scalar_one_or_none()
        if holder is None:
            return []
        found = storage.data_volumes_of(tx, holder)
        if found:
            return found
    return []
