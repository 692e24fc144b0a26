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
from spotguard.store.agents import HELD_BACK
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
TAKEN_BACK = "newer_epoch_taken_back"  # the same
_TOLD_AGAIN = timedelta(hours=1)
_e, _i = agent_events.c, instances.c
_MAY_SERVE = Prepared(sa.select(_i.id).where(_i.id == sa.bindparam("machine"), *may_serve()))
_CLAIMS = Prepared(
    sa.select(_i.id).where(
        _i.agent_id == sa.bindparam("agent"),
        _i.claimed_epoch >= sa.bindparam("epoch"),
        _i.id != sa.bindparam("whose"),
    )
)


def told(
    tx: sa.Connection, now: datetime, caller: sa.Row[Any], epoch: int | None, released: int | None
) -> None:
    """By a heartbeat: what it holds, and the newest that it has let go of; `caller` says what the rows know.

    A newer epoch is written down once an hour for as long as it is said. Not of what is set apart: a clone in
    quarantine never held any, and keeps nobody from one by saying so.
    """
    word = released if epoch is None else epoch
    claimed = caller.claimed_epoch if caller.claimed_boot == caller.boot_id else None
    if claimed is not None and word is not None and word < claimed:
        _take_back(tx, now, caller, word)
    if epoch is None or epoch <= caller.epoch:
        return
    if _MAY_SERVE.first(tx, {"machine": caller.instance_id}) is None:
        return
    newer = sa.or_(_i.claimed_epoch.is_(None), _i.claimed_epoch < epoch)
    tx.execute(
        sa.update(instances)
        .where(_i.id == caller.instance_id, newer)
        .values(claimed_epoch=epoch, claimed_boot=caller.boot_id)
    )
    if _is_told_since(tx, caller, epoch, now - _TOLD_AGAIN):
        return
    message = (
        f"{caller.instance_id} holds epoch {epoch}, and this database knows only of {caller.epoch}: was an old backup "
        "restored? Nobody else is granted an epoch while that instance lives and says so (docs/production.md)"
    )
    _tell(tx, now, caller, NEWER_EPOCH, message, epoch)


def _take_back(tx: sa.Connection, now: datetime, caller: sa.Row[Any], word: int) -> None:
    """No instance goes back in one boot to an older epoch than it held: what it says for longer than a line may have
    held an older heartbeat of its back shows that it never held the newer one.
    """
    claimed = caller.claimed_epoch
    if _is_told_since(tx, caller, claimed, now - HELD_BACK):
        return
    mine = _i.id == caller.instance_id, _i.claimed_epoch == claimed
    changed = tx.execute(sa.update(instances).where(*mine).values(claimed_epoch=None))
    if changed.rowcount == 1:
        message = (
            f"{caller.instance_id} says epoch {word} again: that it holds epoch {claimed} counts no more"
        )
        _tell(tx, now, caller, TAKEN_BACK, message, claimed)


def _is_told_since(tx: sa.Connection, caller: sa.Row[Any], epoch: int, at: datetime) -> bool:
    mine = _e.agent_id == caller.agent_id, _e.at >= at, _e.kind == NEWER_EPOCH
    claim = {"instance_id": caller.instance_id, "epoch": epoch}
    return claim in tx.scalars(sa.select(_e.detail).where(*mine)).all()


def _tell(tx: sa.Connection, now: datetime, caller: sa.Row[Any], kind: str, message: str, epoch: int) -> None:
    whom = ClientId(caller.client_id), AgentId(caller.agent_id)
    detail = {"instance_id": caller.instance_id, "epoch": epoch}
    events.append(tx, now, *whom, kind, message, detail)


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
    """It said so, has not said otherwise since, and these rows have granted it no such epoch."""
    granted = sa.exists().where(
        epoch_grants.c.agent_id == agent_id,
        epoch_grants.c.instance_id == _i.id,
        epoch_grants.c.epoch >= _i.claimed_epoch,
    )
    claims = sa.select(_i.id).where(_i.id == instance_id, _i.claimed_epoch.is_not(None), sa.not_(granted))
    return tx.execute(claims).first() is not None


def bars(tx: sa.Connection, agent_id: AgentId, epoch: int, to_instance: InstanceId) -> bool:
    """Whether another one than `to_instance`, which is not proven dead, says that it holds `epoch` or a newer one."""
    who = _CLAIMS.rows(tx, {"agent": agent_id, "epoch": epoch, "whose": to_instance})
    return any(not is_dead(tx, InstanceId(row.id)) for row in who)
