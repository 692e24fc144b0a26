"""What happened by a ticket without the server: recorded when either end tells it, in any order, as often as told.

The holder's word comes with its own token. The standby brings the same word with the holder's signature: it can have
that only from the holder, after that had let go.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from spotguard.domain.commands import CreatedBy, Priority
from spotguard.domain.epochs import Proof
from spotguard.domain.errors import Refused
from spotguard.domain.ids import AgentId, InstanceId, ReplicaId, SwitchId
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.domain.switches import MoveKind, Step, SwitchStatus, Trigger
from spotguard.domain.tickets import Word, is_same, signature_of
from spotguard.store import fleet, grants, moves, openings, tickets
from spotguard.store.move_orders import MoveOrder
from spotguard.store.move_prices import prices_of
from spotguard.store.move_rows import insert_switch
from spotguard.store.steps import record_step
from spotguard.store.tables import agent_tokens, epoch_grants, instances, replica_instances, switches

Row = sa.Row[Any]
BY_TICKET = "has handed it over by its ticket, without the server"


@dataclass(frozen=True)
class HandedOver:
    """As an end of the ticket tells it. `signature` and `opened_at`: the standby's; the holder needs none."""

    ticket_id: str
    word: Word
    signature: str | None = None
    opened_at: datetime | None = None


def told(tx: sa.Connection, now: datetime, caller: Row, said: HandedOver) -> bool:
    """True when the server learns of it by this. `Refused`: no such ticket of this instance, or a forged word."""
    agent_id, me = AgentId(caller.agent_id), InstanceId(caller.instance_id)
    row = tickets.get(tx, agent_id, said.ticket_id)
    if row is None or me not in (row.from_instance_id, row.to_instance_id):
        raise Refused("no such handover ticket of this instance")
    if me == row.to_instance_id and not _is_signed(tx, row, said):
        raise Refused("this is not the holder's word that it has let go")
    fleet.hold(tx, now, agent_id)
    word = _until(now, said.word)
    learnt = _grant(tx, now, row, word)
    if me == row.to_instance_id and said.opened_at is not None:
        opened_at = max(row.issued_at, word.released_at, min(said.opened_at, now))
        _record_opened(tx, now, row, opened_at)
        openings.told(tx, now, row, opened_at)
    return learnt


def _is_signed(tx: sa.Connection, row: Row, said: HandedOver) -> bool:
    """By any token that the holder has had: it may have enrolled again since."""
    t = agent_tokens.c
    hashes = tx.execute(sa.select(t.token_hash).where(t.instance_id == row.from_instance_id)).scalars()
    ticket, told_signature = tickets.ticket_of(row), said.signature or ""
    return any(is_same(told_signature, signature_of(ticket, said.word, known)) for known in hashes)


def _until(now: datetime, word: Word) -> Word:
    """A time from a clock that is ahead counts as the server's now."""
    times = (word.begun_at, word.gate_closed_at, word.delta_sent_at, word.released_at)
    begun, closed, sent, released = (min(at, now) for at in times)
    return Word(begun, closed, sent, released, word.position)


def _grant(tx: sa.Connection, now: datetime, row: Row, word: Word) -> bool:
    agent = fleet.agent_row(tx, row.agent_id)
    held = grants.holder(tx, row.agent_id)
    if held is None or agent.epoch >= row.epoch:
        _complete(tx, now, row, word)
        return False
    grants.release(tx, now, row.agent_id, held.epoch, InstanceId(held.instance_id), word.released_at)
    standby = tx.execute(sa.select(instances).where(instances.c.id == row.to_instance_id)).one()
    switch_id = _move_to(tx, now, agent, held, standby, row)
    for step, at in _steps(tx, row, word).items():
        record_step(tx, now, switch_id, step, at, row.from_instance_id)
    return grants.grant(
        tx,
        now,
        agent_id=AgentId(row.agent_id),
        seen_epoch=held.epoch,
        to_instance=InstanceId(standby.id),
        proof=Proof.RELEASED,
        switch_id=switch_id,
        because=f"{row.from_instance_id} {BY_TICKET}",
        posthumous=True,
    )


