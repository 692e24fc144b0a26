"""What carries our tag and names no agent that a row knows: told once, never deleted by itself (invariants 6 and 7).

It has no row of its own elsewhere, so that no clean-up ever comes upon it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from spotguard.domain.ids import ClientId
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.planning.cleaning import FOUND, SEEN_TWICE, UNKNOWN_AGENT, names_nobody
from spotguard.store import events
from spotguard.store.prepared import Prepared
from spotguard.store.tables import agents, foundlings
from spotguard.store.upserts import insert_missing

Row = sa.Row[Any]
_f = foundlings.c


@dataclass(frozen=True)
class Tagged:
    """Something with our tag, as EC2 shows it in an account and region.

    `client_id` None: it names none of those whose account this is. `place`: of an instance; `gib`: of storage.
    """

    resource_id: str
    kind: str
    account: str
    client_id: ClientId | None
    agent_tag: str | None
    made_at: datetime
    place: tuple[Pool, Mode] | None = None
    gib: int | None = None
    usd_per_month: Decimal | None = None


_AGENTS = Prepared(sa.select(agents.c.id, agents.c.client_id))
_KNOWN = Prepared(sa.select(foundlings).where(_f.account == sa.bindparam("here")))


def of_nobody(tx: sa.Connection, shown: Sequence[Tagged]) -> list[Tagged]:
    """Those that name no agent of their client; a deleted agent is known as long as its row is."""
    known = {(row.id, row.client_id) for row in _AGENTS.rows(tx, {})}
    return [one for one in shown if (one.agent_tag, one.client_id) not in known]


def known_of(tx: sa.Connection, account: str) -> list[Row]:
    """Those that were noted in this account and region."""
    return list(_KNOWN.rows(tx, {"here": account}))


def of_all(tx: sa.Connection) -> list[Row]:
    return list(tx.execute(sa.select(foundlings).order_by(_f.made_at, _f.id)).all())


def note(tx: sa.Connection, now: datetime, found: Sequence[Tagged]) -> list[Tagged]:
    """Write them down; those that are new are told, and given back."""
    rows = [
        {
            "id": one.resource_id,
            "client_id": one.client_id,
            "kind": one.kind,
            "account": one.account,
            "agent_tag": one.agent_tag,
            "made_at": one.made_at,
            "usd_per_month": one.usd_per_month,
        }
        for one in found
    ]
    insert_missing(tx, foundlings, rows)
    for one in found:
        dearer = _f.usd_per_month.is_distinct_from(one.usd_per_month)
        tx.execute(
            sa.update(foundlings)
            .where(_f.id == one.resource_id, dearer)
            .values(usd_per_month=one.usd_per_month)
        )
    shown = [one.resource_id for one in found]
    tx.execute(
        sa.update(foundlings).where(_f.id.in_(shown), _f.missed_at.is_not(None)).values(missed_at=None)
    )
    return [one for one in found if _tell(tx, now, one)]


def _tell(tx: sa.Connection, now: datetime, one: Tagged) -> bool:
    """False when it was told already, by whichever coordinator."""
    fresh = _f.id == one.resource_id, _f.told_at.is_(None)
    if tx.execute(sa.update(foundlings).where(*fresh).values(told_at=now)).rowcount != 1:
        return False
    if one.client_id is not None:
        whose = names_nobody(one.agent_tag)
        message = f"the {one.kind} {one.resource_id} carries our tag, and {whose}: {UNKNOWN_AGENT}"
        detail = {"kind": one.kind, "resource_id": one.resource_id, "agent_tag": one.agent_tag}
        events.append(tx, now, one.client_id, None, FOUND, message, detail)
    return True


def missed(tx: sa.Connection, now: datetime, rows: Iterable[Row]) -> None:
    """A look did not show them, or they name somebody now: forgotten when it is still so a minute later."""
    mine = _f.id.in_([row.id for row in rows])
    tx.execute(sa.delete(foundlings).where(mine, _f.missed_at <= now - SEEN_TWICE))
    tx.execute(sa.update(foundlings).where(mine, _f.missed_at.is_(None)).values(missed_at=now))
