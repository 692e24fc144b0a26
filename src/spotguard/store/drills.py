"""Rehearsals as rows: opened once at a time for an agent, moved one legal step at a time, and what they proved."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from spotguard.domain.commands import CreatedBy
from spotguard.domain.drills import (
    DRILL_LIFE,
    OPEN_DRILL,
    PASSED_COUNTS_FOR,
    DrillKind,
    DrillStatus,
)
from spotguard.domain.errors import Refused
from spotguard.domain.ids import AgentId, ClientId, DrillId, ReplicaId
from spotguard.planning.drills import Verdict
from spotguard.store import events
from spotguard.store.stepping import step
from spotguard.store.tables import drills

Row = sa.Row[Any]
_d = drills.c
_OPEN = [status.value for status in OPEN_DRILL]
_OVER = [DrillStatus.PASSED.value, DrillStatus.FAILED.value]


def insert(
    tx: sa.Connection,
    now: datetime,
    *,
    client_id: ClientId,
    agent_id: AgentId,
    kind: DrillKind,
    status: DrillStatus,
    created_by: CreatedBy,
    deadline_at: datetime,
    **more: Any,
) -> DrillId:
    """The row; `Refused` while another drill of this agent is open."""
    drill_id = DrillId(str(uuid.uuid4()))
    row = {
        "id": drill_id,
        "client_id": client_id,
        "agent_id": agent_id,
        "kind": kind.value,
        "status": status.value,
        "created_by": created_by.value,
        "created_at": now,
        "deadline_at": deadline_at,
        **more,
    }
    require_none_open(tx, agent_id)
    try:
        with tx.begin_nested():
            tx.execute(sa.insert(drills), row)
    except IntegrityError as error:  # another process was first: the unique column says so
        raise Refused(_ONE_AT_A_TIME) from error
    message = f"a {kind} drill begins, asked for by {created_by}"
    events.append(tx, now, client_id, agent_id, "drill_begun", message, {"drill_id": drill_id})
    return drill_id


_ONE_AT_A_TIME = "another drill of this agent is under way: wait until it has ended"


def require_none_open(tx: sa.Connection, agent_id: AgentId) -> None:
    if tx.execute(sa.select(_d.id).where(_d.open_agent_id == agent_id)).first() is not None:
        raise Refused(_ONE_AT_A_TIME)


def get(tx: sa.Connection, drill_id: DrillId) -> Row:
    return tx.execute(sa.select(drills).where(_d.id == drill_id)).one()


def open_ones(tx: sa.Connection) -> list[DrillId]:
    return [DrillId(found) for found in tx.scalars(sa.select(_d.id).where(_d.status.in_(_OPEN)))]


def move(tx: sa.Connection, drill: Row, wanted: DrillStatus, **values: Any) -> bool:
    """One legal step from the row that was seen; False: somebody was first."""
    return step(tx, drills, DRILL_LIFE, drill, wanted, values)


def conclude(tx: sa.Connection, now: datetime, drill: Row, verdict: Verdict) -> bool:
    """Its end, with what it measured, and an event that says so. False: somebody was first."""
    status = DrillStatus.PASSED if verdict.passed else DrillStatus.FAILED
    measured = {
        "healthy_at": verdict.healthy_at,
        "seconds": verdict.seconds,
        "outage_seconds": verdict.outage_seconds,
        "lost_seconds": verdict.lost_seconds,
    }
    known = {name: value for name, value in measured.items() if value is not None}
    if not move(tx, drill, status, because=verdict.because, completed_at=now, **known):
        return False
    tell_end(tx, now, drill, status, verdict.because)
    return True


def tell_end(tx: sa.Connection, now: datetime, drill: Row, status: DrillStatus, because: str) -> None:
    message = f"the {drill.kind} drill has {status}: {because}"
    detail = {"drill_id": drill.id}
    events.append(tx, now, drill.client_id, drill.agent_id, f"drill_{status.value}", message, detail)


def is_made_for_one(tx: sa.Connection, replica_id: ReplicaId | str) -> bool:
    """This standby was wished for by a drill: what binds voluntary launches binds it."""
    found = sa.select(_d.id).where(_d.replica_id == replica_id, _d.made_replica)
    return tx.execute(found.limit(1)).first() is not None


def newest(tx: sa.Connection, agent_ids: Sequence[str], kind: DrillKind) -> Mapping[str, Row]:
    """Of each agent the newest drill of a kind that is over."""
    place = sa.func.row_number().over(partition_by=_d.agent_id, order_by=(_d.completed_at.desc(), _d.id))
    ended = sa.select(drills, place.label("place")).where(
        _d.agent_id.in_(agent_ids), _d.status.in_(_OVER), _d.kind == kind.value
    )
    ranked = ended.subquery()
    return {row.agent_id: row for row in tx.execute(sa.select(ranked).where(ranked.c.place == 1))}


def require_passed(tx: sa.Connection, now: datetime, agent_id: AgentId) -> None:
    """Ruling B17: on a real account, automatic moves follow a passed failover drill that is not too old."""
    passed = sa.select(sa.func.max(_d.completed_at, type_=_d.completed_at.type)).where(
        _d.agent_id == agent_id, _d.kind == DrillKind.FAILOVER.value, _d.status == DrillStatus.PASSED.value
    )
    last: datetime | None = tx.execute(passed).scalar_one()
    wanted = f"autonomy auto needs a passed failover drill within {PASSED_COUNTS_FOR.days} days"
    if last is None:
        raise Refused(f"{wanted}, and this agent has none: run spotguard drill, or choose approve")
    if now - last > PASSED_COUNTS_FOR:
        raise Refused(f"{wanted}, and the last one passed {(now - last).days} days ago: run spotguard drill")


def require_waiting(tx: sa.Connection, drill_id: DrillId) -> None:
    """`Refused` when another coordinator has ended it; whoever asks EC2 for it has touched its client's row."""
    waits = sa.select(drills.c.id).where(
        drills.c.id == drill_id, drills.c.status == DrillStatus.WAITING.value
    )
    if tx.execute(waits).first() is None:
        raise Refused("this drill was ended meanwhile: nothing is launched for it")
