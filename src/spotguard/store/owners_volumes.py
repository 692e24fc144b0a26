"""Why a volume that its owner brought was left: by a move, or by a death, and then maybe with the last writes."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from spotguard.domain.salvages import SalvageStatus
from spotguard.domain.switches import MoveKind
from spotguard.planning.cleaning import (
    owners_because,
    owners_uncompared_because,
    owners_with_writes_because,
)
from spotguard.planning.deadlines import lacks_writes
from spotguard.store.prepared import Prepared
from spotguard.store.steps import IS_GRANTED
from spotguard.store.tables import salvages, switches

Row = sa.Row[Any]
_LEFT_BY = Prepared(
    sa.select(switches)
    .where(
        switches.c.agent_id == sa.bindparam("agent"),
        switches.c.old_instance_id == sa.bindparam("holder"),
        IS_GRANTED,
    )
    .order_by(switches.c.from_epoch.desc(), switches.c.created_at.desc())
    .limit(1)
)
_LOOK = Prepared(sa.select(salvages).where(salvages.c.switch_id == sa.bindparam("move")))


def why_left(tx: sa.Connection, volume: Row) -> str:
    """Of one of `leftover_rows.of_owners`, for people."""
    holder = volume.last_attached_to
    move = _LEFT_BY.first(tx, {"agent": volume.agent_id, "holder": holder})
    if move is None or not move.is_recovery:
        return owners_because(holder, died=False)
    look = _LOOK.first(tx, {"move": move.id})
    if look is None or look.status != SalvageStatus.OFFERED.value:
        lacks = move.kind == MoveKind.SYNCED.value and lacks_writes(move.lost_seconds, is_recovery=True)
        return owners_uncompared_because(holder) if lacks else owners_because(holder, died=True)
    if look.volume_id == volume.id and look.files:
        return owners_with_writes_because(holder, look.files, look.bytes, look.newest_at)
    return owners_because(holder, died=True)
