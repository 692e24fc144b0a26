"""Which places the spend caps have room for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from spotguard.domain.errors import Refused
from spotguard.domain.ids import AgentId, ClientId, InstanceId
from spotguard.planning.standby import Place
from spotguard.store import intentions


def within_caps(
    tx: sa.Connection,
    now: datetime,
    client_id: ClientId,
    agent_id: AgentId,
    places: Sequence[Place],
    *,
    after: InstanceId | None = None,
) -> tuple[Place, ...]:
    """The rungs that the caps have room for, once the instance `after` has ended; `Refused` as the first of them was
    when there is none.

    One without a known price is taken only where no price is known at all.
    """
    fit: list[Place] = []
    refusals: list[Refused] = []
    for place in [place for place in places if place.usd_per_hour is not None] or places:
        try:
            intentions.require_caps(tx, now, client_id, agent_id, place.usd_per_hour, after=after)
            fit.append(place)
        except Refused as refusal:
            refusals.append(refusal)
    if not fit and refusals:
        raise refusals[0]
    return tuple(fit)
