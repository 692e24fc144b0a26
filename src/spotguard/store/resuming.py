"""The holder comes up with another boot: who held its epoch is over, and it receives the next one (rulings B4, B4b)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.engine import Connection

from spotguard.domain.epochs import Proof
from spotguard.domain.ids import AgentId, ClientId, InstanceId
from spotguard.store import grants, kill, moves, unheard


def resume(
    tx: Connection, now: datetime, client_id: ClientId, agent_id: AgentId, instance_id: InstanceId
) -> None:
    """The holder was stopped and started: its former boot is over for ever, since one instance id runs one boot.

    It receives the next epoch, so that a grant which somebody is preparing on the former one's death fails. Not while
    the kill switch stands at `all` or an instance lives whose launch these rows do not know: they may be an old copy,
    and another one serves.
    """
    held = grants.holder(tx, agent_id)
    if held is None or held.instance_id != instance_id or held.released_at is not None:
        return
    grants.release(tx, now, agent_id, held.epoch, instance_id, now)
    is_stopped = kill.stops_everything(tx, client_id, agent_id)
    if is_stopped or unheard.who_may_serve(tx, agent_id, held) is not None:
        _end_its_move(tx, now, agent_id)
        return  # as everybody that has let go it is given back what it held afterwards: `coordinator.emergencies`
    granted = grants.grant(
        tx,
        now,
        agent_id=agent_id,
        seen_epoch=held.epoch,
        to_instance=instance_id,
        proof=Proof.RELEASED,
        switch_id=None,
        because="the same instance came up with another boot: its former boot is over",
    )
    if not granted:
        _end_its_move(tx, now, agent_id)  # a ticket is out: one of its ends says first what came of it


def _end_its_move(tx: Connection, now: datetime, agent_id: AgentId) -> None:
    """That boot may have taken its workload back unheard: who has its last pass, or was to recover from its death, may
    lack what came after that.
    """
    move = moves.preparing_of(tx, agent_id)
    if move is not None:
        moves.unwind(tx, now, move.id, "its old instance came up with another boot")
