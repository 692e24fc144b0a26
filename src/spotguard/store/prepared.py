"""Statements of the hot routes, compiled once: heartbeats, price reports and looks at the agenda.

On SQLite SQLAlchemy's way through an execution costs several times what the statement itself does; here it is
taken once, at the first execution, and what is left is the driver's. On other databases, where the network costs more
than either, the statement is executed as ever.
"""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.compiler import SQLCompiler

Processor = Callable[[Any], Any] | None


@dataclass(frozen=True)
class _Compiled:
    """`binds`: in the order of the question marks, each with its fixed value and what turns a value into SQLite's."""

    sql: str
    binds: Sequence[tuple[str, Any, Processor]]
    columns: Sequence[Processor]
    row: Callable[..., Any]

    def bound(self, values: Mapping[str, Any]) -> list[Any]:
        return [
            process(values.get(name, fixed)) if process is not None else values.get(name, fixed)
            for name, fixed, process in self.binds
        ]

    def read(self, found: Sequence[Any]) -> Any:
        return self.row(
            *[
                process(value) if process is not None else value
                for process, value in zip(self.columns, found, strict=True)
            ]
        )


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

    def change(self, tx: sa.Connection, values: Mapping[str, Any]) -> int:
        """Runs an update; how many rows it met."""
        if tx.dialect.name != "sqlite":
            return tx.execute(self._statement, dict(values)).rowcount
        changed: int = _run(tx, self._compiled or self._compile(tx.dialect), values).rowcount
        return changed

    def _compile(self, dialect: sa.Dialect) -> _Compiled:
        expanded = {"render_postcompile": True}  # a list of fixed length is written out
        made = self._statement.compile(dialect=dialect, compile_kwargs=expanded)  # type: ignore[attr-defined]
        if not isinstance(made, SQLCompiler):
            raise TypeError(f"not a statement that can be prepared: {self._statement}")
        to_sqlite: Mapping[str, Any] = made._bind_processors  # noqa: SLF001 - what an execution would use
        entries = made._result_columns  # noqa: SLF001 - the same
        names = [re.sub(r"\W", "_", entry.keyname) for entry in entries]
        self._compiled = _Compiled(
            sql=made.string,
            binds=[(name, made.params[name], to_sqlite.get(name)) for name in made.positiontup or ()],
            columns=[entry.type.dialect_impl(dialect).result_processor(dialect, None) for entry in entries],
            row=namedtuple("PreparedRow", names),  # noqa: PYI024 - the fields are the statement's
        )
        return self._compiled


def _run(tx: sa.Connection, compiled: _Compiled, values: Mapping[str, Any]) -> Any:
    connection: Any = tx.connection.driver_connection
    return connection.execute(compiled.sql, compiled.bound(values))
