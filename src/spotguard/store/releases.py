"""The holder's own word that it has let go of its epoch, by the report of its move or by its heartbeat (ruling B4)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.engine import Connection, Row

from spotguard.domain.ids import AgentId, ClientId, InstanceId, SwitchId
from spotguard.domain.switches import Step, SwitchStatus
from spotguard.store import events, grants, moves
from spotguard.store.steps import record_step


def let_go(tx: Connection, now: datetime, move: Row[Any], by: InstanceId, at: datetime) -> None:
    """As the report of a move tells it."""
    held = grants.holder(tx, AgentId(move.agent_id))
    epoch = move.from_epoch if move.from_epoch is not None else (held.epoch if held else None)
    if epoch is None or not grants.release(tx, now, AgentId(move.agent_id), epoch, by, at):
        return
    if move.status in {SwitchStatus.UNWOUND, SwitchStatus.FAILED}:
        # It let go while the server was out of reach and gave the move up: true all the same, and never taken back.
        why = "before it learned that its move was given up"
        _tell_late(tx, now, ClientId(move.client_id), AgentId(move.agent_id), by, epoch, why)


def heard(
    tx: Connection,
    now: datetime,
    client_id: ClientId,
    agent_id: AgentId,
    instance_id: InstanceId,
    released: int,
) -> bool:
    """A heartbeat says that its instance has let go of every epoch up to `released`; True when that is new.

    Whatever has become of the report of the move: who has let go never serves that epoch again.
    """
    held = grants.holder(tx, agent_id)
    if held is None or held.instance_id != instance_id or held.epoch > released:
        return False
    if not grants.release(tx, now, agent_id, held.epoch, instance_id, now):
        return False
    move = moves.preparing_of(tx, agent_id)
    if move is not None and move.old_instance_id == instance_id:
        record_step(tx, now, SwitchId(move.id), Step.RELEASED, now, instance_id)
    else:
        _tell_late(tx, now, client_id, agent_id, instance_id, held.epoch, "and no move is under way")
    return True


def _tell_late(
    tx: Connection,
    now: datetime,
    client_id: ClientId,
    agent_id: AgentId,
    by: InstanceId,
    epoch: int,
    why: str,
) -> None:
    message = f"{by} had let go of epoch {epoch} {why}: nobody serves"
    detail = {"epoch": epoch, "instance_id": by}
    events.append(tx, now, client_id, agent_id, "released_after_unwind", message, detail)
