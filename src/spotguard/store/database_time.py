"""The database's own time: one for all servers that share it."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection


def is_shared(tx: Connection) -> bool:
    """An embedded database has no clock but this machine's."""
    return tx.dialect.name != "sqlite"


def told(tx: Connection) -> datetime:
    """Of a database that is shared."""
    found: datetime = tx.execute(sa.text("SELECT UTC_TIMESTAMP(6)")).scalar_one()
    return found.replace(tzinfo=UTC)
