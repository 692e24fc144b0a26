"""Ordering a restore drill: which restore point is booted where, and whether it may be. It is voluntary."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from spotguard.domain.agents import AgentStatus, KillLevel
from spotguard.domain.commands import CreatedBy
from spotguard.domain.drills import DrillKind, DrillStatus
from spotguard.domain.errors import Refused
from spotguard.domain.ids import AgentId, ClientId, DrillId
from spotguard.planning.drills import BOOTS_WITHIN, LAUNCHED_WITHIN, restore_drill_is_due
from spotguard.planning.restore_points import RestorePoint
from spotguard.planning.standby import Place
from spotguard.store import drills, fleet, intentions, kill, quotas, restore_points
from spotguard.store.tables import drills as drills_table

NO_POINT = (
    "there is no complete restore point: set restorePointHours (spotguard configure AGENT restorePointHours=24), and "
    "wait for the first one"
)
NO_QUARANTINE = (
    "a restore drill is due, and none is begun by itself: the clone would run beside who serves, in the same security "
    "groups, with all that is on the disk (mails, queues, jobs). Name a group that lets it speak to the server alone "
    "(spotguard configure AGENT quarantineGroup=sg-…), or set restoreDrillDays=0"
)
NO_PLACE = (
    "no allowed pool is known to boot it in: allow more instance types or zones, or wait for price reports"
)


@dataclass(frozen=True)
class DueDrill:
    """By the schedule. Without a group of its own its clone would run where its original does."""

    client_id: ClientId
    agent_id: AgentId
    every: timedelta
    quarantine_group: str | None


@dataclass(frozen=True)
class RestorePlan:
    """What would be booted, and in which place first."""

    point: RestorePoint
    place: Place
    quarantine_group: str | None


def plan_restore(tx: sa.Connection, now: datetime, client_id: ClientId, agent_id: AgentId) -> RestorePlan:
    """`Refused` says which rule forbids it and what to do."""
    agent = fleet.agent_row(tx, agent_id, client_id)
    because = why_not(tx, agent)
    if because is not None:
        raise Refused(because)
    drills.require_none_open(tx, agent_id)
    point = newest_point(tx, agent_id)
    if point is None:
        raise Refused(NO_POINT)
    place = places(tx, now, agent)[0]
    intentions.require_caps(tx, now, client_id, agent_id, place.usd_per_hour)
    return RestorePlan(point, place, agent.quarantine_group)


def order_restore(
    tx: sa.Connection, now: datetime, client_id: ClientId, agent_id: AgentId, created_by: CreatedBy
) -> DrillId:
    """The wish for a clone; the coordinator launches, judges and ends it."""
    fleet.agent_row(tx, agent_id, client_id)  # NotFound before anything is touched
    fleet.hold(tx, now, agent_id)
    plan = plan_restore(tx, now, client_id, agent_id)
    return drills.insert(
        tx,
        now,
        client_id=client_id,
        agent_id=agent_id,
        kind=DrillKind.RESTORE,
        status=DrillStatus.WAITING,
        created_by=created_by,
        deadline_at=now + LAUNCHED_WITHIN + BOOTS_WITHIN,
        image_id=plan.point.image_id,
        image_made_at=plan.point.made_at,
    )


def why_not(tx: sa.Connection, agent: Any) -> str | None:
    """Why nothing voluntary may run for this agent; asked again while a clone runs."""
    if agent.status == AgentStatus.DELETED:
        return "this agent is deleted: nothing of it is rehearsed"
    if not agent.enabled:
        return "this agent is disabled, SpotGuard keeps its hands off: enable it first"
    level = kill.level_for(tx, agent.client_id, agent.id)
    if level is not KillLevel.NONE:
        return kill.stands_at(tx, level, agent.client_id, agent.id)
    return None


def newest_point(tx: sa.Connection, agent_id: AgentId) -> RestorePoint | None:
    complete = [point for point in restore_points.of_agent(tx, agent_id) if point.is_whole]
    return max(complete, key=lambda point: point.made_at, default=None)


def places(tx: sa.Connection, now: datetime, agent: Any) -> tuple[Place, ...]:
    """Where a standby would be launched too, as far as quotas have room; never empty: `Refused`."""
    found = fleet.places_for_standby(tx, now, agent)
    if not found:
        raise Refused(NO_PLACE)
    return quotas.with_room(tx, now, ClientId(agent.client_id), found)


def due(tx: sa.Connection, now: datetime) -> list[DueDrill]:
    """Of the agents whose newest restore point is to be rehearsed by now."""
    wanted = [row for row in restore_points.wanting(tx) if row.restore_drill_days > 0]
    last = _last_begun(tx, [row.id for row in wanted])
    found = []
    for row in wanted:
        began, passed = last.get(row.id, (None, False))
        if restore_drill_is_due(now, row.restore_drill_days, began, last_passed=passed):
            every = timedelta(days=row.restore_drill_days)
            found.append(DueDrill(ClientId(row.client_id), AgentId(row.id), every, row.quarantine_group))
    return [one for one in found if newest_point(tx, one.agent_id)]


def _last_begun(tx: sa.Connection, agent_ids: list[str]) -> dict[str, tuple[datetime, bool]]:
    if not agent_ids:
        return {}
    d = drills_table.c
    rows = tx.execute(
        sa.select(d.agent_id, d.created_at, d.status)
        .where(d.agent_id.in_(agent_ids), d.kind == DrillKind.RESTORE.value)
        .order_by(d.created_at)
    )
    return {row.agent_id: (row.created_at, row.status != DrillStatus.FAILED) for row in rows}
