"""What all tables share: naming of constraints, MySQL options, the columns that every row has."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from spotguard.store.types import UtcTime

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "%(constraint_name)s_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# binary collation: ids and names compare as they do on SQLite and in Python
MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}

uuid = sa.String(36)
instance_id = sa.String(64)
pool_id = sa.String(128)
word = sa.String(50)
sentence = sa.Text()


def created_at() -> sa.Column[datetime]:
    return sa.Column("created_at", UtcTime, nullable=False)


def updated_at() -> sa.Column[datetime]:
    return sa.Column("updated_at", UtcTime, nullable=False)


def ref(name: str, target: str, type_: sa.types.TypeEngine[str], *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, type_, sa.ForeignKey(target), nullable=nullable)
