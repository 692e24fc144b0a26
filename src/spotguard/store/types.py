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

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is not UTC:
            if value.tzinfo is None:
                raise ValueError("naive time given to the database")
            value = value.astimezone(UTC)
        if dialect.name == "sqlite":
            return value.isoformat(" ", "microseconds")[:_WITHOUT_OFFSET]
        return value.replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if isinstance(value, str):
            return datetime.fromisoformat(value + "+00:00")
        return value.replace(tzinfo=UTC)  # type: ignore[no-any-return]


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
