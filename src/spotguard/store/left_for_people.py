"""Volumes that nobody needs and no clean-up deletes, since they may hold what somebody wrote: a person is told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from spotguard.planning.cleaning import (
    kept_plan,
    last_state_because,
    stranded_because,
    uncompared_because,
    unimaged_because,
)
from spotguard.store import last_states, leftover_rows, state_left, tickets
from spotguard.store.prepared import Prepared
from spotguard.store.tables import epoch_grants, instances

Row = sa.Row[Any]
_NEVER_SEEN = "nobody was ever seen with it, or another has come to its place since it was taken away"
_LET_GO = Prepared(
    sa.select(epoch_grants.c.released_at, instances.c.ended_at)
    .outerjoin(instances, instances.c.id == epoch_grants.c.instance_id)
    .where(epoch_grants.c.instance_id == sa.bindparam("machine"))
    .order_by(epoch_grants.c.epoch.desc())
    .limit(1)
)


@dataclass(frozen=True)
class LeftForPeople:
    """`because`: whose state it holds and how it came to lie there; `plan`: what a person does with it."""

    row: Row
    because: str

    @property
    def plan(self) -> str:
        return kept_plan(self.row.id, self.row.az)


def of_all(tx: sa.Connection) -> list[LeftForPeople]:
    """Of every tenant."""
    unknown = [LeftForPeople(row, _NEVER_SEEN) for row in state_left.never_seen(tx)]
    newest = [LeftForPeople(row, _of_unknown(tx, row)) for row in leftover_rows.of_unknown(tx)]
    last = [
        LeftForPeople(row, last_state_because(row.last_attached_to)) for row in last_states.after_an_image(tx)
    ]
    last += [
        LeftForPeople(row, unimaged_because(row.last_attached_to))
        for row in last_states.not_in_their_image(tx)
    ]
    last += [
        LeftForPeople(row, uncompared_because(row.last_attached_to)) for row in last_states.uncompared(tx)
    ]
    moved = [LeftForPeople(row, _because(tx, row)) for row in leftover_rows.stranded(tx)]
    return [*unknown, *newest, *last, *moved]


def _of_unknown(tx: sa.Connection, row: Row) -> str:
    if tickets.nobody_said(tx, row.last_attached_to):
        return (
            f"{row.last_attached_to} had it, to which a handover ticket was out: nobody has said what came of that. It "
            "may have served, and this may hold what it wrote"
        )
    return (
        f"{row.last_attached_to} had it, of whose launch or epoch this database does not know: is it a machine of "
        "yours, or was an older backup restored? It may hold the newest state"
    )


def _because(tx: sa.Connection, row: Row) -> str:
    return stranded_because(row.moved_from, _wrote_until(tx, row.moved_from), row.last_attached_to)


def _wrote_until(tx: sa.Connection, holder: str) -> datetime | None:
    """When it let go of its newest epoch or ended, whichever came first."""
    last = _LET_GO.first(tx, {"machine": holder})
    known = [] if last is None else [at for at in (last.released_at, last.ended_at) if at is not None]
    return min(known, default=None)
