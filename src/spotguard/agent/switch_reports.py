"""Bodies of POST switch-report, as the specification has them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from spotguard.agent.desk import Desk
from spotguard.agent.enrolment import pool_id_of
from spotguard.domain.clock import rfc3339
from spotguard.domain.instances import Mode
from spotguard.domain.money import usd_text
from spotguard.domain.pools import parse_pool_id, region_of
from spotguard.domain.switches import TIMING_NAME, Step
from spotguard.execution.move_state import MoveState, NewInstance
from spotguard.ports.metadata import Identity

_MOST_REMARKS, _LONGEST_REMARK = 20, 1000


def poll_body(state: MoveState) -> dict[str, Any]:
    """An empty report: its answer tells what the others have done."""
    body: dict[str, Any] = {"command_id": state.command_id, "switch_id": state.switch_id}
    if state.trigger is not None:
        body["trigger"] = state.trigger.value
    return body


def timing(steps: Mapping[Step, datetime]) -> dict[str, str]:
    return {TIMING_NAME[step]: rfc3339(at) for step, at in steps.items()}


def report_body(state: MoveState, steps: Mapping[Step, datetime], desk: Desk) -> dict[str, Any]:
    """A report of these steps, with both ends as far as this agent knows them."""
    body = poll_body(state) | {"old_instance": end_of(desk.me), "timing": timing(steps)}
    if state.launched is not None:
        body["new_instance"] = _new_end(state.launched)
    if state.remarks:
        body["remarks"] = [remark[:_LONGEST_REMARK] for remark in state.remarks[:_MOST_REMARKS]]
    if desk.primacy.destroyed:
        body["destroyed"] = list(desk.primacy.destroyed)
    prices = _pricing(state, desk)
    return body | ({"pricing": prices} if prices else {})


def end_of(identity: Identity) -> dict[str, Any]:
    return {
        "instance_id": identity.instance_id,
        "instance_type": identity.instance_type,
        "region": region_of(identity.az),
        "az": identity.az,
        "mode": identity.mode.value,
        "pool_id": pool_id_of(identity),
        "ami_id": identity.image_id,
    }


def _new_end(launched: NewInstance) -> dict[str, Any]:
    pool = parse_pool_id(launched.pool_id)
    return {
        "instance_id": launched.instance_id,
        "instance_type": pool.instance_type,
        "region": pool.region,
        "az": pool.az,
        "mode": launched.mode.value,
        "pool_id": pool.id if launched.mode is Mode.SPOT else None,
        "ami_id": launched.image_id,
    }


def _pricing(state: MoveState, desk: Desk) -> dict[str, str]:
    """USD per hour as this agent saw them last; what it does not know it leaves out."""
    spot: dict[str, Decimal] = {pool.id: price for pool, price in desk.prices.items()}
    old = spot.get(pool_id_of(desk.me) or "")
    new = spot.get(state.launched.pool_id) if state.launched and state.launched.mode is Mode.SPOT else None
    known = {"on_demand": desk.ondemand, "old_spot": old, "new_spot": new}
    return {name: usd_text(price) for name, price in known.items() if price is not None}
