"""Deleting an agent, and what it would come to: the same deed, taken back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from spotguard.domain.agents import AgentStatus
from spotguard.domain.commands import OPEN_COMMAND, CommandType
from spotguard.domain.errors import Refused
from spotguard.domain.ids import AgentId, ClientId, CommandId, ReplicaId
from spotguard.domain.money import ZERO
from spotguard.domain.switches import SwitchStatus
from spotguard.store import agents as agent_store
from spotguard.store import (
    commands,
    deaths,
    events,
    fleet,
    grants,
    left_behind,
    moves,
    old_ends,
    replicas,
    sightings,
)
from spotguard.store.left_behind import LeftBehind
from spotguard.store.steps import IS_OPEN, only_prunes
from spotguard.store.tables import agents, switches
from spotguard.store.tables import commands as commands_table

Row = sa.Row[Any]
CHANGED = "what its deletion leaves or ends has changed since you looked: look again"
_BECAUSE = "its agent was deleted"


@dataclass(frozen=True)
class Deletion:
    """`agent`: its row afterwards. `left`: what goes on. `standbys`: what ends with it, as far as it has a machine; who
    was launched to take over among them.
    """

    agent: Row
    left: tuple[LeftBehind, ...]
    standbys: tuple[str, ...]

    @property
    def because(self) -> str:
        return left_behind.told_of(self.left)

    @property
    def usd_per_month(self) -> Decimal:
        """Of what is left, as far as it is known."""
        return sum((one.usd_per_month or ZERO for one in self.left), ZERO)

    @property
    def as_seen(self) -> str:
        """Another one as soon as something else goes on or ends; prices may change meanwhile."""
        told = [*sorted(one.row.id for one in self.left), "", *sorted(self.standbys)]
        return sha256("\n".join(told).encode()).hexdigest()[:16]


def delete(
    tx: sa.Connection, now: datetime, client_id: ClientId, agent_id: AgentId, as_seen: str | None = None
) -> Deletion:
    """Soft: history stays, standbys are retired, its instances are left alone, and its event names them. Again is
    harmless. Where nobody serves, a standby that was in sync is left alone too: it may have what is left of the state.

    It ends what is open of its moves where its holder has ended, or the old instance is left running anyway.
    `Refused` while another move is open: half a move has nobody to finish it; and where the deletion is no longer the
    one that somebody has seen.
    """
    if not require_deletable(tx, now, client_id, agent_id):
        return _deletion(tx, client_id, agent_id, ())
    successors = _end_moves(tx, now, agent_id)
    standbys = tuple(dict.fromkeys((*successors, *_retire(tx, now, agent_id))))
    _cancel(tx, now, agent_id)
    tx.execute(
        sa.update(agents)
        .where(agents.c.id == agent_id, agents.c.status != AgentStatus.DELETED.value)
        .values(
            status=AgentStatus.DELETED.value,
            deleted_at=now,
            enabled=False,
            config_version=agents.c.config_version + 1,
            updated_at=now,
        )
    )
    done = _deletion(tx, client_id, agent_id, standbys)
    if as_seen is not None and as_seen != done.as_seen:
        raise Refused(CHANGED)
    told = f"{done.agent.logical_agent_id} was deleted by its user; {done.because}"
    named = {"left": [one.row.id for one in done.left]}
    events.append(tx, now, client_id, agent_id, "agent_deleted", told, named)
    return done


def require_deletable(tx: sa.Connection, now: datetime, client_id: ClientId, agent_id: AgentId) -> bool:
    """Holds the agent. False for one that is deleted already; `Refused` as in `delete`."""
    agent_store.of_client(tx, client_id, agent_id)  # NotFound before anything is touched
    fleet.hold(tx, now, agent_id)
    agent = agent_store.of_client(tx, client_id, agent_id)
    if agent.status == AgentStatus.DELETED:
        return False
    _require_no_move(tx, agent)
    return True


def preview(tx: sa.Connection, now: datetime, client_id: ClientId, agent_id: AgentId) -> Deletion:
    """What `delete` would come to, or how it refuses; no row changes. Of a deleted one: what still goes on."""
    trial = tx.begin_nested()
    try:
        return delete(tx, now, client_id, agent_id)
    finally:
        trial.rollback()


def _deletion(
    tx: sa.Connection, client_id: ClientId, agent_id: AgentId, standbys: tuple[str, ...]
) -> Deletion:
    row = agent_store.of_client(tx, client_id, agent_id)
    left = tuple(left_behind.of_agent(tx, agent_id))
    kept = {one.row.id for one in left}
    return Deletion(row, left, tuple(one for one in standbys if one not in kept))


def _require_no_move(tx: sa.Connection, agent: Row) -> None:
    found = _open_moves(tx, agent.id, sa.not_(only_prunes(switches.c.id)))
    if not found or _has_ended(tx, agent.id):
        return
    first = found[0]
    if first.status == SwitchStatus.COMMITTED and not agent.auto_terminate_enabled:
        return
    held = old_ends.why_held(tx, agent) if first.status == SwitchStatus.COMMITTED else None
    if held is None:
        raise Refused("a move of this agent is open: wait until it has ended")
    raise Refused(
        f"the last move waits for the end of {first.old_instance_id} ({held}): set autoTerminateEnabled to false, and "
        "that one is left running, for you to end"
    )


def _open_moves(tx: sa.Connection, agent_id: str, *which: sa.ColumnElement[bool]) -> list[Row]:
    """One that is before its grant first."""
    moving = sa.select(switches).where(switches.c.agent_id == agent_id, IS_OPEN, *which)
    return list(tx.execute(moving.order_by(switches.c.status.desc(), switches.c.id)).all())


def _has_ended(tx: sa.Connection, agent_id: str) -> bool:
    """Its holder is dead: what is open waits for somebody who serves, perhaps for ever."""
    held = grants.holder(tx, AgentId(agent_id))
    return held is not None and deaths.is_dead(tx, held.instance_id)


def _end_moves(tx: sa.Connection, now: datetime, agent_id: AgentId) -> tuple[str, ...]:
    """Machines that were launched to take over, and end. Who has served, and what it had, is left alone."""
    ended = []
    for row in _open_moves(tx, agent_id):
        is_granted = row.status == SwitchStatus.COMMITTED
        moves.finish(
            tx, now, row.id, SwitchStatus.COMPLETED if is_granted else SwitchStatus.UNWOUND, _BECAUSE
        )
        new = row.new_instance_id
        if not is_granted and new is not None and not sightings.ever_held(tx, new):
            ended.append(new)
    return tuple(ended)


def _retire(tx: sa.Connection, now: datetime, agent_id: AgentId) -> tuple[str, ...]:
    """Machines of its standbys, which end."""
    live = replicas.live(tx, agent_id)
    for replica in live:
        replicas.retire(tx, now, ReplicaId(replica.id), _BECAUSE)
    return tuple(replica.instance_id for replica in live if replica.instance_id is not None)


def _cancel(tx: sa.Connection, now: datetime, agent_id: AgentId) -> None:
    c = commands_table.c
    waiting = sa.select(c.id).where(
        c.agent_id == agent_id,
        c.status.in_([status.value for status in OPEN_COMMAND]),
        c.command_type != CommandType.RETIRE_REPLICA.value,
    )
    for command_id in tx.scalars(waiting).all():
        commands.cancel(tx, now, CommandId(command_id), _BECAUSE)
