"""When a move is granted: the former holder's end is proven, and the new one lacks nothing and may serve."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from spotguard.domain.epochs import Proof
from spotguard.domain.ids import SwitchId
from spotguard.domain.switches import MoveKind, Step, WhenLate
from spotguard.store import closed_gates, deaths, fleet, grants, move_deadlines, unheard, unwinding
from spotguard.store.deaths import can_serve
from spotguard.store.move_rows import get
from spotguard.store.steps import step_times

Row = sa.Row[Any]

COMPLETE_AT = {
    MoveKind.SYNCED: Step.DELTA_SENT,
    MoveKind.VOLUME: Step.VOLUMES_MOVED,
    MoveKind.IMAGE: Step.IMAGED,
    MoveKind.SNAPSHOT: Step.SNAPSHOTTED,
}
"""From this step on the new instance has, or is launched with, everything that was ever acknowledged."""


def grant_if_due(tx: sa.Connection, now: datetime, switch_id: SwitchId) -> bool:
    """Grant the next epoch to the new instance if the old one's is proven over and the new one lacks nothing."""
    switch = get(tx, switch_id)
    if not unwinding.goes_on(tx, switch_id) or switch.new_instance_id is None:
        return False
    steps = step_times(tx, switch_id)
    held = grants.holder(tx, switch.agent_id)
    if held is None or held.epoch != switch.from_epoch:  # what came after it was written under another one
        return False
    if Step.ENROLLED not in steps or not _state_is_complete(switch, steps):
        return False
    if not can_serve(tx, switch.new_instance_id) or not fleet.hears(tx, switch.new_instance_id):
        return False
    proof = _proof(tx, now, held, switch, steps)
    lacks = proof is Proof.DEAD and not has_everything(tx, switch)
    if lacks or _is_in_doubt(tx, held, switch, proof):
        return False
    return proof is not None and grants.grant(
        tx,
        now,
        agent_id=switch.agent_id,
        seen_epoch=held.epoch,
        to_instance=switch.new_instance_id,
        proof=proof,
        switch_id=switch_id,
        because=f"{switch.event_trigger} switch, {switch.kind}; the former holder: {proof}",
    )


def _is_in_doubt(tx: sa.Connection, held: Row, switch: Row, proof: Proof | None) -> bool:
    """Somebody may have served after the holder, or may still serve, and nobody has heard of it: a person decides."""
    if switch.is_recovery:
        return unheard.why_nobody_follows(tx, switch.agent_id, held) is not None
    # who has let go in words has not used its ticket
    return proof is Proof.DEAD and unheard.who_served_last(tx, switch.agent_id, held) is not None


def _state_is_complete(switch: Row, steps: Mapping[Step, datetime]) -> bool:
    """Planned: the last delta, the volumes or the image have come. A recovery chose its source when it was opened."""
    kind = MoveKind(switch.kind)
    if switch.is_recovery and kind in (MoveKind.SYNCED, MoveKind.IMAGE):
        return True
    return COMPLETE_AT[kind] in steps


def has_everything(tx: sa.Connection, switch: Row) -> bool:
    """Of a move whose holder died before it let go: nothing was written after what the new one has."""
    if switch.is_recovery or switch.kind == MoveKind.VOLUME:
        return True
    return closed_gates.until_its_end(tx, switch)


def _proof(
    tx: sa.Connection, now: datetime, held: Row, switch: Row, steps: Mapping[Step, datetime]
) -> Proof | None:
    if held.released_at is not None:
        return Proof.RELEASED
    if deaths.is_dead(tx, held.instance_id):
        return Proof.DEAD
    if switch.kind == MoveKind.VOLUME and Step.VOLUMES_MOVED in steps:
        due = move_deadlines.due_of(
            tx, switch
        )  # the volume is gone, and its holder has not said that it let go
        if due is not None and due.late is WhenLate.FORWARD and now > due.at:
            return Proof.VOLUME_MOVED
    return None
