"""`/decisions`: what the engine decided, and a person's answer to what waits for one."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path
from sqlalchemy.engine import Connection

from spotguard.api.client.desk import AskedFor, AtDesk, TheAgent, router
from spotguard.domain.decisions import Verdict
from spotguard.planning.approvals import stands_until
from spotguard.store import approvals, views_history
from spotguard.wire.client import DecisionState, Listed
from spotguard.wire.client_controls import ForcedSwitch, Rejection

routes = router()
TheDecision = Annotated[str, Path(alias="decisionId", max_length=36)]


def _state(row: Any) -> DecisionState:
    same = {name: getattr(row, name) for name in DecisionState.model_fields if name != "expires_at"}
    return DecisionState(**same, expires_at=stands_until(Verdict(row.verdict), row.decided_at))


@routes.get("/agents/{agentId}/decisions")
async def decisions(desk: AtDesk, agent_id: TheAgent, asked: AskedFor) -> Listed[DecisionState]:
    page = await desk.read(lambda tx: views_history.decisions_of(tx, desk.client_id, agent_id, asked))
    return Listed(items=[_state(row) for row in page.rows], next_cursor=page.next_cursor)


@routes.get("/decisions/{decisionId}")
async def decision(desk: AtDesk, decision_id: TheDecision) -> DecisionState:
    return _state(await desk.read(lambda tx: approvals.get(tx, desk.client_id, decision_id)))


@routes.post("/decisions/{decisionId}/approve", status_code=202)
async def approve(desk: AtDesk, decision_id: TheDecision) -> ForcedSwitch:
    """Begin the proposed move, if it is still what the engine proposes and every guard-rail agrees now."""
    shelf = desk.api.shelf
    approved = await desk.write(
        lambda tx: approvals.approve(tx, desk.now, desk.client_id, decision_id, shelf)
    )
    desk.wake(approved.instance_id)
    move = approved.move
    return ForcedSwitch(command_id=move.command_id, switch_id=move.switch_id, kind=move.kind.value)


@routes.post("/decisions/{decisionId}/reject")
async def reject(desk: AtDesk, decision_id: TheDecision, said: Rejection) -> DecisionState:
    """The same is not proposed again for a day, unless the workload has moved."""

    def work(tx: Connection) -> DecisionState:
        approvals.reject(tx, desk.now, desk.client_id, decision_id, said.reason)
        return _state(approvals.get(tx, desk.client_id, decision_id))

    return await desk.write(work)
