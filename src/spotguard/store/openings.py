"""From when on a holder served: with its grant, or before it, if it opened by a ticket and was heard of later."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from spotguard.planning.metering import Heard, since_hour_of
from spotguard.store.prepared import Prepared
from spotguard.store.settled import LOOK_BACK, not_after
from spotguard.store.tables import epoch_grants, instances

_g, _i = epoch_grants.c, instances.c
SERVED_SINCE = sa.func.coalesce(_g.served_since, _g.granted_at, type_=_g.granted_at.type)
HEARD_AT = sa.func.coalesce(_g.served_heard_at, _g.granted_at, type_=_g.granted_at.type)


def told(tx: sa.Connection, now: datetime, ticket: sa.Row[Any], at: datetime) -> None:
    """Its heir says when it opened. What was settled of its run since is settled anew, also if it has ended."""
    before_its_grant = (
        _g.agent_id == ticket.agent_id,
        _g.epoch == ticket.epoch,
        _g.instance_id == ticket.to_instance_id,
        _g.granted_at > at,
        _g.served_since.is_(None),
    )
    new = sa.update(epoch_grants).where(*before_its_grant).values(served_since=at, served_heard_at=now)
    if tx.execute(new).rowcount == 1:
        heir = sa.update(instances).where(_i.id == ticket.to_instance_id)
        tx.execute(heir.values(metered_until=not_after(_i.metered_until, at)))


def told_so_far(tx: sa.Connection) -> int:
    """How many holders have told that they served before their grant."""
    number: int = _TOLD_SO_FAR.rows(tx, {})[0].number
    return number


_TOLD_SO_FAR = Prepared(sa.select(sa.func.count(_g.served_since).label("number")))


def cut_before(cut: datetime | None, settled: datetime, told: Iterable[Heard]) -> datetime | None:
    """The cut, or the full hour before the earliest of what was heard of after, or shortly before, the settlement."""
    if cut is None:
        return None
    new = [fact.since for fact in told if fact.heard_at > settled - LOOK_BACK]
    return min([cut, *(since_hour_of(since) for since in new)])
