"""Handover tickets as rows: what is out bars every other grant of its epoch (ruling B4a)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from spotguard.domain.ids import AgentId, InstanceId
from spotguard.domain.tickets import TICKET_LIFE, Ticket, TicketStatus
from spotguard.store import events
from spotguard.store.database import must_last
from spotguard.store.deaths import is_dead
from spotguard.store.prepared import Prepared
from spotguard.store.secrets import new_id
from spotguard.store.tables import agent_events, handover_tickets, instances

Row = sa.Row[Any]
_t = handover_tickets.c
ANSWERS_WITHIN = timedelta(seconds=60)  # two heartbeats; who destroys a ticket says so at once
_HEARD_AT = Prepared(
    sa.select(instances.c.last_heartbeat_at, instances.c.heard_since).where(
        instances.c.id == sa.bindparam("machine")
    )
)
USED_UNHEARD = "handed_over_unheard"
_OVER = Prepared(
    sa.select(_t.id, _t.agent_id, _t.ended_at)
    .where(_t.to_instance_id == sa.bindparam("machine"), _t.status == TicketStatus.OVER.value)
    .order_by(_t.ended_at.desc(), _t.id)
    .limit(1)
)
_OUT = Prepared(sa.select(handover_tickets).where(_t.out_agent_id == sa.bindparam("agent")))


def out_of(tx: sa.Connection, agent_id: AgentId | str) -> Row | None:
    """The ticket that may be used now; there is never a second one."""
    return _OUT.first(tx, {"agent": agent_id})


def get(tx: sa.Connection, agent_id: AgentId, ticket_id: str) -> Row | None:
    return tx.execute(
        sa.select(handover_tickets).where(_t.id == ticket_id, _t.agent_id == agent_id)
    ).one_or_none()


def ticket_of(row: Row) -> Ticket:
    return Ticket(row.id, row.agent_id, row.epoch, row.from_instance_id, row.to_instance_id, row.to_boot_id)


def issue(tx: sa.Connection, now: datetime, agent_id: AgentId, holder: Row, standby: Row) -> Row | None:
    """It counts as out from here on: the reply that carries it may arrive. `standby`: its row in `instances`.

    None: another heartbeat of the holder's was given one in this very moment.
    """
    row = {
        "id": new_id(),
        "agent_id": agent_id,
        "epoch": holder.epoch + 1,
        "from_instance_id": holder.instance_id,
        "to_instance_id": standby.id,
        "to_boot_id": standby.boot_id,
        "replica_id": standby.replica_id,
        "status": TicketStatus.OUT.value,
        "issued_at": now,
    }
    try:
        with tx.begin_nested():
            tx.execute(sa.insert(handover_tickets), row)
    except IntegrityError:
        return None
    must_last(tx)
    message = f"{holder.instance_id} may hand epoch {row['epoch']} to {standby.id} by itself"
    _tell(tx, now, agent_id, "ticket_issued", message, row["id"])
    return tx.execute(sa.select(handover_tickets).where(_t.id == row["id"])).one()


def acknowledge(tx: sa.Connection, now: datetime, ticket_id: str) -> None:
    """Its holder has it on its disk."""
    mine = _t.id == ticket_id, _t.acknowledged_at.is_(None)
    tx.execute(sa.update(handover_tickets).where(*mine).values(acknowledged_at=now))


def ask_back(tx: sa.Connection, now: datetime, row: Row, because: str) -> None:
    """From now on both of its ends are asked to destroy it; until one of them says so it stays out."""
    mine = _t.id == row.id, _t.asked_back_at.is_(None)
    asked = tx.execute(sa.update(handover_tickets).where(*mine).values(asked_back_at=now, because=because))
    if asked.rowcount == 1:
        message = f"the ticket to {row.to_instance_id} is asked back: {because}"
        _tell(tx, now, row.agent_id, "ticket_asked_back", message, row.id)


def destroyed(tx: sa.Connection, now: datetime, instance_id: InstanceId, ticket_ids: Sequence[str]) -> bool:
    """The holder or the standby says that it has destroyed these for ever. True when one of them was out."""
    if not ticket_ids:
        return False
    theirs = sa.or_(_t.from_instance_id == instance_id, _t.to_instance_id == instance_id)
    rows = tx.execute(sa.select(handover_tickets).where(_t.id.in_(ticket_ids), theirs)).all()
    because = f"{instance_id} has destroyed it"
    ended = [_end(tx, now, row, TicketStatus.DESTROYED, because) for row in rows]
    return any(ended)


def granted(tx: sa.Connection, now: datetime, agent_id: AgentId, epoch: int, to_instance: InstanceId) -> None:
    """`epoch` has a holder: what was out for it is used, or over."""
    row = out_of(tx, agent_id)
    if row is None or row.epoch > epoch:
        return
    mine = row.epoch == epoch and row.to_instance_id == to_instance
    status = TicketStatus.USED if mine else TicketStatus.OVER
    _end(tx, now, row, status, f"epoch {epoch} was granted to {to_instance}")


def bars(tx: sa.Connection, agent_id: AgentId, epoch: int, to_instance: InstanceId) -> bool:
    """Whether a ticket for this epoch may be, or may have been, used by another one than `to_instance`.

    Until one of its ends says that it has destroyed it, or both are proven dead (ruling B4a). A standby that is dead
    uses nothing any more, and may have used it: its living holder is waited for. One that is heard on and on and does
    not say has forgotten, and nobody can tell any more.
    """
    row = out_of(tx, agent_id)
    if row is None or row.epoch != epoch or row.to_instance_id == to_instance:
        return False
    if not is_dead(tx, row.to_instance_id):
        return True
    return not (is_dead(tx, row.from_instance_id) or _does_not_say(tx, row))


def _does_not_say(tx: sa.Connection, row: Row) -> bool:
    return row.asked_back_at is not None and _is_heard_since(tx, row.from_instance_id, row.asked_back_at)


def _is_heard_since(tx: sa.Connection, instance_id: str, at: datetime) -> bool:
    """So long that it has said by now whatever it has to say."""
    heard = _HEARD_AT.first(tx, {"machine": instance_id})
    if heard is None or heard.last_heartbeat_at is None:
        return False
    since = max(at, heard.heard_since or heard.last_heartbeat_at)
    return bool(heard.last_heartbeat_at > since + ANSWERS_WITHIN)


def may_be_used_by(instance_id: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """For a WHERE: a ticket is out to this instance, so that it may serve without the server's knowing."""
    return sa.exists().where(_t.to_instance_id == instance_id, _t.status == TicketStatus.OUT.value)


