"""Column types that keep the same promise on SQLite and on MySQL/MariaDB."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

_WITHOUT_OFFSET = len("2021-03-02 01:39:04.000000")


class _Plain(sa.types.UserDefinedType[Any]):
    """A column of SQLite that takes and gives what the driver has: the conversion is the decorator's alone.

    Prices and heartbeats convert a dozen values a request; SQLAlchemy's own types would do it twice.
    """

    cache_ok = True

    def __init__(self, ddl: str) -> None:
        self.ddl = ddl

    def get_col_spec(self, **_: Any) -> str:
        return self.ddl


class UtcTime(TypeDecorator[datetime]):
    """Aware UTC in code, a zoneless microsecond timestamp in the table (ruling S10).

    SQLite keeps the text `2021-03-02 01:39:04.000000`, which sorts as the times do.
    """

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(_Plain("DATETIME"))
        return dialect.type_descriptor(mysql.DATETIME(fsp=6))

    def bind_processor(self, dialect: Dialect) -> Any:
        return _text if dialect.name == "sqlite" else super().bind_processor(dialect)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        return _time if dialect.name == "sqlite" else super().result_processor(dialect, coltype)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        return None if value is None else _utc(value).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


def _text(value: datetime | None) -> str | None:
    return None if value is None else _utc(value).isoformat(" ", "microseconds")[:_WITHOUT_OFFSET]


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text + "+00:00")


def _utc(value: datetime) -> datetime:
    if value.tzinfo is UTC:
        return value
    if value.tzinfo is None:
        raise ValueError("naive time given to the database")
    return value.astimezone(UTC)


class Money(TypeDecorator[Decimal]):
    """An exact decimal. SQLite keeps it as a REAL of at most 15 significant digits, which is exact after quantizing."""

    impl = sa.Numeric
    cache_ok = True

    def __init__(self, precision: int = 12, scale: int = 6) -> None:
        super().__init__(precision, scale)
        self.precision, self.scale = precision, scale
        self.step = Decimal(1).scaleb(-scale)

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(_Plain(f"NUMERIC({self.precision}, {self.scale})"))
        return dialect.type_descriptor(sa.Numeric(self.precision, self.scale))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        exact = Decimal(value).quantize(self.step)
        return float(exact) if dialect.name == "sqlite" else exact

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        return (
            None
            if value is None
            else Decimal(repr(value) if isinstance(value, float) else value).quantize(self.step)
        )


def one_of(column: str, values: type[StrEnum]) -> sa.CheckConstraint:
    """Only the legal words: a life's states are the column's values."""
    words = ", ".join(f"'{value.value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({words})", name=f"ck_{column}_legal")


def real_instance_id(column: str) -> sa.CheckConstraint:
    """EC2's form, `i-` and 8 or 17 characters: a placeholder cannot be stored (ruling S9)."""
    form = f"({column} LIKE 'i-{'_' * 8}' OR {column} LIKE 'i-{'_' * 17}')"
    return sa.CheckConstraint(f"{form} AND {column} NOT LIKE '% %'", name=f"ck_{column}_real")
