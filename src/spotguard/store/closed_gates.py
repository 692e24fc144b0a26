"""Whether a holder that has ended had its gate closed until then: only so does who has its last pass lack nothing.

A release is for ever. Before it a holder takes its workload back as soon as it hears that its move is given up, and
by itself when the time of the steps after the closing is over (`execution.old_half`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from spotguard.domain.instances import GateState
from spotguard.domain.switches import MoveKind, Step, SwitchStatus
from spotguard.planning.deadlines import closed_at_most
from spotguard.store.prepared import Prepared
from spotguard.store.steps import heard_times, step_times
from spotguard.store.tables import instances

Row = sa.Row[Any]
_HOLDER = Prepared(
    sa.select(
        instances.c.ended_at, instances.c.terminated_at, instances.c.gate, instances.c.last_heartbeat_at
    ).where(instances.c.id == sa.bindparam("machine"))
)


def until_its_end(tx: sa.Connection, switch: Row) -> bool:
    """Of the old instance of a planned move that it has not released: surely closed from its closing to its end."""
    holder = _HOLDER.first(tx, {"machine": switch.old_instance_id})
    told, heard = step_times(tx, switch.id), heard_times(tx, switch.id)
    ended_at = None if holder is None else holder.ended_at or holder.terminated_at
    if holder is None or ended_at is None or Step.GATE_CLOSED not in told:
        return False
    heard_at = heard[Step.GATE_CLOSED]
    if was_given_up(switch, ended_at) or _said_open_since(holder, heard_at):
        return False
    if switch.plan.get("close_by") is not None:
        return True  # with a notice it does not take the workload back by itself
    return bool(ended_at <= min(told[Step.GATE_CLOSED], heard_at) + closed_at_most(MoveKind(switch.kind)))


def was_reopened(tx: sa.Connection, switch: Row) -> bool:
    """Its move was given up while it lived: it served on."""
    holder = _HOLDER.first(tx, {"machine": switch.old_instance_id})
    ended_at = None if holder is None else holder.ended_at or holder.terminated_at
    return ended_at is not None and was_given_up(switch, ended_at)


def was_given_up(switch: Row, ended_at: datetime) -> bool:
    over = switch.status in (SwitchStatus.UNWOUND, SwitchStatus.FAILED)
    return over and switch.completed_at is not None and bool(switch.completed_at < ended_at)


def _said_open_since(holder: Row, heard_at: datetime) -> bool:
    spoke = holder.last_heartbeat_at is not None and holder.last_heartbeat_at > heard_at
    return bool(spoke and holder.gate == GateState.OPEN.value)
