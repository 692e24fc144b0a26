"""Deaths and signals: whoever serves no more is followed by somebody, whoever was missed is answered (B8 to B10)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from spotguard.coordinator import nobody_serves, recovery, refusals, state_look
from spotguard.coordinator.agenda import Agenda, Work, client_of_agent
from spotguard.coordinator.context import REST, Context, Row
from spotguard.coordinator.nobody_serves import NOT_TAKEN_AFTER, may_serve_on, tell_once
from spotguard.coordinator.turns import Fair
from spotguard.domain.agents import AgentStatus
from spotguard.domain.epochs import Proof
from spotguard.domain.errors import Refused
from spotguard.domain.ids import AgentId, ClientId, InstanceId, ReplicaId
from spotguard.domain.signals import REBALANCE_COUNTS_FOR, SignalType
from spotguard.domain.switches import MoveKind, Step, SwitchStatus
from spotguard.planning.emergency import SHOWS_WITHIN, DeathFacts, Recovery, recover
from spotguard.planning.standby import resume_at, resume_in_haste
from spotguard.store import (
    agents,
    closed_gates,
    deaths,
    events,
    fleet,
    grants,
    images,
    kill,
    move_deadlines,
    move_grants,
    moves,
    plans,
    sightings,
    standbys,
    state_left,
    storage,
    unheard,
)
from spotguard.store.prepared import Prepared
from spotguard.store.state_left import StateLeft
from spotguard.store.tables import spot_interruption_events, switch_steps, switches

GRACE_AFTER_DEATH = timedelta(minutes=3)  # for a target that has the whole state and is still booting

_KIND = {
    Recovery.STANDBY: MoveKind.SYNCED,
    Recovery.VOLUME: MoveKind.VOLUME,
    Recovery.SNAPSHOT: MoveKind.SNAPSHOT,
    Recovery.IMAGE: MoveKind.IMAGE,
}


class Emergencies:
    """Acts on proof alone: EC2's word, or the holder's own."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self._fair = Fair(ctx, client_of_agent)

    def run(self, now: datetime, agenda: Agenda) -> int:
        ended = list(dict.fromkeys(agenda.of(Work.ENDED)))
        in_turn = self._fair.of(ended)
        done = self.ctx.each("emergencies", in_turn, lambda agent: self._follow_up(now, AgentId(agent)))
        recommended = self.ctx.awake(agenda.of(Work.RECOMMENDATION), now)
        open_ones = dict.fromkeys([*agenda.of(Work.NOTICE), *recommended])
        signalled = [agent for agent in open_ones if agent not in set(ended)]
        return done + self.ctx.each(
            "signals", signalled, lambda agent: self._answer_again(now, AgentId(agent))
        )

    def _follow_up(self, now: datetime, agent_id: AgentId) -> bool:
        """The holder has died or let go: grant, give back, or recover."""
        switch_before = self.ctx.db.read(lambda tx: moves.preparing_of(tx, agent_id))
        if switch_before is not None and switch_before.is_recovery:
            return False  # the duty of moves carries it on
        looked = self._looks_at_what_is_left(agent_id)
        was_away = self.ctx.was_away(now)
        changed = self.ctx.db.write(lambda tx: _succeed(tx, now, agent_id, looked=looked, was_away=was_away))
        switch = self.ctx.db.read(lambda tx: moves.preparing_of(tx, agent_id))
        if switch is not None and switch.is_recovery:
            with refusals.told(self.ctx, now, switch, agent_id):
                recovery.advance(self.ctx, now, switch)
        if changed:
            self._wake(agent_id)
        if changed or switch is not None:
            self.ctx.soon(now, 5)
        return changed

    def _looks_at_what_is_left(self, agent_id: AgentId) -> bool:
        """True when the rows tell of a dead holder's volumes what EC2 tells now, or nobody can ask it. Of one that
        lives nothing is asked, and another coordinator may write its death down in the next moment.
        """
        agent, held = self.ctx.db.read(
            lambda tx: (fleet.agent_row(tx, agent_id), grants.holder(tx, agent_id))
        )
        cloud = self.ctx.clouds(ClientId(agent.client_id))
        is_dead = held is not None and self.ctx.db.read(lambda tx: deaths.is_dead(tx, held.instance_id))
        return cloud is None or (is_dead and state_look.refresh(self.ctx, cloud, agent))

    def _wake(self, agent_id: AgentId) -> None:
        held = self.ctx.db.read(lambda tx: grants.holder(tx, agent_id))
        if held is not None:
            self.ctx.wakeup.agent(held.instance_id)

    def _answer_again(self, now: datetime, agent_id: AgentId) -> bool:
        changed = self.ctx.db.write(lambda tx: answer_again(tx, now, agent_id))
        if not changed:
            self.ctx.rest(agent_id, now, now + REST)
        return changed


