"""`/probes`: launches that are made only to look, and what a tenant pays for them."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from spotguard.api.client.desk import AskedFor, AtDesk, Desk, router
from spotguard.store import probes
from spotguard.store.views_paging import Asked
from spotguard.wire.client_probes import ProbeBudget, Probes, ProbeState

routes = router()


def _told(tx: Connection, desk: Desk, asked: Asked) -> Probes:
    page = probes.newest(tx, desk.client_id, asked)
    return Probes(
        usd_per_day=probes.budget_of(tx, desk.client_id),
        spent_usd=probes.spent(tx, desk.client_id, probes.today_of(desk.now)),
        items=[ProbeState.model_validate(row) for row in page.rows],
        next_cursor=page.next_cursor,
    )


@routes.get("/probes")
async def capacity_probes(desk: AtDesk, asked: AskedFor) -> Probes:
    """The budget, what of it is spent today, and the newest probes."""
    return await desk.read(lambda tx: _told(tx, desk, asked))


@routes.put("/probes")
async def set_probe_budget(desk: AtDesk, wanted: ProbeBudget) -> Probes:
    """What a day's probes may cost from now on; what is under way is ended as ever."""

    def work(tx: Connection) -> Probes:
        probes.set_budget(tx, desk.now, desk.client_id, wanted.usd_per_day)
        return _told(tx, desk, Asked())

    told = await desk.write(work)
    desk.wake()
    return told
