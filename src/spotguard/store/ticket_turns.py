"""What a heartbeat of a holder or a standby says and hears of handover tickets (ruling B4a)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from spotguard.domain.ids import AgentId, InstanceId
from spotguard.domain.replicas import ReplicaStatus
from spotguard.domain.tickets import Ticket, seal_of
from spotguard.planning.tickets import AskBack, Issue, Keep, OutTicket, TicketFacts, plan
from spotguard.store import deaths, grants, kill, live_signals, tickets
from spotguard.store.deaths import can_serve
from spotguard.store.move_rows import preparing_of
from spotguard.store.prepared import Prepared
from spotguard.store.tables import agent_tokens, instances, replica_instances

Row = sa.Row[Any]


@dataclass(frozen=True)
class Said:
    """`in_hand`: the ticket on the speaker's disk. `destroyed`: those that it will never use or give; None: it does not
    speak of tickets, and would neither give nor destroy one. `takes_one`: it could hand one over.
    """

    in_hand: str | None = None
    destroyed: Sequence[str] | None = None
    takes_one: bool = True

    @property
    def is_given_one(self) -> bool:
        return self.destroyed is not None and self.takes_one


@dataclass(frozen=True)
class Slip:
    """A ticket under the seal that its standby checks."""

    ticket: Ticket
    seal: str


@dataclass(frozen=True)
class Answer:
    """`slip` for the holder to keep; `destroy`: the ticket that the speaker is asked to give up for ever."""

    slip: Slip | None = None
    destroy: str | None = None


def turn(tx: sa.Connection, now: datetime, caller: Row, said: Said) -> Answer:
    """`caller`: an instance by its token. What it says counts first, then what the rows ask for."""
    me, agent_id = InstanceId(caller.instance_id), AgentId(caller.agent_id)
    may_have_one = caller.holder_id == me and bool(caller.replica_count)
    if caller.ticket_out is None and not may_have_one:
        return Answer()  # by the caller's row alone: most heartbeats end here
    tickets.destroyed(tx, now, me, said.destroyed or ())
    out = tickets.out_of(tx, agent_id)
    if out is None and not may_have_one:
        return Answer()
    if out is not None and me not in (out.from_instance_id, out.to_instance_id):
        return Answer()
    held = grants.holder(tx, agent_id)
    match plan(_facts(tx, now, caller, held, out)):
        case AskBack(because) if out is not None:
            tickets.ask_back(tx, now, out, because)
            return Answer(destroy=out.id)
        case Issue(standby) if caller.holder_id == me and held is not None and said.is_given_one:
            out = tickets.issue(tx, now, agent_id, held, _machine(tx, standby))
        case Keep() if out is not None and said.in_hand == out.id and out.acknowledged_at is None:
            tickets.acknowledge(tx, now, out.id)
    return Answer(_slip(tx, out) if out is not None and out.from_instance_id == me else None)


def _facts(tx: sa.Connection, now: datetime, caller: Row, held: Row | None, out: Row | None) -> TicketFacts:
    move = preparing_of(tx, caller.agent_id)
    over = held is None or held.released_at is not None or deaths.is_dead(tx, held.instance_id)
    return TicketFacts(
        enabled=bool(caller.enabled),
        kill=kill.level_for(tx, caller.client_id, caller.agent_id),
        holder_is_over=over,
        is_moving=move is not None,
        moving_to=None if move is None or move.new_instance_id is None else InstanceId(move.new_instance_id),
        out=None if out is None else OutTicket(InstanceId(out.to_instance_id), _is_fit(tx, out)),
        ready=() if out is not None else _ready(tx, now, AgentId(caller.agent_id)),
    )


def _is_fit(tx: sa.Connection, out: Row) -> bool:
    stands_by = _STANDS_BY.first(tx, {"machine": out.to_instance_id, "boot": out.to_boot_id})
    return stands_by is not None and can_serve(tx, InstanceId(out.to_instance_id))


def _ready(tx: sa.Connection, now: datetime, agent_id: AgentId) -> tuple[InstanceId, ...]:
    rows = _READY.rows(tx, {"agent": agent_id})
    alive = [machine for row in rows if can_serve(tx, machine := InstanceId(row.instance_id))]
    doomed = live_signals.signalled(tx, now, alive)
    return tuple(found for found in alive if found not in doomed)


def _slip(tx: sa.Connection, out: Row) -> Slip | None:
    """Sealed anew each time: a standby that has enrolled again knows its newest token. None while it has none."""
    token_hash = _TOKEN.scalar(tx, {"machine": out.to_instance_id, "boot": out.to_boot_id})
    ticket = tickets.ticket_of(out)
    return None if token_hash is None else Slip(ticket, seal_of(ticket, token_hash))


def _machine(tx: sa.Connection, instance_id: str) -> Row:
    return tx.execute(sa.select(instances).where(instances.c.id == instance_id)).one()


def _token_of(instance_id: Any, boot_id: Any) -> sa.Select[Any]:
    t = agent_tokens.c
    return sa.select(t.token_hash).where(
        t.instance_id == instance_id, t.boot_id == boot_id, t.revoked_at.is_(None)
    )


_r = replica_instances.c
_TOKEN = Prepared(_token_of(sa.bindparam("machine"), sa.bindparam("boot")))
_STANDS_BY = Prepared(
    sa.select(_r.id)
    .join(instances, instances.c.id == _r.instance_id)
    .where(
        _r.instance_id == sa.bindparam("machine"), _r.is_active, instances.c.boot_id == sa.bindparam("boot")
    )
)
_READY = Prepared(
    sa.select(_r.instance_id)
    .join(instances, instances.c.id == _r.instance_id)
    .where(
        _r.agent_id == sa.bindparam("agent"),
        _r.status == ReplicaStatus.READY.value,
        instances.c.boot_id.is_not(None),
        instances.c.can_sync.is_(True),  # the ticket comes by the way of the passes
        _token_of(instances.c.id, instances.c.boot_id).exists(),
    )
    .order_by(_r.created_at, _r.id)
)