def _succeed(tx: sa.Connection, now: datetime, agent_id: AgentId, *, looked: bool, was_away: bool) -> bool:
    agent = fleet.agent_row(tx, agent_id)
    held = grants.holder(tx, agent_id)
    if held is None or agent.status == AgentStatus.DELETED:
        return False
    dead = deaths.is_dead(tx, held.instance_id)
    switch = moves.preparing_of(tx, agent_id)
    if switch is not None:
        if moves.grant_if_due(tx, now, switch.id):
            return True
        released = held.released_at is not None
        if not was_away and _is_deaf(tx, now, switch):
            because = f"{switch.new_instance_id} hears nothing of the server"
        elif _is_hopeless(tx, now, switch, dead=dead, released=released):
            because = "its old instance is gone before the state was complete"
        else:
            return False
        moves.unwind(tx, now, switch.id, because)
        if moves.preparing_of(tx, agent_id) is not None:
            return True  # its volumes come back first
    if not dead:
        return _give_back(tx, now, agent, held) or nobody_serves.tell(tx, now, agent, held)
    return _recover(tx, now, agent, held, looked=looked, was_away=was_away)


def _is_deaf(tx: sa.Connection, now: datetime, switch: Row) -> bool:
    """Its new instance has registered anew, and hears nothing since: it is granted nothing."""
    new = switch.new_instance_id
    goes_on = switch.unwinding_since is None and new is not None
    return goes_on and fleet.hears_nothing(tx, now, InstanceId(new))


def _is_hopeless(tx: sa.Connection, now: datetime, switch: Row, *, dead: bool, released: bool) -> bool:
    """Its new instance cannot get the state any more, or is itself gone, or does not come up."""
    if switch.unwinding_since is not None:
        return dead  # nobody is left to bring the volumes back to
    if switch.new_instance_id is not None and not moves.can_serve(tx, switch.new_instance_id):
        return True
    if not dead:  # let go with a notice: EC2 will end it, and then its volumes are free
        due = move_deadlines.due_of(tx, switch)
        return (due is not None and now > due.at) or move_deadlines.is_past(switch, now)
    complete = move_grants.COMPLETE_AT[MoveKind(switch.kind)] in moves.recorded_steps(tx, switch.id)
    if not complete or switch.new_instance_id is None:
        return True
    if not released and not move_grants.has_everything(tx, switch):
        return True
    newest = tx.execute(
        sa.select(sa.func.max(switch_steps.c.recorded_at, type_=switch_steps.c.recorded_at.type)).where(
            switch_steps.c.switch_id == switch.id
        )
    ).scalar_one()
    return bool(now - newest > GRACE_AFTER_DEATH)


def _give_back(tx: sa.Connection, now: datetime, agent: Row, held: Row) -> bool:
    """It let go for a move that came to nothing, or a notice that AWS did not carry out: it serves on itself, under a
    new epoch, if it has its state.

    In the copy of a backup it may have let go for a move that these rows do not know, and another one serves.
    """
    if held.released_at is None or not agent.enabled or not may_serve_on(tx, now, held):
        return False
    why_not = _why_none_is_given(tx, agent, held)
    if why_not is not None:
        message = f"{held.instance_id} has let go of epoch {held.epoch} and no move is under way: {why_not}"
        return tell_once(tx, now, agent, held, "nobody_serves", message)
    if storage.moved_away_from(tx, held.instance_id) is not None:
        return False
    return grants.grant(
        tx,
        now,
        agent_id=AgentId(agent.id),
        seen_epoch=held.epoch,
        to_instance=InstanceId(held.instance_id),
        proof=Proof.RELEASED,
        switch_id=None,
        because="it had let go for what came to nothing: it serves on",
    )


