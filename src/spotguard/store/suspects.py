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
from spotguard.store.left_for_people import LeftForPeople
from spotguard.store.prepared import Prepared
from spotguard.store.tables import instances, storage_resources

Row = sa.Row[Any]
_TABLES = (instances, storage_resources)


def changed(
    tx: sa.Connection, machines: Sequence[Row], things: Sequence[Row], kept: Sequence[LeftForPeople] = ()
) -> bool:
    """Somebody is new among them, or a former one is none any more."""
    stored = [*things, *(one.row for one in kept)]
    fresh = any(row.suspect_since is None for row in (*machines, *stored))
    return fresh or any(
        _cleared(tx, table, rows) for table, rows in zip(_TABLES, (machines, stored), strict=True)
    )


def note(
    tx: sa.Connection,
    now: datetime,
    machines: Sequence[Row],
    things: Sequence[Row],
    kept: Sequence[LeftForPeople] = (),
) -> None:
    """Write down who is suspect since now, tell it once, and forget who is referred to again. `kept`: never deleted."""
    told = [(row, _loose(row)) for row in (*machines, *things)]
    for row, message in [*told, *((one.row, _for_a_person(one)) for one in kept)]:
        table = instances if _kind(row) == "instance" else storage_resources
        if row.suspect_since is None and _mark(tx, table, row.id, now):
            _tell(tx, now, row, message)
    for table, rows in zip(_TABLES, (machines, [*things, *(one.row for one in kept)]), strict=True):
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


def _tell(tx: sa.Connection, now: datetime, row: Row, message: str) -> None:
    detail = {"kind": _kind(row), "resource_id": row.id}
    events.append(tx, now, row.client_id, row.agent_id, FOUND, message, detail)


def _loose(row: Row) -> str:
    return f"nothing refers to the {_kind(row)} {row.id}: looked at again before anything is done"


def _for_a_person(one: LeftForPeople) -> str:
    return f"the volume {one.row.id} ({one.row.size_gib} GiB): {one.because}; {one.plan}"


def _kind(row: Row) -> str:
    return str(getattr(row, "kind", "instance"))
