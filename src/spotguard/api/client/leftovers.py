"""`/leftovers`: what nothing needs any more, and what the next clean-up makes of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import Query
from sqlalchemy.engine import Connection

from spotguard.api.client.desk import AtDesk, router
from spotguard.planning.cleaning import total_per_month
from spotguard.store import leftover_report
from spotguard.wire.client import EventState
from spotguard.wire.client_controls import LeftoversState, LeftoverState

routes = router()


@routes.get("/leftovers")
async def leftovers(desk: AtDesk, hours: Annotated[int, Query(ge=1, le=24 * 90)] = 24) -> LeftoversState:
    """What is left over now, and what was ended or deleted within so many hours, as `spotguard cleanup` tells it."""
    since = desk.now - timedelta(hours=hours)

    def work(tx: Connection) -> LeftoversState:
        found = leftover_report.report(tx, desk.now, desk.client_id)
        done = leftover_report.done(tx, since, desk.client_id)
        return LeftoversState(
            items=[LeftoverState.model_validate(one) for one in found],
            usd_per_month=total_per_month(found),
            done=[EventState.model_validate(event) for event in done],
        )

    return await desk.read(work)