def _why_none_is_given(tx: sa.Connection, agent: Row, held: Row) -> str | None:
    if kill.stops_everything(tx, agent.client_id, agent.id):
        return "while the kill switch stands at all it is given no new one"
    return unheard.who_may_serve(tx, agent.id, held)


def _recover(
    tx: sa.Connection, now: datetime, agent: Row, held: Row, *, looked: bool, was_away: bool
) -> bool:
    left = state_left.left_by(tx, agent)
    volumes = left.volumes
    plan = recover(_death_facts(tx, now, agent, held, left, looked=looked))
    if plan.how is None and was_away:
        return False  # a standby may only have had nobody to talk to: people are told what to do when it is known
    if plan.how is None:
        ended = f"{held.instance_id} has ended. {plan.because}"
        return tell_once(tx, now, agent, held, "instance_ended", ended)
    try:
        opened = moves.open_recovery(
            tx,
            now,
            agent=agent,
            kind=_KIND[plan.how],
            replica_id=plan.replica_id,
            because=plan.because,
            plan=_recovery_plan(tx, agent, volumes),
        )
    except Refused:
        return False  # somebody was first
    tx.execute(
        sa.update(switches).where(switches.c.id == opened.switch_id).values(lost_seconds=plan.lost_seconds)
    )
    if plan.how is Recovery.STANDBY:
        moves.grant_if_due(tx, now, opened.switch_id)
    return True


def _recovery_plan(tx: sa.Connection, agent: Row, volumes: list[Row]) -> dict[str, Any]:
    image = images.newest_of(tx, agent.id)
    return {
        "volumes": [{"id": v.id, "device": v.device, "size_gib": v.size_gib} for v in volumes],
        "az": volumes[0].az if volumes else None,
        "image_id": image.id if image is not None and not volumes else None,
        "state_gib": volumes[0].size_gib if volumes else None,
    }


def _death_facts(
    tx: sa.Connection, now: datetime, agent: Row, held: Row, left: StateLeft, *, looked: bool
) -> DeathFacts:
    gate_was_closed, heir = _last_hand_over(tx, agent, held)
    image = images.newest_of(tx, agent.id)
    on_root = agents.state_on_root(tx, held.instance_id)
    keeps_state = storage.has_kept_state(tx, agent.id) and not on_root
    return DeathFacts(
        enabled=agent.enabled,
        kill=kill.level_for(tx, agent.client_id, agent.id),
        standbys=fleet.standby_facts(tx, now, agent.id),
        volume_survives=bool(left.volumes),
        looked=looked,
        stray_volumes=tuple(row.id for row in left.strays),
        copies=tuple(row.id for row in left.copies),
        keeps_state=keeps_state,
        state_on_root=on_root,
        may_be_hidden=keeps_state and not left.volumes and _is_young(tx, now, held.instance_id),
        same_az_has_capacity=not _zone_was_dry(tx, now, agent.id),
        gate_was_closed=gate_was_closed or state_left.was_taken_unheard(tx, held.instance_id),
        doubt=unheard.why_nobody_follows(tx, agent.id, held),
        image_age_seconds=None if image is None else (now - image.created_at).total_seconds(),
        handed_over_to=heir,
        is_stopped=deaths.is_stopped(tx, held.instance_id),
    )


def _last_hand_over(tx: sa.Connection, agent: Row, held: Row) -> tuple[bool, ReplicaId | None]:
    """Whether the holder may have ended with its gate closed, and the replica that surely has all it ever wrote."""
    released, last = held.released_at is not None, _last_move(tx, agent.id)
    if last is None or last.from_epoch != held.epoch:
        return released, None
    steps = moves.recorded_steps(tx, last.id)
    was_closed = Step.GATE_CLOSED in steps and not closed_gates.was_reopened(tx, last)
    stayed_closed = Step.RELEASED in steps or closed_gates.until_its_end(tx, last)
    has_all = Step.DELTA_SENT in steps and stayed_closed and last.replica_id is not None
    return released or was_closed, ReplicaId(last.replica_id) if has_all else None


