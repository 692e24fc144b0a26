"""`/leftovers`: what nothing needs any more, and what the next clean-up makes of it."""

from __future__ import annotations

from spotguard.api.client.desk import AtDesk, router
from spotguard.planning.cleaning import total_per_month
from spotguard.store import leftover_report
from spotguard.wire.client_controls import LeftoversState, LeftoverState

routes = router()


@routes.get("/leftovers")
async def leftovers(desk: AtDesk) -> LeftoversState:
    found = await desk.read(lambda tx: leftover_report.report(tx, desk.now, desk.client_id))
    return LeftoversState(
        items=[LeftoverState.model_validate(one) for one in found], usd_per_month=total_per_month(found)
    )
