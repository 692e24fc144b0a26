"""What people are told of a holder that serves no more and that no rule follows: each reason once for each epoch."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from spotguard.coordinator.context import Row
from spotguard.domain.ids import InstanceId
from spotguard.domain.switches import Step
from spotguard.store import deaths, events, moves, storage, unheard
from spotguard.store.tables import agent_events, switch_steps, switches

NOT_TAKEN_AFTER = timedelta(minutes=15)  # an instance that outlives its notice by so long was not taken


def may_serve_on(tx: sa.Connection, now: datetime, held: Row) -> bool:
    """It lives, and no notice is about to end it, or none did."""
    if _reads_it_still(tx, held):
        return False
    return moves.can_serve(tx, held.instance_id) or deaths.was_not_taken(tx, now, held)


def _reads_it_still(tx: sa.Connection, held: Row) -> bool:
    """It was given its epoch back after a notice, and let go of that, too, though no move asked for it."""
    if held.switch_id is not None or not deaths.was_noticed_before(tx, held):
        return False
    s, done = switches.c, switch_steps.c
    for_a_move = sa.select(s.id).where(
        s.agent_id == held.agent_id,
        s.from_epoch == held.epoch,
        sa.exists().where(done.switch_id == s.id, done.step == Step.RELEASED.value),
    )
    return tx.execute(for_a_move.limit(1)).first() is None


def tell(tx: sa.Connection, now: datetime, agent: Row, held: Row) -> bool:
    """Of one that EC2 has not ended. True when that was news."""
    return _tell_of_sleep(tx, now, agent, held) or _tell_who_let_go(tx, now, agent, held)


def tell_once(tx: sa.Connection, now: datetime, agent: Row, held: Row, kind: str, message: str) -> bool:
    """Recorded and told, nothing done: each reason once per epoch."""
    told = sa.select(agent_events.c.id).where(
        agent_events.c.agent_id == agent.id,
        agent_events.c.kind == kind,
        agent_events.c.at >= held.granted_at,
        agent_events.c.message == message,
    )
    if tx.execute(told.limit(1)).first() is not None:
        return False
    events.append(tx, now, agent.client_id, agent.id, kind, message, {"epoch": held.epoch})
    return True


def _tell_of_sleep(tx: sa.Connection, now: datetime, agent: Row, held: Row) -> bool:
    """A holder that EC2 shows stopped and that no proof ends: a person brings it back, or ends it."""
    if held.released_at is not None or not deaths.is_stopped(tx, held.instance_id):
        return False
    message = (
        f"{held.instance_id} is stopped, and its start may give its processes back their memory (hibernation, or a "
        "spot instance that EC2 stopped): it would serve on at once, so nobody takes over. Start it; or terminate it, "
        "and the workload is recovered from its volumes or its standby"
    )
    return tell_once(tx, now, agent, held, "holder_may_resume", message)


def _tell_who_let_go(tx: sa.Connection, now: datetime, agent: Row, held: Row) -> bool:
    """It has let go, EC2 has not ended it, and it is given no epoch: no rule goes on from here, a person does."""
    if held.released_at is None or now - held.released_at < NOT_TAKEN_AFTER:
        return False
    why = _what_to_do(tx, now, agent, held) if agent.enabled else _DISABLED
    message = f"nobody serves: {held.instance_id} has let go, and EC2 has not ended it; {why}"
    return why is not None and tell_once(tx, now, agent, held, "nobody_serves", message)


_DISABLED = "the agent is disabled: enable it, and somebody takes over"


def _what_to_do(tx: sa.Connection, now: datetime, agent: Row, held: Row) -> str | None:
    """None: it is about to be given the next epoch, and serves on."""
    silent = unheard.who_does_not_say(tx, agent.id, held, InstanceId(held.instance_id))
    if silent is not None:
        return silent
    if not may_serve_on(tx, now, held):
        return "terminate it, and the workload is recovered from its volumes or its standby"
    away = storage.moved_away_from(tx, held.instance_id)
    if away is None:
        return None
    return (
        f"its volume {away.id} is attached to {away.attached_to}: unless that one serves, detach it there and attach "
        f"it to {held.instance_id} again, which serves on then"
    )
