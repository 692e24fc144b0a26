"""What a move will take and cost, before it starts: its plan, from the rows and from former moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from spotguard.domain.clock import rfc3339
from spotguard.domain.ids import ClientId
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.domain.switches import MoveKind, Step, rules_of
from spotguard.planning.move_warnings import Change
from spotguard.planning.switching import Measured, MovePlan
from spotguard.store.prepared import Prepared
from spotguard.store.steps import IS_GRANTED
from spotguard.store.tables import switch_steps, switches

FEWEST_MEASURED = 3  # of fewer a median says little
_NEWEST = 60
_WAY = (Step.LAUNCHED, Step.GATE_CLOSED, Step.OPENED)
_newest = (
    sa.select(switches.c.id, switches.c.kind, switches.c.replica_id, switches.c.plan)
    .where(
        switches.c.client_id == sa.bindparam("client"),
        sa.not_(switches.c.is_recovery),
        IS_GRANTED,
    )
    .order_by(switches.c.created_at.desc(), switches.c.id)
    .limit(_NEWEST)
    .subquery()
)
_NEWEST_WAYS = Prepared(
    sa.select(_newest, switch_steps.c.step, switch_steps.c.at)
    .join(switch_steps, switch_steps.c.switch_id == _newest.c.id)
    .where(switch_steps.c.step.in_([step.value for step in _WAY]))
)


def measured(tx: sa.Connection, client_id: ClientId) -> dict[MoveKind, Measured]:
    """What this client's newest planned moves took, by kind, where there are enough."""
    rows = _NEWEST_WAYS.rows(tx, {"client": client_id})
    ways: dict[tuple[str, str, bool], dict[Step, datetime]] = {}
    for row in rows:
        launched = row.replica_id is None and row.plan.get("goes_back_to") is None
        ways.setdefault((row.id, row.kind, launched), {})[Step(row.step)] = row.at
    return _medians(ways)


def _medians(ways: Mapping[tuple[str, str, bool], Mapping[Step, datetime]]) -> dict[MoveKind, Measured]:
    downtimes: dict[MoveKind, list[timedelta]] = {}
    serving: dict[MoveKind, list[timedelta]] = {}
    for (_, kind, launched), way in ways.items():
        if Step.GATE_CLOSED in way and Step.OPENED in way and way[Step.OPENED] > way[Step.GATE_CLOSED]:
            downtimes.setdefault(MoveKind(kind), []).append(way[Step.OPENED] - way[Step.GATE_CLOSED])
            if launched and Step.LAUNCHED in way:
                serving.setdefault(MoveKind(kind), []).append(way[Step.OPENED] - way[Step.LAUNCHED])
    return {
        kind: Measured(len(spans), _median(spans), _median(serving[kind]) if kind in serving else None)
        for kind, spans in downtimes.items()
        if len(spans) >= FEWEST_MEASURED
    }


def _median(spans: list[timedelta]) -> Decimal:
    """The lower of the middle two, in minutes."""
    middle = sorted(spans)[(len(spans) - 1) // 2]
    return Decimal(str(middle.total_seconds())) / 60


def change_of(agent: Any, plan: MovePlan, target: Pool, mode: Mode, **more: Any) -> Change:
    """`more`: the prices, and the target's quarantine."""
    return Change(
        old=Pool(agent.instance_type, agent.az),
        old_mode=Mode(agent.current_mode or Mode.ONDEMAND),
        new=target,
        new_mode=mode,
        kind=plan.kind,
        state_gib=plan.state_gib,
        auto_terminate=agent.auto_terminate_enabled,
        **more,
    )


def as_json(plan: MovePlan, *, is_recovery: bool, close_by: datetime | None) -> dict[str, Any]:
    """As the row keeps it and people see it. With a termination notice the steps before the grant have its time."""
    return {
        "kind_because": plan.because,
        "downtime_minutes": str(plan.downtime_minutes),
        "downtime_from": plan.downtime_from,
        "overlap_minutes": str(plan.overlap_minutes),
        "overlap_from": plan.overlap_from,
        "overlap_usd": None if plan.overlap_usd is None else str(plan.overlap_usd),
        "state_gib": plan.state_gib,
        "traffic": None if plan.traffic is None else {**asdict(plan.traffic)},
        "close_by": None if close_by is None else rfc3339(close_by),
        "steps": [
            {
                "step": rule.step.value,
                "within_seconds": rule.within_seconds(plan.state_gib),
                "when_late": rule.late.value,
            }
            for rule in rules_of(plan.kind, is_recovery=is_recovery)
        ],
    }
