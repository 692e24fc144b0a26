"""Statements of the hot routes, compiled once: heartbeats, price reports and looks at the agenda.

On SQLite SQLAlchemy's way through an execution costs several times what the statement itself does; here it is
taken once, at the first execution, and what is left is the driver's. On other databases, where the network costs more
than either, the statement is executed as ever.
"""

from __future__ import annotations

import re
import sqlite3
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.sql.compiler import SQLCompiler

Processor = Callable[[Any], Any] | None
_TOLD: Any = object()  # in place of a value that every execution tells: one that is forgotten is no NULL


@dataclass(frozen=True)
class _Compiled:
    """`binds`: in the order of the question marks, each with its fixed value and what turns a value into SQLite's;
    `columns`: those whose values are not taken as SQLite gives them.
    """

    sql: str
    binds: Sequence[tuple[str, Any, Processor]]
    columns: Sequence[tuple[int, Callable[[Any], Any]]]
    row: Callable[[Sequence[Any]], Any]

    def bound(self, values: Mapping[str, Any]) -> list[Any]:
        told = [
            (values[name] if fixed is _TOLD else values.get(name, fixed), process)
            for name, fixed, process in self.binds
        ]
        return [process(value) if process is not None else value for value, process in told]

    def read(self, found: Sequence[Any]) -> Any:
        values = list(found)
        for place, process in self.columns:
            values[place] = process(values[place])
        return self.row(values)


class Prepared:
    """One statement; a list in it is the statement's own, and never changes its length.

    A wrong name among `values` is not noticed: tests see it.
    """

    def __init__(self, statement: sa.Executable) -> None:
        self._statement = statement
        self._compiled: _Compiled | None = None

    def rows(self, tx: sa.Connection, values: Mapping[str, Any]) -> Sequence[Any]:
        """Every row, with its columns as attributes."""
        if tx.dialect.name != "sqlite":
            return tx.execute(self._statement, dict(values)).all()
        compiled = self._compiled or self._compile(tx.dialect)
        return [compiled.read(found) for found in _run(tx, compiled, values).fetchall()]

    def first(self, tx: sa.Connection, values: Mapping[str, Any]) -> Any | None:
        """The first row, or None."""
        found = self.rows(tx, values)
        return found[0] if found else None

    def one(self, tx: sa.Connection, values: Mapping[str, Any]) -> Any:
        """The row of a key that is known; `NoResultFound` without it."""
        found = self.first(tx, values)
        if found is None:
            raise exc.NoResultFound("no row was found when one was required")
        return found

    def scalar(self, tx: sa.Connection, values: Mapping[str, Any]) -> Any | None:
        """The first column of the first row, or None."""
        found = self.rows(tx, values)
        return found[0][0] if found else None

    def change(self, tx: sa.Connection, values: Mapping[str, Any]) -> int:
        """Runs an insert, an update or a deletion; how many rows it met. A broken promise is an `IntegrityError`."""
        if tx.dialect.name != "sqlite":
            return tx.execute(self._statement, dict(values)).rowcount
        changed: int = _run(tx, self._compiled or self._compile(tx.dialect), values).rowcount
        return changed

    def _compile(self, dialect: sa.Dialect) -> _Compiled:
        made = self._statement.compile(dialect=dialect)  # type: ignore[attr-defined]
        if not isinstance(made, SQLCompiler):
            raise TypeError(f"not a statement that can be prepared: {self._statement}")
        later = {bind.key: _TOLD for bind in made.bind_names if bind.required}
        written = made.construct_expanded_state(later)  # a list of fixed length is written out
        # private, but what an execution itself uses
        to_sqlite: Mapping[str, Any] = {**made._bind_processors, **written.processors}  # noqa: SLF001
        entries = made._result_columns  # noqa: SLF001
        names = [re.sub(r"\W", "_", entry.keyname) for entry in entries]
        row: Any = namedtuple("PreparedRow", names)  # type: ignore[misc]  # noqa: PYI024 - the fields are the statement's
        processors = [entry.type.dialect_impl(dialect).result_processor(dialect, None) for entry in entries]
        self._compiled = _Compiled(
            sql=written.statement,
            binds=[
                (name, written.parameters[name], to_sqlite.get(name)) for name in written.positiontup or ()
            ],
            columns=[(place, process) for place, process in enumerate(processors) if process is not None],
            row=row._make,
        )
        return self._compiled


def _run(tx: sa.Connection, compiled: _Compiled, values: Mapping[str, Any]) -> Any:
    connection: Any = tx.connection.driver_connection
    try:
        return connection.execute(compiled.sql, compiled.bound(values))
    except sqlite3.Error as error:  # named as SQLAlchemy names it: who catches it need not know who ran this
        raise exc.DBAPIError.instance(
            compiled.sql, None, error, sqlite3.Error, hide_parameters=True, dialect=tx.dialect
        ) from error


class PreparedInsert:
    """Inserts of single rows, prepared for each set of columns; the table's fixed defaults fill the rest."""

    def __init__(self, table: sa.Table) -> None:
        self._table = table
        self._made: dict[tuple[str, ...], Prepared] = {}

    def add(self, tx: sa.Connection, row: Mapping[str, Any]) -> None:
        """A broken promise is an `IntegrityError`, and leaves the transaction as it was."""
        names = tuple(row)
        made = self._made.get(names) or self._made.setdefault(names, self._statement(names))
        made.change(tx, row)

    def _statement(self, names: tuple[str, ...]) -> Prepared:
        columns = self._table.c
        fixed = {
            column.name: sa.literal(column.default.arg, column.type)
            for column in columns
            if isinstance(column.default, sa.ColumnDefault)
            and column.default.is_scalar
            and column.name not in names
        }
        told = {name: sa.bindparam(name, type_=columns[name].type) for name in names}
        return Prepared(sa.insert(self._table).values(**told, **fixed))
