"""Who may serve although nobody hears it: launched after the copy was made that this database was taken back to.

These rows know neither its launch nor its agent's token. While it lives nobody follows a holder that has ended or let
go, unless that one was heard to serve since the launch: what else carries our tags is somebody's copy of a machine.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from spotguard.domain.ids import AgentId
from spotguard.domain.instances import GateState
from spotguard.store import leftover_rows
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


def who_may_serve(tx: sa.Connection, agent_id: AgentId | str, held: Row) -> str | None:
    """A sentence for people, of the agent's instance that may serve beside `held`, its grant; None: there is none."""
    machines = _NEVER_GRANTED.rows(tx, {"agent": agent_id})
    if not machines:
        return None
    since = _heard_to_serve(tx, held)
    for one in machines:
        is_later = one.launched_at is None or one.launched_at > since
        if is_later and not leftover_rows.was_launched_by_us(tx, one):
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
