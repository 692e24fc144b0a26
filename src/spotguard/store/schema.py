"""Does a database have the schema that the code knows? For `spotguard db check`, and for the test of the migrations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.engine import Connection
from sqlalchemy.engine.reflection import Inspector

from spotguard.store.migrations import newest_revision, revision_of
from spotguard.store.tables import metadata


def differences(tx: Connection) -> list[str]:
    """One sentence per difference between this database and `store.tables`; none when they are equal."""
    at, newest = revision_of(tx), newest_revision()
    if at is None:
        return ["the database has no schema: run spotguard db upgrade"]
    found = (
        []
        if at == newest
        else [f"the database is at revision {at}, the code at {newest}: spotguard db upgrade says what to do"]
    )
    context = MigrationContext.configure(tx, opts={"compare_type": True})
    found += [_sentence(change) for change in _flat(compare_metadata(context, metadata))]
    inspector = sa.inspect(tx)
    existing = set(inspector.get_table_names())
    for table in metadata.sorted_tables:
        if table.name in existing:
            found += _promises(inspector, table)
    return found


def _promises(inspector: Inspector, table: sa.Table) -> Iterator[str]:
    """What Alembic does not compare: checks and generated columns."""
    wanted = {str(check.name) for check in table.constraints if isinstance(check, sa.CheckConstraint)}
    there = {check["name"] for check in inspector.get_check_constraints(table.name)}
    for name in sorted(wanted - there):
        yield f"{table.name} lacks the check {name}"
    for column in inspector.get_columns(table.name):
        mine = table.c.get(column["name"])
        if mine is not None and (mine.computed is not None) is not ("computed" in column):
            yield f"{table.name}.{column['name']} is {'not ' if mine.computed is not None else ''}generated"


def _flat(changes: Iterable[Any]) -> Iterator[Any]:
    """Alembic wraps the changes of one column into a list."""
    for change in changes:
        if isinstance(change, list):
            yield from change
        else:
            yield change


def _sentence(change: tuple[Any, ...]) -> str:
    kind, *what = change
    names = [_name(part) for part in what if part is not None and not isinstance(part, Mapping)]
    return f"{kind.replace('_', ' ')}: {' '.join(name for name in names if name)}"


def _name(part: Any) -> str:
    table = getattr(part, "table", None)
    name = getattr(part, "name", None)
    if name is None:
        return str(part)
    return f"{table.name}.{name}" if isinstance(table, sa.Table) else str(name)
