"""Why something that nobody needs is neither ended nor deleted now."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from spotguard.planning.cleaning import UNKNOWN_LAUNCH
from spotguard.store import claims, deaths, grants, kill, our_own, tickets
from spotguard.store.prepared import Prepared
from spotguard.store.served import is_deleted, was_given_up
from spotguard.store.tables import agents, replica_instances

Row = sa.Row[Any]


def why_stopped(tx: sa.Connection, row: Row) -> str | None:
    """Why nothing is deleted for whose thing or move it is: the kill switch stands at `all`, or he keeps hands off
    (ruling B8).
    """
    if kill.stops_everything(tx, row.client_id, row.agent_id):
        return "the kill switch stands at all"
    is_disabled = row.agent_id is not None and _DISABLED.first(tx, {"agent": row.agent_id}) is not None
    return "its agent is disabled" if is_disabled else None


_DISABLED = Prepared(
    sa.select(agents.c.id).where(
        agents.c.id == sa.bindparam("agent"), sa.not_(agents.c.enabled), agents.c.deleted_at.is_(None)
    )
)


def why_left_alone(tx: sa.Connection, machine: Row) -> str | None:
    """Why nobody ends it now, although it has no role; None: it is ended.

    The kill switch at `all` stops all actions: after an older copy of the database was put back, whoever these rows
    take for idle may be the one that serves.
    """
    stopped = why_stopped(tx, machine)
    if stopped is not None and (
        kill.stops_everything(tx, machine.client_id, machine.agent_id) or not _had_role(machine)
    ):
        return f"{stopped}: nothing is ended"
    if machine.intention_token is not None and not our_own.was_launched_by_us(tx, machine):
        return UNKNOWN_LAUNCH
    if machine.agent_id is None:
        return None
    return (
        claims.why_kept(tx, machine.agent_id, machine.id)
        or tickets.why_kept(tx, machine.id)
        or _why_last_copy(tx, machine)
    )


def _had_role(machine: Row) -> bool:
    """What a replica or a move of its user's leaves ends although he has disabled its agent since."""
    return bool(machine.replica_id or machine.switch_id or machine.drill_id or machine.probe_id)


_IN_SYNC = Prepared(
    sa.select(replica_instances.c.id)
    .where(
        replica_instances.c.instance_id == sa.bindparam("machine"),
        replica_instances.c.synced_at.is_not(None),
        sa.or_(sa.not_(is_deleted(replica_instances.c.agent_id)), was_given_up(replica_instances.c.agent_id)),
    )
    .limit(1)
)


def _why_last_copy(tx: sa.Connection, machine: Row) -> str | None:
    if _IN_SYNC.first(tx, {"machine": machine.id}) is None:
        return None
    held = grants.holder(tx, machine.agent_id)
    if held is not None and held.released_at is None and not deaths.runs_nothing(tx, held.instance_id):
        return None
    return "nobody serves its agent, and it was in sync: it may hold what is left of the state"
