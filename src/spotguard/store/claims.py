"""Epochs that instances say they hold and that these rows never granted: the database was taken back to an older copy.

While one lives that says so, nobody else is granted an epoch of its agent: it serves, and would not let go for an older
epoch than its own. Nor is it ended for the role that these rows give it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from spotguard.domain.ids import AgentId, ClientId, InstanceId
from spotguard.store import events
from spotguard.store.deaths import is_dead
from spotguard.store.prepared import Prepared
from spotguard.store.set_apart import may_serve
from spotguard.store.tables import agent_events, epoch_grants, instances

NEWER_EPOCH = "newer_epoch_told"  # kind of the event
UNKNOWN_HAND_OVER = "unknown_hand_over_told"  # the same
_IT_SERVES = (
    "it holds an epoch that this database has not granted it: it serves, and a person decides "
    "(docs/production.md)"
)
_TOLD_AGAIN = timedelta(hours=1)
_e = agent_events.c
_MAY_SERVE = Prepared(
    sa.select(instances.c.id).where(instances.c.id == sa.bindparam("machine"), *may_serve())
)
_OF_AGENT = Prepared(
    sa.select(_e.at, _e.detail).where(_e.agent_id == sa.bindparam("agent"), _e.kind == NEWER_EPOCH)
)


def told(tx: sa.Connection, now: datetime, caller: sa.Row[Any], epoch: int | None) -> None:
    """By a heartbeat; `caller` says which epoch the rows know. Written down once an hour for as long as it is said.

    Not of what is set apart: a clone in quarantine never held any, and keeps nobody from one by saying so.
    """
    if epoch is None or epoch <= caller.epoch:
        return
    if _MAY_SERVE.first(tx, {"machine": caller.instance_id}) is None:
        return
    claim = {"instance_id": caller.instance_id, "epoch": epoch}
    known = _OF_AGENT.rows(tx, {"agent": caller.agent_id})
    if any(row.detail == claim and row.at > now - _TOLD_AGAIN for row in known):
        return
    message = (
        f"{caller.instance_id} holds epoch {epoch}, and this database knows only of {caller.epoch}: was an old backup "
        "restored? Nobody else is granted an epoch while that instance lives (docs/production.md)"
    )
    events.append(tx, now, ClientId(caller.client_id), AgentId(caller.agent_id), NEWER_EPOCH, message, claim)


def unknown_hand_over(tx: sa.Connection, now: datetime, caller: sa.Row[Any]) -> None:
    """Its whole heartbeat is refused: heard as one that has let go it would make room for another than its heir, who
    serves. While it says so its page calls it silent; this says why.
    """
    message = (
        f"{caller.instance_id} tells of a hand-over by a ticket that this database does not know: was an old backup "
        "restored? Its heartbeats are refused, so that nobody takes the place of whom it handed over to "
        "(docs/production.md)"
    )
    whom = ClientId(caller.client_id), AgentId(caller.agent_id)
    events.append_hourly(tx, now, *whom, UNKNOWN_HAND_OVER, message)


def why_kept(tx: sa.Connection, agent_id: AgentId | str, instance_id: str) -> str | None:
    """Why it is not ended: it said that it holds an epoch that these rows never granted it, and serves, whatever its
    role is here. None: it did not.
    """
    return _IT_SERVES if has_served_unknown(tx, agent_id, instance_id) else None


def has_served_unknown(tx: sa.Connection, agent_id: AgentId | str, instance_id: str) -> bool:
    """It said so once, and these rows have granted it no such epoch since."""
    told_ = [row.detail for row in _OF_AGENT.rows(tx, {"agent": agent_id})]
    epochs = [claim["epoch"] for claim in told_ if claim["instance_id"] == instance_id]
    if not epochs:
        return False
    g = epoch_grants.c
    mine = g.agent_id == agent_id, g.instance_id == instance_id, g.epoch >= max(epochs)
    return tx.execute(sa.select(g.epoch).where(*mine).limit(1)).first() is None


def bars(tx: sa.Connection, agent_id: AgentId, epoch: int, to_instance: InstanceId) -> bool:
    """Whether another one than `to_instance`, which is not proven dead, said that it holds `epoch` or a newer one."""
    claims = [row.detail for row in _OF_AGENT.rows(tx, {"agent": agent_id})]
    return any(
        claim["epoch"] >= epoch
        and claim["instance_id"] != to_instance
        and not is_dead(tx, InstanceId(claim["instance_id"]))
        for claim in claims
    )
