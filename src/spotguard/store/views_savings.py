"""What was spent and what was saved, from the ledger alone (ruling B12)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spotguard.domain.ids import ClientId
from spotguard.domain.money import ZERO
from spotguard.store.tables import agents, ledger_entries

_l = ledger_entries.c
ON_DEMAND = "ondemand"  # key of what ran in no spot capacity pool
_PAID = ("compute", "replica", "overlap", "probe", "storage", "waived")
_NANO = 1_000_000_000


class GroupBy(StrEnum):
    """How savings are told apart."""

    DAY = "day"
    AGENT = "agent"
    POOL = "pool"


@dataclass(frozen=True)
class Spent:
    """USD of each kind of the ledger. `waived` is negative: AWS ended it within its first hour.

    `unpriced` is that part of the counterfactual during which the price of what served is unknown.
    """

    usd: Mapping[str, Decimal] = field(default_factory=dict)
    unpriced_seconds: int = 0

    def of(self, kind: str) -> Decimal:
        return self.usd.get(kind, ZERO)

    @property
    def cost(self) -> Decimal:
        return sum((self.of(kind) for kind in _PAID), ZERO)

    @property
    def on_demand(self) -> Decimal:
        """What on-demand would have cost in the seconds whose price is known."""
        return self.of("ondemand") - self.of("unpriced")

    @property
    def saved(self) -> Decimal:
        """Negative when it cost more than on-demand would have."""
        return self.on_demand - self.cost

    @property
    def saved_percent(self) -> Decimal | None:
        base = self.on_demand
        return (self.saved / base * 100).quantize(Decimal("0.01")) if base > ZERO else None


@dataclass(frozen=True)
class Group:
    """One day, agent or pool; `ON_DEMAND` for time outside the spot market, None for storage, which has no pool."""

    key: str | None
    label: str | None
    spent: Spent


def total(tx: Connection, client_id: ClientId, since: datetime | None, until: datetime | None) -> Spent:
    rows = tx.execute(_summed(client_id, since, until, []).group_by(_l.kind))
    return _spent(rows)


def groups(
    tx: Connection, client_id: ClientId, since: datetime | None, until: datetime | None, by: GroupBy
) -> Sequence[Group]:
    """In the order of their keys. Entries are cut at full UTC hours, so that a day's are its own."""
    key = _KEYS[by]
    found: dict[str | None, list[Any]] = {}
    for row in tx.execute(_summed(client_id, since, until, [key.label("group_key")]).group_by(key, _l.kind)):
        name = None if row.group_key is None else str(row.group_key)
        found.setdefault(name, []).append(row)
    labels = _names(tx, client_id) if by is GroupBy.AGENT else {}
    ordered = sorted(found, key=lambda name: (name is None, name or ""))
    return [Group(name, labels.get(name or "", name), _spent(found[name])) for name in ordered]


def _summed(
    client_id: ClientId, since: datetime | None, until: datetime | None, keys: list[sa.ColumnElement[Any]]
) -> sa.Select[Any]:
    """Whole nano-dollars: a sum of integers is exact on SQLite too, which keeps decimals as floats."""
    nano = sa.cast(sa.func.round(sa.type_coerce(_l.usd, sa.Numeric(asdecimal=False)) * _NANO), sa.BigInteger)
    seconds = sa.func.sum(_l.quantity).label("quantity")
    query = sa.select(_l.kind, sa.func.sum(nano).label("nano"), seconds, *keys).where(
        _l.client_id == client_id
    )
    if since is not None:
        query = query.where(_l.from_at >= since)
    if until is not None:
        query = query.where(_l.from_at < until)
    return query


_KEYS: dict[GroupBy, sa.ColumnElement[Any]] = {
    GroupBy.DAY: sa.func.date(_l.from_at),
    GroupBy.AGENT: _l.agent_id,
    GroupBy.POOL: sa.case((_l.kind != "storage", sa.func.coalesce(_l.pool_id, ON_DEMAND))),
}


def _spent(rows: Iterable[Any]) -> Spent:
    """Of one row for each kind."""
    by_kind = {row.kind: row for row in rows}
    unpriced = by_kind.get("unpriced")
    return Spent(
        {kind: _usd(row.nano) for kind, row in by_kind.items()}, int(unpriced.quantity) if unpriced else 0
    )


def _usd(nano: int | Decimal | None) -> Decimal:
    return Decimal(int(nano or 0)).scaleb(-9)


def _names(tx: Connection, client_id: ClientId) -> dict[str, str]:
    query = sa.select(agents.c.id, agents.c.logical_agent_id).where(agents.c.client_id == client_id)
    return {row.id: row.logical_agent_id for row in tx.execute(query)}
