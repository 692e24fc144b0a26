"""A conditional move: one legal step of a life, only from what was seen."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

import sqlalchemy as sa

from spotguard.domain.life import Life

S = TypeVar("S", bound=StrEnum)


def step(
    tx: sa.Connection, table: sa.Table, life: Life[S], row: sa.Row[Any], wanted: S, values: Mapping[str, Any]
) -> bool:
    """False: somebody was first. `wanted` may be where it stands: then only `values` are written."""
    seen = type(wanted)(row.status)
    if seen is not wanted:
        life.require(seen, wanted)
    moved = tx.execute(
        sa.update(table)
        .where(table.c.id == row.id, table.c.status == seen.value)
        .values(status=wanted.value, **values)
    )
    return moved.rowcount == 1
