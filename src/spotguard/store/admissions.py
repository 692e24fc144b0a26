"""Whether launches by somebody's wish were let in below the caps: counted anew for the auditor (invariant 12)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from spotguard.domain.ids import ClientId
from spotguard.planning.invariants import CapFact
from spotguard.ports.intentions import IntentionStatus
from spotguard.store.intentions import LAUNCHES, Cap, total_usd
from spotguard.store.prepared import Prepared
from spotguard.store.tables import intentions

Row = sa.Row[Any]
HOUR = timedelta(hours=1)
_i = intentions.c
_LAUNCHES = (
    sa.select(intentions)
    .where(
        _i.kind.in_(LAUNCHES),
        sa.or_(
            _i.created_at > sa.bindparam("since"),
            _i.status == IntentionStatus.OPEN.value,
            _i.closed_at > sa.bindparam("since"),
        ),
    )
    .order_by(_i.created_at, _i.token)
)
_OF_EVERYBODY = Prepared(_LAUNCHES)
_OF_CLIENT = Prepared(_LAUNCHES.where(_i.client_id == sa.bindparam("client")))


def of_newest(tx: sa.Connection, since: datetime, client_id: ClientId | None = None) -> list[CapFact]:
    """Of each client the caps under which its newest voluntary launch was let in, and what they came to with it.

    What was reserved at that moment is counted from all the rows: two that were let in side by side are found.
    """
    rows = (
        _OF_EVERYBODY.rows(tx, {"since": since})
        if client_id is None
        else _OF_CLIENT.rows(tx, {"since": since, "client": client_id})
    )
    by_client: dict[str, list[Row]] = {}
    for row in rows:
        by_client.setdefault(row.client_id, []).append(row)
    return [fact for client, rows in by_client.items() for fact in _facts(client, rows)]


def _facts(client: str, rows: Sequence[Row]) -> Iterator[CapFact]:
    newest = next((row for row in reversed(rows) if row.voluntary), None)
    if newest is None:
        return
    for name, told in (newest.request.get("admitted") or {}).items():
        with_it = _with_it(Cap(name), newest, rows)
        reached = None if with_it is None else Decimal(told["before"]) + with_it
        yield CapFact(client, name, Decimal(told["limit"]), reached)


def _with_it(cap: Cap, newest: Row, rows: Sequence[Row]) -> Decimal | None:
    """What the rows add to what was there before; None when a price is not known."""
    reserved = [row for row in rows if _was_open_with(row, newest)]
    match cap:
        case Cap.AGENT_USD:
            return total_usd(row.hourly_usd for row in reserved if row.agent_id == newest.agent_id)
        case Cap.CLIENT_USD:
            return total_usd(row.hourly_usd for row in reserved)
        case Cap.INSTANCES:
            return Decimal(len(reserved))
        case Cap.LAUNCHES:
            counted = (row for row in rows if row.probe_id is None or newest.probe_id is not None)
            return Decimal(sum(1 for row in counted if _was_launched_before(row, newest)))


def _was_open_with(row: Row, newest: Row) -> bool:
    """It was open when `newest` was let in."""
    is_open = row.closed_at is None or row.closed_at > newest.created_at
    return bool(row.token == newest.token or (_had_begun(row, newest) and is_open))


def _was_launched_before(row: Row, newest: Row) -> bool:
    if row.token == newest.token:
        return True
    within = newest.created_at - row.created_at < HOUR
    return bool(_had_begun(row, newest) and within and row.status != IntentionStatus.FAILED)


def _had_begun(row: Row, newest: Row) -> bool:
    """A rescue that began in that same moment asked nobody."""
    if row.voluntary:
        return bool(row.created_at <= newest.created_at)
    return bool(row.created_at < newest.created_at)
