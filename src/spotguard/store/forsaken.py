"""Launches without an answer whose wish is over: nobody carries them on, and what came of them is looked up."""

from __future__ import annotations

import sqlalchemy as sa

from spotguard.domain.drills import OPEN_DRILL
from spotguard.domain.ids import ClientId
from spotguard.domain.replicas import LIVE_REPLICA
from spotguard.ports.intentions import Intention, IntentionStatus
from spotguard.store.intentions import LAUNCHES, intention_of
from spotguard.store.prepared import Prepared
from spotguard.store.steps import IS_OPEN
from spotguard.store.tables import drills, intentions, replica_instances, switches

_FORSAKEN = Prepared(
    sa.select(intentions)
    .outerjoin(replica_instances, replica_instances.c.id == intentions.c.replica_id)
    .outerjoin(switches, switches.c.id == intentions.c.switch_id)
    .outerjoin(drills, drills.c.id == intentions.c.drill_id)
    .where(
        intentions.c.status == IntentionStatus.OPEN.value,
        intentions.c.kind.in_(LAUNCHES),
        sa.or_(
            replica_instances.c.status.not_in([status.value for status in LIVE_REPLICA]),
            drills.c.status.not_in([status.value for status in OPEN_DRILL]),
            sa.and_(
                intentions.c.replica_id.is_(None),
                sa.not_(IS_OPEN),
            ),
        ),
    )
    .order_by(intentions.c.created_at, intentions.c.token)
)


def of_all(tx: sa.Connection) -> list[tuple[ClientId, Intention]]:
    """Those whose replica, move or drill is over, of every tenant. Others wait for theirs."""
    return [(ClientId(row.client_id), intention_of(row)) for row in _FORSAKEN.rows(tx, {})]
