"""What the next clean-up would do and the last ones did: read from the rows, nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from spotguard.domain.ids import AgentId, ClientId
from spotguard.domain.instances import Mode
from spotguard.domain.switches import SwitchStatus
from spotguard.planning.cleaning import (
    DELETED,
    RELEASED,
    UNKNOWN_AGENT,
    Leftover,
    kept_plan,
    may_go_at,
    names_nobody,
    plan_of,
    uncompared_because,
    usd_per_month,
)
from spotguard.planning.deadlines import KEEP_AFTER_LOSS
from spotguard.planning.restore_points import DropPoint, plan_restore_points
from spotguard.store import (
    foundlings,
    last_states,
    left_alone,
    left_behind,
    left_for_people,
    leftover_rows,
    owners_volumes,
    restore_points,
)
from spotguard.store.invariant_moves import ENDS_IDLE, ENDS_OLD
from spotguard.store.tables import agent_events, replica_instances, storage_resources, switches

Row = sa.Row[Any]
_s = storage_resources.c


def report(tx: sa.Connection, now: datetime, client_id: ClientId | None = None) -> list[Leftover]:
    """Oldest first; of one tenant, or of all."""
    found = [
        *_machines(tx),
        *_things(tx),
        *_lost(tx),
        *_awaited(tx),
        *_kept(tx),
        *_foundlings(tx),
        *_old_points(tx, now),
        *_released(tx),
    ]
    mine = [one for one in found if client_id is None or one.client_id == client_id]
    unique = {one.resource_id: one for one in reversed(mine)}
    return sorted(unique.values(), key=lambda one: (one.since, one.resource_id))


def done(tx: sa.Connection, since: datetime, client_id: ClientId | None = None) -> Sequence[Row]:
    """Events of what was ended and deleted, newest first."""
    e = agent_events.c
    query = sa.select(agent_events).where(e.kind.in_([DELETED, ENDS_IDLE, ENDS_OLD]), e.at >= since)
    if client_id is not None:
        query = query.where(e.client_id == client_id)
    return tx.execute(query.order_by(e.id.desc()).limit(500)).all()


def _machines(tx: sa.Connection) -> Iterator[Leftover]:
    for row in leftover_rows.orphan_machines(tx):
        hourly = row.spot_price if row.current_mode == Mode.SPOT else row.ondemand_price
        kept = left_alone.why_left_alone(tx, row)
        yield Leftover(
            resource_id=row.id,
            kind="instance",
            client_id=row.client_id,
            agent_id=row.agent_id,
            since=row.launched_at or row.created_at,
            ours_because="launched with a token of ours, and it has never held an epoch",
            loose_because=_role_over(tx, row),
            plan=plan_of("ended", row.suspect_since) if kept is None else f"not ended: {kept}",
            suspect_since=row.suspect_since,
            may_go_at=may_go_at(row.suspect_since) if kept is None else None,
            usd_per_month=usd_per_month(hourly),
        )


def _role_over(tx: sa.Connection, machine: Row) -> str:
    for table, role, row_id in (
        (replica_instances, "replica", machine.replica_id),
        (switches, "move", machine.switch_id),
    ):
        status = tx.execute(sa.select(table.c.status).where(table.c.id == row_id)).scalar_one_or_none()
        if status is not None:
            return f"its {role} {row_id} is {status}"
    return "no grant, replica, move or open intention names it"


def _things(tx: sa.Connection) -> Iterator[Leftover]:
    for row in leftover_rows.unreferenced(tx):
        plan, at = plan_of("deleted", row.suspect_since), may_go_at(row.suspect_since)
        if (why := left_alone.why_stopped(tx, row)) is not None:
            plan, at = f"not deleted: {why}", None
        yield _of_storage(row, "no machine, move, image or agent needs it", plan, at)


def _lost(tx: sa.Connection) -> Iterator[Leftover]:
    """Of moves that wait for a person before they delete what the dead holder left."""
    waiting = tx.execute(
        sa.select(switches).where(
            switches.c.status == SwitchStatus.COMMITTED.value,
            switches.c.is_recovery,
            sa.or_(switches.c.lost_seconds.is_(None), switches.c.lost_seconds > 0),
        )
    ).all()
    for switch in waiting:
        until = switch.created_at + KEEP_AFTER_LOSS
        lost = "nobody knows how many" if switch.lost_seconds is None else f"up to {switch.lost_seconds} s"
        why = f"its holder died unheard, and who serves now lacks {lost} of its writes"
        plan = f"kept for a person until {until:%Y-%m-%d %H:%M:%S} UTC, then deleted"
        if (stopped := left_alone.why_stopped(tx, switch)) is not None:
            plan = f"{plan}; not while {stopped}"
        yield from (_of_storage(row, why, plan, until) for row in leftover_rows.of_switch(tx, switch))


def _awaited(tx: sa.Connection) -> Iterator[Leftover]:
    plan = "kept while what it has is looked at: the event lost_state tells what becomes of it"
    for row in last_states.awaits_its_look(tx):
        yield _of_storage(row, uncompared_because(row.last_attached_to), plan, None)


def _kept(tx: sa.Connection) -> Iterator[Leftover]:
    for one in left_for_people.of_all(tx):
        yield _of_storage(one.row, one.because, one.plan, None)
    for row in leftover_rows.of_owners(tx):
        yield _of_storage(row, owners_volumes.why_left(tx, row), kept_plan(row.id, row.az), None)


def _foundlings(tx: sa.Connection) -> Iterator[Leftover]:
    for row in foundlings.of_all(tx):
        yield Leftover(
            resource_id=row.id,
            kind=row.kind,
            client_id=row.client_id,
            agent_id=None,
            since=row.made_at,
            ours_because="it carries the tag of this installation, whoever set it",
            loose_because=names_nobody(row.agent_tag),
            plan=UNKNOWN_AGENT,
            suspect_since=row.told_at,
            may_go_at=None,
            usd_per_month=row.usd_per_month,
        )


def _released(tx: sa.Connection) -> Iterator[Leftover]:
    for one in left_behind.ours_of_all(tx):
        launched = one.kind == "instance"
        yield Leftover(
            resource_id=one.row.id,
            kind=one.kind,
            client_id=one.row.client_id,
            agent_id=one.row.agent_id,
            since=one.row.created_at,
            ours_because="launched with a token of ours" if launched else _why_ours(one.row),
            loose_because=RELEASED,
            plan=one.plan,
            suspect_since=None,
            may_go_at=None,
            usd_per_month=one.usd_per_month,
        )


def _old_points(tx: sa.Connection, now: datetime) -> Iterator[Leftover]:
    for agent in restore_points.wanting(tx):
        points = restore_points.of_agent(tx, AgentId(agent.id))
        every = timedelta(hours=agent.restore_point_hours)
        plans = plan_restore_points(points, now, every, agent.restore_points_kept)
        for drop in (plan for plan in plans if isinstance(plan, DropPoint)):
            row = restore_points.row_of(tx, drop.image_id)
            cost = _snapshots_of(tx, drop.image_id)
            yield _of_storage(row, drop.because, "deleted with its snapshots in the next look", now, cost)


def _snapshots_of(tx: sa.Connection, image_id: str) -> Decimal | None:
    rows = tx.execute(
        sa.select(_s.size_gib, _s.usd_per_gib_month).where(_s.image_id == image_id, _s.ended_at.is_(None))
    ).all()
    return sum((row.size_gib * (row.usd_per_gib_month or 0) for row in rows), Decimal(0)) if rows else None


def _of_storage(
    row: Row, loose_because: str, plan: str, at: datetime | None, usd: Decimal | None = None
) -> Leftover:
    own = None if row.usd_per_gib_month is None else row.size_gib * row.usd_per_gib_month
    return Leftover(
        resource_id=row.id,
        kind=row.kind,
        client_id=row.client_id,
        agent_id=row.agent_id,
        since=row.created_at,
        ours_because=_why_ours(row),
        loose_because=loose_because,
        plan=plan,
        suspect_since=row.suspect_since,
        may_go_at=at,
        usd_per_month=own if usd is None else usd,
    )


def _why_ours(row: Row) -> str:
    if row.is_ours:
        return "it carries our tags, set when it was made"
    if row.delete_with_instance:
        return "its owner wanted it deleted with its instance"
    if row.moved_from is None:
        return "it is not: it is its owner's"
    return "its owner brought it, and a move of ours carried it"
