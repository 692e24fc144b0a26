"""Insert unless it is there, insert or replace: one statement each, on either database."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.engine import Connection
from sqlalchemy.sql.dml import Insert


def insert_missing(tx: Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    """Rows whose key exists are left as they are; every other broken promise is still an error."""
    if rows:
        tx.execute(_insert(tx.dialect.name, table, ()), rows)


def insert_or_update(
    tx: Connection, table: sa.Table, rows: Sequence[dict[str, Any]], update: Sequence[str]
) -> None:
    """Rows whose key exists take the new values of the columns in `update`."""
    if rows:
        tx.execute(_insert(tx.dialect.name, table, tuple(update)), rows)


@cache
def _insert(dialect: str, table: sa.Table, update: tuple[str, ...]) -> Insert:
    if dialect == "sqlite":
        lite = sqlite.insert(table)
        key = list(table.primary_key.columns)
        if not update:
            return lite.on_conflict_do_nothing(index_elements=key)
        return lite.on_conflict_do_update(
            index_elements=key, set_={name: lite.excluded[name] for name in update}
        )
    my = mysql.insert(table)
    # INSERT IGNORE would also swallow broken foreign keys and checks; a key set to itself swallows nothing else
    first = next(iter(table.primary_key.columns)).name
    return my.on_duplicate_key_update({name: my.inserted[name] for name in update} or {first: table.c[first]})
