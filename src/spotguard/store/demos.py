"""What tells a demo's database from any other: its script's acts. Across tenants, for the operator."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spotguard.store.tables import agent_events, instances

PLAYED = "demo_script"  # kind of an event: what the script did

_e = agent_events.c
_IS_PLAYED = sa.exists().where(_e.agent_id.is_(None), _e.kind == PLAYED)
_TIMES = (_e.at, instances.c.last_heartbeat_at)


def demo_time(tx: Connection) -> datetime | None:
    """The last moment that stands in a demo's database, whose clock no machine shares; None where none was played."""
    if not tx.scalar(sa.select(_IS_PLAYED)):
        return None
    told = (tx.scalar(sa.select(sa.func.max(time, type_=time.type))) for time in _TIMES)
    newest: datetime = max(time for time in told if time is not None)
    return newest
