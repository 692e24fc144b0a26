"""The boots of an instance, as its registrations told of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spotguard.domain.clock import parse_time
from spotguard.domain.errors import InvalidInput, Refused
from spotguard.store.database import LostRace
from spotguard.store.tables import agent_tokens, instances

_CLOCKS_DIFFER = timedelta(hours=1)  # EC2's and the server's, at most
_ONE_START = timedelta(minutes=1)  # within it lie the `pendingTime` and the LaunchTime of one start


def require_not_over(tx: Connection, now: datetime, instance_id: str, boot_id: str) -> None:
    """`Refused` where another boot of the instance has registered that came after this one: what says so now was held
    back on its way. Whoever believed it would take the epoch from the boot that serves.

    A boot is told by its `pendingTime` (EC2 user guide, "Instance identity documents"), which begins anew with each
    start; of those that are told otherwise the order is known in which they registered.
    """
    i = instances.c
    known = tx.execute(sa.select(i.boot_id).where(i.id == instance_id)).scalar_one_or_none()
    if known is None or known == boot_id:
        return
    begun = _begun(boot_id)
    is_older = begun is not None and _began_after(now, known, begun)
    if is_older or _registered_before(tx, instance_id, boot_id):
        raise Refused("this boot of the instance is over: it has registered in another one since")


def write_of_boot(tx: Connection, instance_id: str, boot_id: str | None, values: Mapping[str, Any]) -> None:
    """What is true of this boot alone. `LostRace` where another one has registered since the row was read."""
    i = instances.c
    of_it = sa.update(instances).where(i.id == instance_id, i.boot_id.is_not_distinct_from(boot_id))
    if tx.execute(of_it.values(**values)).rowcount != 1:
        raise LostRace(f"{instance_id} has registered from another boot")


def is_of_a_former_start(now: datetime, launched_at: datetime, boot_id: str | None) -> bool:
    """What EC2 shows with this LaunchTime is older than the start of this boot, which it shows late: both times
    begin anew with each start.
    """
    return boot_id is not None and _began_after(now, boot_id, launched_at + _ONE_START)


def _registered_before(tx: Connection, instance_id: str, boot_id: str) -> bool:
    t = agent_tokens.c
    of_it = sa.select(t.instance_id).where(t.instance_id == instance_id, t.boot_id == boot_id)
    return tx.execute(of_it.limit(1)).first() is not None


def _began_after(now: datetime, boot_id: str, then: datetime) -> bool:
    """A time that is far to come orders nothing: by such a word one request could keep all boots out."""
    begun = _begun(boot_id)
    return begun is not None and then < begun <= now + _CLOCKS_DIFFER


def _begun(boot_id: str) -> datetime | None:
    """None: it is told by something else than its `pendingTime`."""
    try:
        return parse_time(boot_id)
    except InvalidInput:
        return None
