"""The old instance of a move while it waits for its end: what it has of the new one's state (ruling B1).

While the move is committed and the old instance is not ended, the new holder copies its state back to it, and the old
one says what has arrived. An order to its place goes back to it while it is in sync.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from spotguard.domain.errors import NotFound
from spotguard.domain.ids import AgentId, InstanceId, SwitchId
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool, parse_pool_id
from spotguard.domain.replicas import SyncStatus
from spotguard.domain.switches import MoveKind, Step, SwitchStatus
from spotguard.store import deaths, old_ends
from spotguard.store.tables import instances, switch_steps, switches

Row = sa.Row[Any]

FRESH = timedelta(seconds=150)  # an agent repeats what has not changed every minute


@dataclass(frozen=True)
class Fallback:
    """Where the new holder of a move copies its state back to."""

    switch_id: SwitchId
    instance_id: InstanceId
    address: str | None


@dataclass(frozen=True)
class FallbackState:
    """What the old instance has. `age_seconds`: of the newest state that has arrived whole. `discards_seconds`: of the
    workload's writes, by going back now. None unknown.
    """

    sync_status: SyncStatus
    told_at: datetime
    age_seconds: Decimal | None
    discards_seconds: Decimal | None


@dataclass(frozen=True)
class Kept:
    """The old instance of the newest move while it waits for its end. `why_not`: why nobody goes back to it now;
    None: an order to its place does.
    """

    instance_id: InstanceId
    pool: Pool
    mode: Mode
    told: FallbackState | None
    why_not: str | None

    def is_at(self, pool: Pool | None, mode: Mode) -> bool:
        """An order names this place; on demand has none, there is one such instance."""
        return mode is self.mode and (mode is Mode.ONDEMAND or (pool is not None and pool.id == self.pool.id))


def of_agent(tx: sa.Connection, agent_id: AgentId) -> Fallback | None:
    """Of its newest move; None when that was another way of moving, is over, or has ended the old instance."""
    found = _newest(tx, agent_id)
    if found is None:
        return None
    switch, old = found
    return Fallback(SwitchId(switch.id), InstanceId(old.id), old.private_ip)


def kept(tx: sa.Connection, now: datetime, agent_id: AgentId) -> Kept | None:
    """Whom a way back would find now; None where nothing is copied back."""
    found = _newest(tx, agent_id)
    if found is None:
        return None
    switch, old = found
    told = state_of(switch, now)
    place = Pool(switch.old_instance_type, switch.old_az)
    return Kept(
        InstanceId(old.id),
        place if switch.old_pool_id is None else parse_pool_id(switch.old_pool_id),
        Mode(switch.old_mode),
        told,
        _why_not(tx, now, switch, told),
    )


def _why_not(tx: sa.Connection, now: datetime, switch: Row, told: FallbackState | None) -> str | None:
    if not deaths.can_serve(tx, switch.old_instance_id):
        return "it is about to end"
    if old_ends.word(tx, switch).allows(now):
        return "its waiting time is over"
    if told is None:
        return "it has told nothing of its state yet"
    if told.sync_status is not SyncStatus.SYNCED:
        return f"its state is {told.sync_status}"
    return None


def _newest(tx: sa.Connection, agent_id: AgentId) -> tuple[Row, Row] | None:
    """The move and its old instance."""
    newest = (
        sa.select(switches)
        .where(switches.c.agent_id == agent_id, switches.c.status == SwitchStatus.COMMITTED.value)
        .order_by(switches.c.created_at.desc(), switches.c.id.desc())
        .limit(1)
    )
    switch = tx.execute(newest).first()
    if switch is None or not _copies_back(tx, switch):
        return None
    old = tx.execute(sa.select(instances).where(instances.c.id == switch.old_instance_id)).first()
    if old is None or not old.is_active or old.agent_id != agent_id:
        return None
    return switch, old


def _copies_back(tx: sa.Connection, switch: Row) -> bool:
    """The old instance kept its state only where it was copied; a dead one has nothing to come back with."""
    if (
        switch.kind != MoveKind.SYNCED
        or switch.is_recovery
        or switch.old_instance_id == switch.new_instance_id
    ):
        return False
    ended = sa.select(switch_steps.c.step).where(
        switch_steps.c.switch_id == switch.id, switch_steps.c.step == Step.OLD_ENDED.value
    )
    return tx.execute(ended).first() is None


def apply_status(  # noqa: PLR0913 - what it has measured, and when
    tx: sa.Connection,
    now: datetime,
    agent_id: AgentId,
    switch_id: SwitchId,
    instance_id: InstanceId,
    *,
    sync_status: SyncStatus,
    latency_ms: int | None,
    position: int | None,
    measured_at: datetime,
) -> None:
    """What the old instance has measured. `NotFound` for a move that is not its own, or is over.

    What it measured before its newest report changes nothing.
    """
    s = switches.c
    mine = sa.and_(
        s.id == switch_id,
        s.agent_id == agent_id,
        s.old_instance_id == instance_id,
        s.status == SwitchStatus.COMMITTED.value,
    )
    known = s.fallback_position
    furthest = known if position is None else sa.case((known > position, known), else_=sa.literal(position))
    told = tx.execute(
        sa.update(switches)
        .where(
            mine,
            sa.or_(
                s.fallback_told_at.is_(None),
                s.fallback_told_at <= measured_at,
                s.fallback_told_at > now,  # by a server's clock that was ahead
            ),
        )
        .values(
            fallback_status=sync_status.value,
            fallback_lag_ms=latency_ms,
            fallback_position=furthest,
            fallback_told_at=measured_at,
        )
    )
    if told.rowcount != 1 and tx.execute(sa.select(s.id).where(mine)).first() is None:
        raise NotFound("no move under way that this instance could take back")


def state_of(switch: Row, now: datetime) -> FallbackState | None:
    """None when nothing was ever told of it, or it is over."""
    if switch.fallback_told_at is None or switch.status != SwitchStatus.COMMITTED.value:
        return None
    silent = now - switch.fallback_told_at
    status = SyncStatus(switch.fallback_status)
    if status is SyncStatus.SYNCED and silent > FRESH:
        status = SyncStatus.OUT_OF_SYNC
    age = _age(switch, silent)
    # in sync: nothing, since the last pass is made after the new one's gate has closed
    discarded = Decimal(0) if status is SyncStatus.SYNCED else age
    return FallbackState(status, switch.fallback_told_at, age, discarded)


def _age(switch: Row, silent: timedelta) -> Decimal | None:
    if switch.fallback_lag_ms is None:
        return None
    seconds = Decimal(switch.fallback_lag_ms) / 1000 + Decimal(str(silent.total_seconds()))
    return seconds.quantize(Decimal("0.001"))