def _complete(tx: sa.Connection, now: datetime, row: Row, word: Word) -> None:
    """The server has granted it before it heard this, perhaps as the recovery of a death that it took for unheard."""
    switch_id = _switch_of(tx, row)
    if switch_id is None:
        held = _holder_of(tx, row)
        if held not in (None, row.to_instance_id):
            tickets.used_unheard(tx, now, row, held)
        return
    steps = _steps(tx, row, word)
    for step in (Step.GATE_CLOSED, Step.DELTA_SENT, Step.RELEASED):
        record_step(tx, now, switch_id, step, steps[step], row.from_instance_id)
    tx.execute(
        sa.update(switches)
        .where(switches.c.id == switch_id, switches.c.lost_seconds.is_not(None))
        .values(lost_seconds=0)  # the standby had everything
    )


def _move_to(tx: sa.Connection, now: datetime, agent: Row, held: Row, standby: Row, row: Row) -> SwitchId:
    """The move that has come true: one that was under way to the same standby, else a new row."""
    under_way = moves.preparing_of(tx, agent.id)
    if under_way is not None and under_way.new_instance_id == standby.id and not under_way.unwinding_since:
        return SwitchId(under_way.id)
    if under_way is not None:
        because = f"{row.from_instance_id} had handed over to {standby.id} by its ticket meanwhile"
        moves.finish(tx, now, under_way.id, SwitchStatus.UNWOUND, because)
    switch_id = insert_switch(tx, now, _order(tx, now, agent, held, standby, row))
    moves.instance_named(
        tx,
        now,
        switch_id,
        instance_id=InstanceId(standby.id),
        launched_at=standby.launched_at or standby.created_at,
        pool=Pool(standby.instance_type, standby.az),
        mode=Mode(standby.current_mode),
        image_id=standby.ami_id,
    )
    return switch_id


def _order(tx: sa.Connection, now: datetime, agent: Row, held: Row, standby: Row, row: Row) -> MoveOrder:
    """Nobody asks whether it may be: it has been."""
    pool, mode = Pool(standby.instance_type, standby.az), Mode(standby.current_mode)
    return MoveOrder(
        client_id=agent.client_id,
        agent_id=agent.id,
        trigger=Trigger.EMERGENCY,
        created_by=CreatedBy.SYSTEM,
        priority=Priority.EMERGENCY,
        target_pool=pool,
        target_mode=mode,
        replica_id=None if row.replica_id is None else ReplicaId(row.replica_id),
        kind=MoveKind.SYNCED,
        close_by=None,
        reason="termination notice: the holder handed over by its ticket, without the server",
        plan_extra={"ticket_id": row.id},
        agent=agent,
        held=held,
        prices=prices_of(tx, now, agent, pool, mode),
    )


def _steps(tx: sa.Connection, row: Row, word: Word) -> dict[Step, datetime]:
    """With the times that the holder tells; what came before them the server's own rows know."""
    r, i = replica_instances.c, instances.c
    synced_at = tx.execute(sa.select(r.synced_at).where(r.id == row.replica_id)).scalar_one_or_none()
    enrolled_at = tx.execute(sa.select(i.installed_at).where(i.id == row.to_instance_id)).scalar_one()
    return {
        Step.DECIDED: word.begun_at,
        Step.ENROLLED: enrolled_at or row.issued_at,
        Step.SYNCED: min(synced_at or row.issued_at, word.gate_closed_at),
        Step.GATE_CLOSED: word.gate_closed_at,
        Step.DELTA_SENT: word.delta_sent_at,
        Step.RELEASED: word.released_at,
    }


def _record_opened(tx: sa.Connection, now: datetime, row: Row, at: datetime) -> None:
    switch_id = _switch_of(tx, row)
    if switch_id is not None:
        record_step(tx, now, switch_id, Step.OPENED, at, row.to_instance_id)


def _switch_of(tx: sa.Connection, row: Row) -> SwitchId | None:
    """The move that its grant came with, if the grant is its standby's."""
    g = epoch_grants.c
    found = sa.select(g.switch_id).where(
        g.agent_id == row.agent_id, g.epoch == row.epoch, g.instance_id == row.to_instance_id
    )
    return tx.execute(found).scalar_one_or_none()


def _holder_of(tx: sa.Connection, row: Row) -> str | None:
    """Who was granted its epoch."""
    g = epoch_grants.c
    found = sa.select(g.instance_id).where(g.agent_id == row.agent_id, g.epoch == row.epoch)
    return tx.execute(found).scalar_one_or_none()
