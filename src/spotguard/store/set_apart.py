"""Instances that are set apart: a drill's clone, a probe's. They are launched to be looked at, and serve nobody."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from spotguard.store.tables import instances

_i = instances.c


def is_set_apart(row: Any) -> bool:
    """Of a row of `instances`."""
    return row.drill_id is not None or row.probe_id is not None


def may_serve() -> tuple[sa.ColumnElement[bool], ...]:
    """Of the row of `instances` that a statement looks at: it is not set apart."""
    return _i.drill_id.is_(None), _i.probe_id.is_(None)
