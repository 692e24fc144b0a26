"""`/agents/{id}/drill` and `/drills`: rehearsals on purpose, and what they have proved."""

from __future__ import annotations

from fastapi import Response
from sqlalchemy.engine import Connection

from spotguard.api.client.desk import AskedFor, AtDesk, Desk, TheAgent, router
from spotguard.api.client.instances import preview_of
from spotguard.domain.commands import CreatedBy
from spotguard.domain.ids import AgentId
from spotguard.planning.drills import BOOTS_WITHIN, span
from spotguard.store import agents, drill_orders, drills, judges, restore_orders, views_history
from spotguard.wire.client import Listed
from spotguard.wire.client_drills import DrillAnswer, DrillState, DrillWish, RestorePreview

routes = router()


@routes.post("/agents/{agentId}/drill", status_code=202)
async def drill(desk: AtDesk, agent_id: TheAgent, wish: DrillWish, response: Response) -> DrillAnswer:
    """A real failover on purpose, or a boot of the newest restore point in quarantine. 200 for a dry run."""
    order = {"failover": _failover, "restore": _restore}[wish.kind]
    answer = await desk.write(lambda tx: order(tx, desk, agent_id, wish))
    if wish.dry_run:
        response.status_code = 200
        return answer
    desk.wake(await desk.read(lambda tx: agents.serving_instance(tx, agent_id)))
    return answer


def _failover(tx: Connection, desk: Desk, agent_id: AgentId, wish: DrillWish) -> DrillAnswer:
    agents.of_client(tx, desk.client_id, agent_id)
    whom = (tx, desk.now, desk.client_id, agent_id, CreatedBy.USER)
    hazard = judges.sitting(tx, desk.now, desk.api.shelf).present.hazard
    if wish.dry_run:
        order = drill_orders.preview_failover(*whom, hazard)
        return DrillAnswer(dry_run=True, move=preview_of(desk.now, order))
    opened = drill_orders.open_failover(*whom, hazard)
    return DrillAnswer(dry_run=False, drill=DrillState.model_validate(drills.get(tx, opened.drill_id)))


def _restore(tx: Connection, desk: Desk, agent_id: AgentId, wish: DrillWish) -> DrillAnswer:
    agents.of_client(tx, desk.client_id, agent_id)
    if not wish.dry_run:
        drill_id = restore_orders.order_restore(tx, desk.now, desk.client_id, agent_id, CreatedBy.USER)
        return DrillAnswer(dry_run=False, drill=DrillState.model_validate(drills.get(tx, drill_id)))
    trial = tx.begin_nested()
    try:
        plan = restore_orders.plan_restore(tx, desk.now, desk.client_id, agent_id)
    finally:
        trial.rollback()
    return DrillAnswer(
        dry_run=True,
        restore=RestorePreview(
            image_id=plan.point.image_id,
            image_made_at=plan.point.made_at,
            state_age_seconds=span(plan.point.made_at, desk.now),
            mode=plan.place.mode.value,
            pool=plan.place.pool.id,
            usd_per_hour=plan.place.usd_per_hour,
            quarantine_group=plan.quarantine_group,
            most_seconds=int(BOOTS_WITHIN.total_seconds()),
        ),
    )


@routes.get("/agents/{agentId}/drills")
async def agent_drills(desk: AtDesk, agent_id: TheAgent, asked: AskedFor) -> Listed[DrillState]:
    """Newest first."""
    page = await desk.read(lambda tx: views_history.drills_of(tx, desk.client_id, agent_id, asked))
    return Listed(items=[DrillState.model_validate(r) for r in page.rows], next_cursor=page.next_cursor)
