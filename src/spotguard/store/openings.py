"""From when on a holder served: with its grant, or before it, if it opened by a ticket and was heard of later."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa

from spotguard.domain.switches import Step
from spotguard.planning.metering import Heard, since_hour_of
from spotguard.store.settled import LOOK_BACK
from spotguard.store.tables import epoch_grants, switch_steps

_g, _s = epoch_grants.c, switch_steps.c
GRANTS = epoch_grants.outerjoin(
    switch_steps,
    sa.and_(
        _s.switch_id == _g.switch_id,
        _s.step == Step.OPENED.value,
        _s.actor == _g.instance_id,
        _s.at < _g.granted_at,
    ),
)
"""Every grant, with the opening that came before it, if one did."""
SERVED_SINCE = sa.func.coalesce(_s.at, _g.granted_at, type_=_g.granted_at.type)
HEARD_AT = sa.func.coalesce(_s.recorded_at, _g.granted_at, type_=_g.granted_at.type)


def cut_before(cut: datetime | None, settled: datetime, told: Iterable[Heard]) -> datetime | None:
    """The cut, or the full hour before the earliest of what was heard of after, or shortly before, the settlement."""
    if cut is None:
        return None
    new = [fact.since for fact in told if fact.heard_at > settled - LOOK_BACK]
    return min([cut, *(since_hour_of(since) for since in new)])
