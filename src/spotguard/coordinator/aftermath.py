"""After the grant a move only goes forward: opened, verified, the old instance ended, its leftovers deleted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from spotguard.coordinator import leftovers, old_instance
from spotguard.coordinator.context import Context, Row
from spotguard.domain.ids import AgentId, InstanceId, SwitchId
from spotguard.domain.instances import GateState
from spotguard.domain.switches import Step, SwitchStatus
from spotguard.planning.cleaning import KEPT, kept_plan
from spotguard.store import events, grants, leftover_rows, moves, owners_volumes, sightings, traffic
from spotguard.store.steps import SERVER, SUPERSEDED, step_times


def advance(ctx: Context, now: datetime, switch: Row) -> bool:
    """One look at a committed move; True when it has got on."""
    changed = ctx.db.write(lambda tx: _open_and_verify(tx, now, switch, ctx.settings.healthy_checks))
    times = ctx.db.read(lambda tx: step_times(tx, switch.id))
    is_open = _old_is_open(ctx, switch, times)
    if is_open:
        changed |= old_instance.end(ctx, now, switch, times)
        times = ctx.db.read(lambda tx: step_times(tx, switch.id)) if changed else times
        is_open = _old_is_open(ctx, switch, times)
    if Step.VERIFIED in times and not is_open:
        changed |= _prune(ctx, now, switch)
    return changed


def _old_is_open(ctx: Context, switch: Row, times: dict[Step, datetime]) -> bool:
    if Step.OLD_ENDED not in times:
        return True
    return ctx.db.read(lambda tx: old_instance.only_said_to_have_ended(tx, switch))


def _open_and_verify(tx: sa.Connection, now: datetime, switch: Row, healthy_checks: int) -> bool:
    """By the new holder's own heartbeats; a later holder's, if that one has taken over meanwhile."""
    times = step_times(tx, switch.id)
    if Step.VERIFIED in times:
        return False
    route = traffic.route_told(tx, switch.agent_id)
    held = grants.holder(tx, switch.agent_id)
    if held is None:
        return False
    serving = sightings.get(tx, held.instance_id)
    if serving is None or serving.last_heartbeat_at is None or serving.last_heartbeat_at <= held.granted_at:
        return False
    if serving.gate != GateState.OPEN:
        return False
    # also by a later epoch of the new holder's own, which another boot of it holds: that has no order of this move
    superseded = held.instance_id != switch.new_instance_id or held.epoch > switch.from_epoch + 1
    detail = {SUPERSEDED: held.epoch} if superseded else {}
    changed = Step.OPENED not in times and moves.record_step(
        tx, now, switch.id, Step.OPENED, serving.last_heartbeat_at, held.instance_id, detail
    )
    if Step.TRAFFIC_MOVED not in times and (superseded or route is None):
        why = detail or {"because": "no route is configured: clients find the workload by themselves"}
        at = times.get(Step.OPENED, serving.last_heartbeat_at)
        changed |= moves.record_step(tx, now, switch.id, Step.TRAFFIC_MOVED, at, SERVER, why)
    elif Step.TRAFFIC_MOVED not in times:
        return _remind(tx, now, switch, route) or changed
    proven = serving.healthy_streak >= healthy_checks and moves.can_serve(tx, held.instance_id)
    if proven and moves.record_step(tx, now, switch.id, Step.VERIFIED, now, SERVER, detail):
        moves.settled(tx, switch.agent_id)
        _tell(tx, now, switch, "switch_verified", f"{held.instance_id} serves and is healthy")
        changed = True
    return changed


def _remind(tx: sa.Connection, now: datetime, switch: Row, route: Mapping[str, Any] | None) -> bool:
    """By its order the new holder's agent knows which move it tells that its clients have followed."""
    if route is None or not traffic.is_agents(tx, switch.client_id, route):
        return False
    new = InstanceId(switch.new_instance_id)
    return grants.order_again(tx, now, AgentId(switch.agent_id), new, forgot=False)


def _prune(ctx: Context, now: datetime, switch: Row) -> bool:
    if not leftovers.of_switch(ctx, now, switch):
        return False
    return ctx.db.write(lambda tx: _complete(tx, now, switch))


def _complete(tx: sa.Connection, now: datetime, switch: Row) -> bool:
    switch_id = SwitchId(switch.id)
    moves.record_step(tx, now, switch_id, Step.PRUNED, now, SERVER)
    for row in leftover_rows.of_owners(tx, switch):
        told = f"volume {row.id}: {owners_volumes.why_left(tx, row)}; {kept_plan(row.id, row.az)}"
        _tell(tx, now, switch, KEPT, told, resource_id=row.id)
    return moves.finish(tx, now, switch_id, SwitchStatus.COMPLETED, "every step is done")


def _tell(tx: sa.Connection, now: datetime, switch: Row, kind: str, message: str, **more: str) -> None:
    events.append(tx, now, switch.client_id, switch.agent_id, kind, message, {"switch_id": switch.id, **more})
