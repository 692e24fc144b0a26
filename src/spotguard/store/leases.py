"""Which coordinators are alive: a lease each. A convenience for people, never a proof."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spotguard.store.tables import leases
from spotguard.store.upserts import insert_or_update

LEASE = timedelta(seconds=30)
REMEMBERED = timedelta(days=1)  # so long one that died without a word is still shown, as gone


def hold(tx: Connection, now: datetime, name: str) -> None:
    """Alive for half a minute more. Every process has a name of its own: who ended long ago is forgotten."""
    row = {"name": f"coordinator:{name}", "holder": name, "epoch": 1, "until": now + LEASE}
    insert_or_update(tx, leases, [row], ("holder", "until"))
    tx.execute(sa.delete(leases).where(leases.c.until < now - REMEMBERED))


def release(tx: Connection, now: datetime, name: str) -> None:
    """It has ended cleanly: nobody misses it."""
    tx.execute(sa.delete(leases).where(leases.c.name == f"coordinator:{name}", leases.c.until > now))


def were_held(tx: Connection, since: datetime) -> bool:
    """One of the coordinators that have not ended cleanly began a pass since then."""
    return (
        tx.execute(sa.select(leases.c.name).where(leases.c.until > since + LEASE).limit(1)).first()
        is not None
    )


def of_coordinators(tx: Connection) -> Sequence[Any]:
    """They belong to the installation and name no tenant."""
    return tx.execute(sa.select(leases).order_by(leases.c.name)).all()
