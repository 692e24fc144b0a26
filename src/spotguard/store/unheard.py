"""Who may serve, or may have served last, although nobody has heard of it: nobody follows the holder meanwhile."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from spotguard.domain.ids import AgentId, InstanceId
from spotguard.domain.instances import GateState
from spotguard.planning.emergency import START_ANEW
from spotguard.store import deaths, our_own, tickets
from spotguard.store.prepared import Prepared
from spotguard.store.set_apart import may_serve
from spotguard.store.tables import epoch_grants, instances

Row = sa.Row[Any]
_i = instances.c
_NEVER_GRANTED = Prepared(
    sa.select(instances)
    .where(
        _i.agent_id == sa.bindparam("agent"),
        _i.is_active,
        _i.intention_token.is_not(None),
        *may_serve(),
        sa.not_(sa.exists().where(epoch_grants.c.instance_id == _i.id)),
    )
    .order_by(_i.launched_at, _i.id)
)
_HOLDER = Prepared(sa.select(_i.gate, _i.last_heartbeat_at).where(_i.id == sa.bindparam("machine")))


def why_nobody_follows(tx: sa.Connection, agent_id: AgentId | str, held: Row) -> str | None:
    """Of a dead holder whose end is no word of its own: a sentence for people, when nobody may follow it."""
    return who_served_last(tx, agent_id, held) or who_may_serve(tx, agent_id, held)


def who_served_last(tx: sa.Connection, agent_id: AgentId | str, held: Row) -> str | None:
    """A sentence for people, when a ticket was out and both of its ends are down without a word of it: the standby may
    have served, or would serve on if its memory came back.
    """
    out = tickets.out_of(tx, agent_id)
    if out is None or out.epoch != held.epoch + 1:
        return None
    could = f"{held.instance_id} could hand over to {out.to_instance_id} by itself"
    if deaths.is_dead(tx, out.to_instance_id):
        return (
            f"{could}, both have ended, and nobody knows which served last: attach the state volume of the one that "
            f"did to a new instance, {START_ANEW}"
        )
    if deaths.is_stopped(tx, out.to_instance_id):
        return (
            f"{could}, and that one is stopped: its start may give its processes back their memory, and it would "
            "serve. Start it; or terminate it, and you are told what to do with the volumes of both"
        )
    return None


def who_does_not_say(
    tx: sa.Connection, agent_id: AgentId | str, held: Row, to_instance: InstanceId
) -> str | None:
    """A sentence for people, when a ticket keeps `to_instance` from following a dead holder; None: none does."""
    out = tickets.out_of(tx, agent_id)
    if out is None or not tickets.bars(tx, AgentId(agent_id), held.epoch + 1, to_instance):
        return None
    return (
        f"{held.instance_id} could hand over to {out.to_instance_id} by itself, and that one does not say that it "
        "never will: mend its network; or terminate it, and you are told what to do with the volumes of both"
    )


def who_may_serve(tx: sa.Connection, agent_id: AgentId | str, held: Row) -> str | None:
    """A sentence for people, of the agent's instance that may serve beside `held`, its grant; None: there is none.

    It was launched after the copy was made that this database was taken back to: these rows know neither its launch nor
    its agent's token. One that the holder was heard to serve after is somebody's copy of a machine.
    """
    machines = _NEVER_GRANTED.rows(tx, {"agent": agent_id})
    if not machines:
        return None
    since = _heard_to_serve(tx, held)
    for one in machines:
        is_later = one.launched_at is None or one.launched_at > since
        if is_later and not our_own.is_launch_known(tx, one):
            return (
                f"{one.id} carries a token of ours that this database does not know, and nobody else was heard to "
                "serve since its launch: was an older backup restored? It may be the one that serves, so nobody "
                "takes over while it lives (docs/production.md)"
            )
    return None


def _heard_to_serve(tx: sa.Connection, held: Row) -> datetime:
    """The last moment for which these rows know that the holder was the one that served."""
    granted_at: datetime = held.granted_at
    holder = _HOLDER.first(tx, {"machine": held.instance_id})
    if holder is None or holder.gate != GateState.OPEN or holder.last_heartbeat_at is None:
        return granted_at
    heard_at: datetime = holder.last_heartbeat_at
    return max(granted_at, heard_at)
