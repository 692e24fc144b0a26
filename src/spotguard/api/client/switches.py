"""`/switches` and `/interruptions`: what was moved, and what AWS took."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from fastapi import Response
from sqlalchemy.engine import Connection

from spotguard.api.client.desk import AskedFor, AtDesk, TheAgent, TheSwitch, router
from spotguard.api.csv_text import csv_response
from spotguard.domain.switches import Step
from spotguard.store import fallbacks, move_deadlines, views_history
from spotguard.store.views_paging import Page
from spotguard.wire.client import DueState, FallbackState, InterruptionState, Listed, StepState, SwitchState

routes = router()

_COLUMNS = (
    "id",
    "logical_agent_id",
    "event_trigger",
    "status",
    "kind",
    "is_recovery",
    "old_instance_id",
    "old_mode",
    "old_pool_id",
    "new_instance_id",
    "new_mode",
    "new_pool_id",
    "on_demand_price",
    "old_spot_price",
    "new_spot_price",
    "savings_impact",
    "initiated_at",
    "ami_created_at",
    "instance_launched_at",
    "instance_ready_at",
    "old_terminated_at",
    "completed_at",
    "gate_closed_at",
    "opened_at",
    "lost_seconds",
    "ended_because",
)


def _with_steps(tx: Connection, page: Page, now: datetime) -> Listed[SwitchState]:
    steps = views_history.steps_of(tx, [row.id for row in page.rows])
    items = [_state(tx, row, steps[row.id], now) for row in page.rows]
    return Listed(items=items, next_cursor=page.next_cursor)


def _state(tx: Connection, row: Any, steps: list[Any], now: datetime) -> SwitchState:
    state = SwitchState.model_validate(row)
    state.steps = [StepState.model_validate(step) for step in steps]
    at = {step.step: step.at for step in steps}
    state.downtime_seconds = _downtime_seconds(at.get(Step.GATE_CLOSED), at.get(Step.OPENED))
    due = move_deadlines.due_of(tx, row)
    state.due = None if due is None else DueState.model_validate(due)
    back = fallbacks.state_of(row, now)
    state.fallback = None if back is None else FallbackState.model_validate(back)
    return state


def _downtime_seconds(closed: datetime | None, opened: datetime | None) -> Decimal | None:
    """Both ends are told by agents: clocks that disagree more than it took have measured nothing."""
    if closed is None or opened is None or opened < closed:
        return None
    return Decimal(str((opened - closed).total_seconds()))


@routes.get("/switches")
async def switches(desk: AtDesk, asked: AskedFor) -> Listed[SwitchState]:
    return await desk.read(
        lambda tx: _with_steps(tx, views_history.switches_page(tx, desk.client_id, asked), desk.now)
    )


@routes.get("/agents/{agentId}/switches")
async def agent_switches(desk: AtDesk, agent_id: TheAgent, asked: AskedFor) -> Listed[SwitchState]:
    return await desk.read(
        lambda tx: _with_steps(tx, views_history.switches_page(tx, desk.client_id, asked, agent_id), desk.now)
    )


@routes.get("/switches.csv", response_class=Response, responses={200: {"content": {"text/csv": {}}}})
async def switches_csv(desk: AtDesk) -> Response:
    rows = await desk.read(lambda tx: views_history.switches_export(tx, desk.client_id))
    columns = (*_COLUMNS, "downtime_seconds")
    return csv_response("switches.csv", columns, (_exported(row) for row in rows))


def _exported(row: Any) -> list[Any]:
    return [*(getattr(row, name) for name in _COLUMNS), _downtime_seconds(row.gate_closed_at, row.opened_at)]


@routes.get("/switches/{switchId}")
async def switch(desk: AtDesk, switch_id: TheSwitch) -> SwitchState:
    def work(tx: Connection) -> SwitchState:
        row = views_history.switch(tx, desk.client_id, switch_id)
        return _state(tx, row, views_history.steps_of(tx, [row.id])[row.id], desk.now)

    return await desk.read(work)


@routes.get("/interruptions")
async def interruptions(desk: AtDesk, asked: AskedFor) -> Listed[InterruptionState]:
    page = await desk.read(lambda tx: views_history.interruptions(tx, desk.client_id, asked))
    return Listed(
        items=[InterruptionState.model_validate(r) for r in page.rows], next_cursor=page.next_cursor
    )
