"""Machines and resources to which nothing refers, from the first look that found them so until they are gone.

Rows, so that two looks may be those of two coordinators, or of one before and after its restart.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from spotguard.planning.cleaning import FOUND
from spotguard.store import events
from spotguard.store.prepared import Prepared
from spotguard.store.tables import instances, storage_resources

Row = sa.Row[Any]
_TABLES = (instances, storage_resources)


def changed(tx: sa.Connection, machines: Sequence[Row], things: Sequence[Row]) -> bool:
    """Somebody is new among them, or a former one is none any more."""
    fresh = any(row.suspect_since is None for row in (*machines, *things))
    return fresh or any(
        _cleared(tx, table, rows) for table, rows in zip(_TABLES, (machines, things), strict=True)
    )


def note(tx: sa.Connection, now: datetime, machines: Sequence[Row], things: Sequence[Row]) -> None:
    """Write down who is suspect since now, tell it once, and forget who is referred to again."""
    for table, rows in zip(_TABLES, (machines, things), strict=True):
        for row in rows:
            if row.suspect_since is None and _mark(tx, table, row.id, now):
                _tell(tx, now, row)
        cleared = _cleared(tx, table, rows)
        if cleared:
            tx.execute(sa.update(table).where(table.c.id.in_(cleared)).values(suspect_since=None))


def _mark(tx: sa.Connection, table: sa.Table, resource_id: str, now: datetime) -> bool:
    """False when another coordinator was first."""
    fresh = sa.and_(table.c.id == resource_id, table.c.suspect_since.is_(None))
    return tx.execute(sa.update(table).where(fresh).values(suspect_since=now)).rowcount == 1


def _cleared(tx: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> list[str]:
    still = {row.id for row in rows}
    return [row.id for row in _SUSPECTED[table].rows(tx, {}) if row.id not in still]


def _suspected(table: sa.Table, alive: sa.ColumnElement[bool]) -> Prepared:
    return Prepared(sa.select(table.c.id).where(table.c.suspect_since.is_not(None), alive))


_SUSPECTED = {
    instances: _suspected(instances, instances.c.is_active),
    storage_resources: _suspected(storage_resources, storage_resources.c.ended_at.is_(None)),
}


def _tell(tx: sa.Connection, now: datetime, row: Row) -> None:
    kind = getattr(row, "kind", "instance")
    message = f"nothing refers to the {kind} {row.id}: looked at again before anything is done"
    if kind == "volume" and row.last_attached_to is None:
        message = f"nobody was ever seen with the volume {row.id}: it is kept until a person deletes it"
    detail = {"kind": kind, "resource_id": row.id}
    events.append(tx, now, row.client_id, row.agent_id, FOUND, message, detail)