def _is_young(tx: sa.Connection, now: datetime, instance_id: str) -> bool:
    row = sightings.get(tx, instance_id)
    return row is not None and row.launched_at is not None and bool(now - row.launched_at < SHOWS_WITHIN)


def _last_move(tx: sa.Connection, agent_id: AgentId) -> Row | None:
    return tx.execute(
        sa.select(switches)
        .where(switches.c.agent_id == agent_id, switches.c.is_recovery.is_(False))
        .order_by(switches.c.created_at.desc(), switches.c.id)
        .limit(1)
    ).one_or_none()


def _zone_was_dry(tx: sa.Connection, now: datetime, agent_id: AgentId) -> bool:
    found = (
        sa.select(switches.c.id)
        .where(
            switches.c.agent_id == agent_id,
            switches.c.kind == MoveKind.VOLUME.value,
            switches.c.status == SwitchStatus.UNWOUND.value,
            switches.c.ended_because.like(f"{recovery.NOTHING_STARTS}%"),
            switches.c.completed_at > now - recovery.DRY_FOR,
        )
        .limit(1)
    )
    return tx.execute(found).first() is not None


_e = spot_interruption_events.c
_UNRESOLVED = Prepared(
    sa.select(spot_interruption_events)
    .where(_e.agent_id == sa.bindparam("agent"), _e.resolved_at.is_(None))
    .order_by(_e.detected_at.desc())
)


def answer_again(tx: sa.Connection, now: datetime, agent_id: AgentId) -> bool:
    """Signals whose answer is not carried out: the replica failed, the target died, the server had been away."""
    fleet.hold(tx, now, agent_id)  # else another coordinator, or a signal, makes a second replica
    agent = fleet.agent_row(tx, agent_id)
    held = grants.holder(tx, agent_id)
    rows = _UNRESOLVED.rows(tx, {"agent": agent_id})
    changed = False
    for row in rows:
        if held is None or row.instance_id != held.instance_id:
            _resolve(tx, now, row.id)
            changed = True
    open_ones = [
        row for row in rows if held is not None and row.instance_id == held.instance_id and agent.enabled
    ]
    notice = next((row for row in open_ones if row.signal_type == SignalType.TERMINATION), None)
    if notice is not None:
        return _repeat_notice(tx, now, agent, notice) or changed
    return (bool(open_ones) and _repeat_rebalance(tx, now, agent, open_ones[0])) or changed


def _resolve(tx: sa.Connection, now: datetime, event_id: str) -> None:
    e = spot_interruption_events
    tx.execute(sa.update(e).where(e.c.id == event_id, e.c.resolved_at.is_(None)).values(resolved_at=now))


def _repeat_notice(tx: sa.Connection, now: datetime, agent: Row, notice: Row) -> bool:
    close_by = plans.close_by_of(notice.signal_time, notice.action_time, notice.detected_at)
    if now - close_by > NOT_TAKEN_AFTER:
        _resolve(tx, now, notice.id)
        message = "the instance outlived its termination notice: it was not taken"
        events.append(tx, now, agent.client_id, agent.id, "notice_passed", message)
        return True
    if now >= close_by or moves.preparing_of(tx, agent.id) is not None:
        return False
    if now < resume_in_haste(*standbys.recent_failures(tx, now, agent.id), now):
        return False
    given = plans.hand_over(tx, now, agent, SignalType.TERMINATION, close_by)
    return given.switch_id is not None


def _repeat_rebalance(tx: sa.Connection, now: datetime, agent: Row, row: Row) -> bool:
    if now - row.detected_at >= REBALANCE_COUNTS_FOR:
        _resolve(tx, now, row.id)
        return True
    failures, failed_at = standbys.recent_failures(tx, now, agent.id)
    heard = any(standby.answers for standby in fleet.standby_facts(tx, now, agent.id))
    if heard or now < resume_at(failures, failed_at, now):
        return False
    given = plans.hand_over(tx, now, agent, SignalType.REBALANCE, row.detected_at)
    if given.replica_id is None:
        return False
    e = spot_interruption_events
    tx.execute(sa.update(e).where(e.c.id == row.id).values(replica_id=given.replica_id))
    return True
