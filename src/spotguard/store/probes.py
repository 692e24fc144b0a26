"""Probes as rows: bought one at a time from a tenant's budget of the day, moved one legal step at a time."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from spotguard.domain.errors import NotFound, Refused
from spotguard.domain.ids import ClientId, ImageId, ProbeId
from spotguard.domain.money import ZERO
from spotguard.domain.probes import PROBE_LIFE, PURPOSE, ProbeStatus
from spotguard.planning.metering import EntryKind
from spotguard.planning.probes import ANSWERED_WITHIN, LaunchProbe
from spotguard.store import events
from spotguard.store.prepared import Prepared
from spotguard.store.stepping import step
from spotguard.store.tables import clients, ledger_entries, probes, storage_resources
from spotguard.store.views_paging import Asked, Page, newest_first

Row = sa.Row[Any]
_p, _c, _e, _s = probes.c, clients.c, ledger_entries.c, storage_resources.c
A_DAY = timedelta(days=1)
_MOST_WORTH = 999_999.0  # that the column holds
_BUDGET = Prepared(sa.select(_c.probe_usd_per_day).where(_c.id == sa.bindparam("client")))
_PAYERS = Prepared(sa.select(_c.id).where(_c.probe_usd_per_day > 0).order_by(_c.created_at, _c.id))


def budget_of(tx: sa.Connection, client_id: ClientId) -> Decimal:
    """USD a day; 0: nothing is probed."""
    budget: Decimal | None = _BUDGET.scalar(tx, {"client": client_id})
    if budget is None:
        raise NotFound("no such client")
    return budget


def set_budget(tx: sa.Connection, now: datetime, client_id: ClientId, usd_per_day: Decimal) -> None:
    mine = _c.id == client_id
    tx.execute(sa.update(clients).where(mine).values(probe_usd_per_day=usd_per_day, updated_at=now))
    told = f"capacity probes may cost {usd_per_day:f} USD a day" if usd_per_day else "capacity probes are off"
    events.append(tx, now, client_id, None, "probe_budget", told, {"usd_per_day": str(usd_per_day)})


def hold(tx: sa.Connection, now: datetime, client_id: ClientId) -> None:
    """Whoever buys a probe, asks EC2 for it or gives it up touches the client's row first: of two coordinators one
    waits for the other.
    """
    tx.execute(sa.update(clients).where(_c.id == client_id).values(updated_at=now))


def with_budget(tx: sa.Connection) -> list[ClientId]:
    """Who pays for probes."""
    return [ClientId(row.id) for row in _PAYERS.rows(tx, {})]


def today_of(now: datetime) -> datetime:
    """Since when the budget of this UTC day counts."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def spent(tx: sa.Connection, client_id: ClientId, since: datetime) -> Decimal:
    """By the probes of that day: each what its row says, those under way as much as they will cost at least; what the
    ledger knows of it where that is more (a price that rose, its disks, an instance that EC2 does not end).
    """
    ordered = sa.select(_p.id, _p.usd).where(_p.client_id == client_id, _p.created_at >= since)
    told: dict[str, Decimal] = {row.id: row.usd for row in tx.execute(ordered)}
    metered = _metered(tx, client_id, since)
    return sum(
        (max(told.get(one, ZERO), metered.get(one, ZERO)) for one in told.keys() | metered.keys()), ZERO
    )


def _metered(tx: sa.Connection, client_id: ClientId, since: datetime) -> dict[str, Decimal]:
    """What the ledger says of the hours since then, of probes of that day and of the one before."""
    of_day = (_p.client_id == client_id, _p.created_at >= since - A_DAY, _e.from_at >= since)
    machines = sa.and_(_e.resource_id == _p.instance_id, _e.kind == EntryKind.PROBE.value)
    theirs = sa.and_(_s.agent_id == _p.agent_id, _s.last_attached_to == _p.instance_id, _s.purpose == PURPOSE)
    disks = probes.join(storage_resources, theirs).join(ledger_entries, _e.resource_id == _s.id)
    found = [
        *tx.execute(sa.select(_p.id, _e.usd).join_from(probes, ledger_entries, machines).where(*of_day)),
        *tx.execute(sa.select(_p.id, _e.usd).select_from(disks).where(*of_day)),
    ]
    told: dict[str, Decimal] = {}
    for row in found:
        told[row.id] = told.get(row.id, ZERO) + row.usd
    return told


def is_open(tx: sa.Connection, client_id: ClientId) -> bool:
    found = sa.select(_p.id).where(_p.open_client_id == client_id)
    return tx.execute(found.limit(1)).first() is not None


def are_answered(tx: sa.Connection, client_id: ClientId, since: datetime) -> bool:
    """One has told whether its pool gives capacity, or is under way."""
    told = sa.or_(_p.open_client_id == client_id, sa.and_(_p.up.is_not(None), _p.created_at > since))
    return tx.execute(sa.select(_p.id).where(_p.client_id == client_id, told).limit(1)).first() is not None


def fruitless(tx: sa.Connection, client_id: ClientId, since: datetime) -> str | None:
    """Why the newest probe told nothing of its pool, if it ended since then."""
    newest_one = (
        sa.select(_p.up, _p.answer, _p.completed_at)
        .where(_p.client_id == client_id, _p.completed_at.is_not(None))
        .order_by(_p.completed_at.desc(), _p.id)
        .limit(1)
    )
    row = tx.execute(newest_one).first()
    if row is None or row.up is not None or row.completed_at <= since:
        return None
    return str(row.answer)


def insert(
    tx: sa.Connection, now: datetime, client_id: ClientId, bought: LaunchProbe, image_id: ImageId
) -> ProbeId:
    """The row; `Refused` while another probe of this client is open: the unique column says so."""
    probe_id = ProbeId(str(uuid.uuid4()))
    row = {
        "id": probe_id,
        "client_id": client_id,
        "agent_id": bought.target.agent_id,
        "pool_id": bought.target.pool.id,
        "status": ProbeStatus.WAITING.value,
        "created_at": now,
        "deadline_at": now + ANSWERED_WITHIN,
        "image_id": image_id,
        "usd_per_hour": bought.usd_per_hour,
        "usd": bought.usd,
        "worth_usd": Decimal(f"{min(bought.target.worth_usd, _MOST_WORTH):.6f}"),
        "because": bought.because,
    }
    try:
        with tx.begin_nested():
            tx.execute(sa.insert(probes), row)
    except IntegrityError as error:
        raise Refused("another probe is under way") from error
    return probe_id


def get(tx: sa.Connection, probe_id: ProbeId) -> Row:
    return tx.execute(sa.select(probes).where(_p.id == probe_id)).one()


def require_waiting(tx: sa.Connection, probe_id: ProbeId) -> None:
    """`Refused` when another coordinator has given it up; whoever asks EC2 for it has touched its client's row."""
    waits = sa.select(_p.id).where(_p.id == probe_id, _p.status == ProbeStatus.WAITING.value)
    if tx.execute(waits).first() is None:
        raise Refused("this probe was given up meanwhile")


def move(tx: sa.Connection, probe: Row, wanted: ProbeStatus, **values: Any) -> bool:
    """One legal step from the row that was seen; False: somebody was first."""
    return step(tx, probes, PROBE_LIFE, probe, wanted, values)


def newest(tx: sa.Connection, client_id: ClientId, asked: Asked) -> Page:
    mine = sa.select(probes).where(_p.client_id == client_id)
    return newest_first(tx, mine, _p.created_at, _p.id, asked)
