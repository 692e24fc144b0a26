"""The images that are restore points: rows of `storage_resources`, told by the purpose in their tags."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from spotguard.domain.agents import AgentStatus
from spotguard.domain.drills import OPEN_DRILL
from spotguard.domain.ids import AgentId, ClientId, ImageId
from spotguard.domain.switches import MoveKind, SwitchStatus
from spotguard.planning.restore_points import RestorePoint
from spotguard.ports.cloud import CopyState, ImageView
from spotguard.store import storage
from spotguard.store.prepared import Prepared
from spotguard.store.tables import agents, drills, instances, storage_resources, switches

PURPOSE = "restore"
Row = sa.Row[Any]
_s = storage_resources.c
_COMPLETE = {CopyState.PENDING.value: None, CopyState.DONE.value: True, CopyState.FAILED.value: False}
_points = sa.and_(_s.kind == "image", _s.purpose == PURPOSE, _s.ended_at.is_(None))


_WANTING = Prepared(
    sa.select(
        agents.c.id,
        agents.c.client_id,
        agents.c.restore_point_hours,
        agents.c.restore_points_kept,
        agents.c.restore_drill_days,
        agents.c.quarantine_group,
    ).where(
        agents.c.restore_point_hours.is_not(None),
        agents.c.enabled,
        agents.c.status != AgentStatus.DELETED.value,
    )
)


def wanting(tx: sa.Connection) -> list[Any]:
    """Agents that are to have restore points."""
    return list(_WANTING.rows(tx, {}))


def of_agent(tx: sa.Connection, agent_id: AgentId) -> list[RestorePoint]:
    rows = tx.execute(
        sa.select(
            _s.id,
            _s.created_at,
            _s.state,
            _s.is_partial,
            sa.or_(_starts_machines(), _starts_a_rescue(), _is_rehearsed()).label("needed"),
        ).where(_points, _s.agent_id == agent_id)
    )
    return [
        RestorePoint(
            ImageId(row.id),
            row.created_at,
            _COMPLETE.get(row.state),
            needed=bool(row.needed),
            is_partial=bool(row.is_partial),
        )
        for row in rows
    ]


def _starts_machines() -> sa.ColumnElement[bool]:
    """The workload came back from it once: its agent's machines are launched from it since."""
    by_agent = sa.exists().where(agents.c.ami_id == _s.id, agents.c.deleted_at.is_(None))
    by_machine = sa.exists().where(instances.c.ami_id == _s.id, instances.c.is_active)
    return sa.or_(by_agent, by_machine)


def _starts_a_rescue() -> sa.ColumnElement[bool]:
    """A recovery keeps to the image with which it was opened, however many newer ones are completed meanwhile."""
    return sa.exists().where(
        switches.c.agent_id == _s.agent_id,
        switches.c.status == SwitchStatus.PREPARING.value,
        switches.c.is_recovery,
        switches.c.kind == MoveKind.IMAGE.value,
    )


def _is_rehearsed() -> sa.ColumnElement[bool]:
    """A drill keeps to the image with which it was ordered."""
    opened = drills.c.status.in_([status.value for status in OPEN_DRILL])
    return sa.exists().where(drills.c.image_id == _s.id, opened)


def listed(tx: sa.Connection, client_id: ClientId, agent_id: AgentId) -> list[Any]:
    """Newest first, each with what its snapshots hold and cost."""
    snapshot = storage_resources.alias("snapshot")
    owned = sa.and_(snapshot.c.image_id == _s.id, snapshot.c.ended_at.is_(None))
    gib = sa.func.coalesce(sa.func.sum(snapshot.c.size_gib), 0).label("gib")
    found: Sequence[Any] = tx.execute(
        sa.select(
            _s.id,
            _s.created_at,
            _s.state,
            gib,
            sa.func.max(snapshot.c.usd_per_gib_month, type_=_s.usd_per_gib_month.type).label("rate"),
        )
        .select_from(storage_resources.outerjoin(snapshot, owned))
        .where(_points, _s.client_id == client_id, _s.agent_id == agent_id)
        .group_by(_s.id, _s.created_at, _s.state)
        .order_by(_s.created_at.desc())
    ).all()
    return list(found)


def row_of(tx: sa.Connection, image_id: ImageId) -> Row:
    return tx.execute(sa.select(storage_resources).where(_s.id == image_id)).one()


def begun(tx: sa.Connection, client_id: ClientId, shown: Iterable[ImageView]) -> None:
    """Known at once: the next pass makes no second one."""
    for view in shown:
        storage.saw_image(tx, client_id, view)
