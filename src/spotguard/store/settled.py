"""Up to when the ledger has settled what something cost (`metered_until`), and from when on it is settled anew."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from spotguard.planning.metering import since_hour_of
from spotguard.store.batches import batch_of, batched
from spotguard.store.prepared import Prepared
from spotguard.store.tables import agents, instances, storage_resources

_i, _s = instances.c, storage_resources.c
LOOK_BACK = timedelta(hours=1)  # what EC2 tells late (a price, an end) may lie before the last settlement


def cut_of(settled: datetime | None, now: datetime) -> datetime | None:
    """From which full hour on entries are written anew; None: from the beginning.

    What a server whose clock was ahead has settled of a time to come is taken back.
    """
    return None if settled is None else since_hour_of(min(settled, now) - LOOK_BACK)


def unsettled(columns: Any, ended_at: Any) -> sa.ColumnElement[bool]:
    """Still running, or not settled since its end became known."""
    return sa.or_(ended_at.is_(None), columns.metered_until.is_(None), columns.metered_until <= ended_at)


def not_after(metered_until: sa.ColumnElement[Any], end: datetime) -> sa.ColumnElement[Any]:
    """With an end that has become known: what was settled beyond it is settled anew."""
    return sa.case((metered_until > end, sa.literal(end, metered_until.type)), else_=metered_until)


def ends_of(tx: sa.Connection, ids: Sequence[str]) -> dict[str, datetime | None]:
    """Of instances, volumes and copies: when each has ended, or its agent was deleted; None: neither, as far as the
    rows know now.
    """
    return {
        row.id: min((at for at in row[1:] if at is not None), default=None)
        for some in batched(ids)
        for ends in (_INSTANCES, _STORED)
        for row in ends.rows(tx, some)
    }


_INSTANCES = Prepared(
    sa.select(_i.id, sa.func.coalesce(_i.ended_at, _i.terminated_at)).where(_i.id.in_(batch_of(_i.id)))
)
_STORED = Prepared(
    sa.select(_s.id, _s.ended_at, agents.c.deleted_at)
    .join(agents, agents.c.id == _s.agent_id)
    .where(_s.id.in_(batch_of(_s.id)))
)
