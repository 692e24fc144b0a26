"""What tells a demo's database from any other: its script's acts. Across tenants, for the operator."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spotguard.store.tables import agent_events, instances

PLAYED = "demo_script"  # kind of an event: what the script did

_e = agent_events.c
_IS_PLAYED = sa.exists().where(_e.agent_id.is_(None), _e.kind == PLAYED)
_PLAYED_LAST = sa.select(sa.func.max(_e.at, type_=_e.at.type)).where(_e.kind == PLAYED)
_HEARD_LAST = sa.select(sa.func.max(instances.c.last_heartbeat_at, type_=instances.c.last_heartbeat_at.type))


def demo_time(tx: Connection) -> datetime | None:
    """The last moment of a demo's own time, whose clock no machine shares; None where none was played.

    Only what a demo itself writes tells it: other rows may be a command's, by this machine's clock.
    """
    if not tx.scalar(sa.select(_IS_PLAYED)):
        return None
    told = (tx.scalar(newest) for newest in (_PLAYED_LAST, _HEARD_LAST))
    newest: datetime = max(time for time in told if time is not None)
    return newest