def nobody_said(tx: sa.Connection, instance_id: str) -> bool:
    """A ticket was out to it when somebody else was granted its epoch: it may have served before, unheard."""
    return _OVER.first(tx, {"machine": instance_id}) is not None


def why_kept(tx: sa.Connection, instance_id: str) -> str | None:
    """Why a machine is not ended to which a ticket was out when somebody else was granted its epoch: what it wrote may
    lie on it alone. None: it is not so.
    """
    over = _OVER.first(tx, {"machine": instance_id})
    if over is None:
        return None
    if not _is_heard_since(tx, instance_id, over.ended_at):
        return "it may have served by a handover ticket, and has not been heard since: start it, or end it yourself"
    told = _USED_UNHEARD.rows(tx, {"agent": over.agent_id})
    if any(row.detail["instance_id"] == instance_id for row in told):
        return "it has served by a handover ticket, unheard: save what it wrote, and end it yourself"
    return None


def used_unheard(tx: sa.Connection, now: datetime, row: Row, holder_id: str) -> None:
    """One of its ends says that it was used, after `holder_id` was granted its epoch: told once."""
    message = (
        f"{row.from_instance_id} had handed epoch {row.epoch} to {row.to_instance_id} by its ticket, and {holder_id} "
        "was granted it before that was heard: what was written in between lies with the former alone, which is kept"
    )
    told = _USED_UNHEARD.rows(tx, {"agent": row.agent_id})
    if not any(known.detail["ticket_id"] == row.id for known in told):
        detail = {"ticket_id": row.id, "instance_id": row.to_instance_id}
        events.append_of(tx, now, AgentId(row.agent_id), USED_UNHEARD, message, detail)


_USED_UNHEARD = Prepared(
    sa.select(agent_events.c.detail).where(
        agent_events.c.agent_id == sa.bindparam("agent"), agent_events.c.kind == USED_UNHEARD
    )
)


def _end(tx: sa.Connection, now: datetime, row: Row, wanted: TicketStatus, because: str) -> bool:
    origins = [status.value for status in TICKET_LIFE.origins(wanted)]
    ended = tx.execute(
        sa.update(handover_tickets)
        .where(_t.id == row.id, _t.status.in_(origins))
        .values(status=wanted.value, ended_at=now, because=because)
    )
    if ended.rowcount == 1:
        _tell(tx, now, row.agent_id, f"ticket_{wanted.value}", because, row.id)
    return ended.rowcount == 1


def _tell(
    tx: sa.Connection, now: datetime, agent_id: AgentId | str, kind: str, message: str, ticket_id: str
) -> None:
    events.append_of(tx, now, AgentId(agent_id), kind, message, {"ticket_id": ticket_id})
