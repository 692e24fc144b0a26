"""Open moves: what the server does in them, and the deadlines that unwind them."""

from __future__ import annotations

from datetime import datetime
from itertools import chain

import sqlalchemy as sa

from spotguard.coordinator import aftermath, bring_back, recovery, refusals, server_half
from spotguard.coordinator.agenda import Agenda, Work, client_of_switch
from spotguard.coordinator.context import Context, Row
from spotguard.coordinator.turns import Fair, Turns
from spotguard.domain.agents import Executor, KillLevel
from spotguard.domain.ids import AgentId, InstanceId, SwitchId
from spotguard.domain.replicas import LIVE_REPLICA
from spotguard.domain.switches import Step, SwitchStatus, Trigger
from spotguard.planning.presence import Presence, is_heard
from spotguard.store import (
    deaths,
    events,
    fleet,
    grants,
    kill,
    move_deadlines,
    move_rows,
    moves,
    replicas,
    sightings,
    storage,
    unheard,
)

_WANTED = (Trigger.AUTO_SWITCH, Trigger.MANUAL)


class Moves:
    """Every open move is looked at in every pass: whoever died at whatever line, it goes on here."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self._fair = Fair(ctx, client_of_switch)
        self._turns: Turns[str] = Turns(ctx)

    def run(self, now: datetime, agenda: Agenda) -> int:
        rescues = self.ctx.awake(agenda.of(Work.SWITCH), now)
        wanted = self.ctx.awake(agenda.of(Work.MOVE), now)
        in_turn = chain(self._fair.of(rescues), self._turns.of(wanted))
        done = self.ctx.each("moves", in_turn, lambda row_id: self._look(now, SwitchId(row_id)))
        missing = dict.fromkeys(agenda.of(Work.ADRIFT))
        return done + self.ctx.each(
            "volumes adrift", missing, lambda agent: bring_back.repair(self.ctx, now, AgentId(agent))
        )

    def _look(self, now: datetime, switch_id: SwitchId) -> bool:
        switch = self.ctx.db.read(lambda tx: moves.get(tx, switch_id))
        self._tell_if_late(now, switch)
        match SwitchStatus(switch.status):
            case SwitchStatus.PREPARING:
                with refusals.told(self.ctx, now, switch, switch.agent_id):
                    return self._prepare(now, switch)
            case SwitchStatus.COMMITTED:
                return aftermath.advance(self.ctx, now, switch)
            case _:
                return False

    def _prepare(self, now: datetime, switch: Row) -> bool:
        if switch.unwinding_since is not None:
            return self._take_back(now, switch)
        was_away = self.ctx.was_away(now)
        because = self.ctx.db.read(lambda tx: why_unwind(tx, now, switch, was_away=was_away))
        if because is not None:
            return self.ctx.db.write(lambda tx: moves.unwind(tx, now, switch.id, because))
        if switch.is_recovery:
            return recovery.advance(self.ctx, now, switch)
        changed = False
        if switch.replica_id is not None:
            changed = self.ctx.db.write(lambda tx: moves.adopt_standby(tx, now, switch.id))
        elif self._executor(switch) is Executor.SERVER:
            changed = server_half.advance(self.ctx, now, switch)
        granted = self.ctx.db.write(lambda tx: moves.grant_if_due(tx, now, switch.id))
        if granted and switch.new_instance_id is not None:
            self.ctx.wakeup.agent(switch.new_instance_id)
        elif changed and switch.old_instance_id is not None:
            self.ctx.wakeup.agent(switch.old_instance_id)
        return changed or granted

    def _take_back(self, now: datetime, switch: Row) -> bool:
        ended = bring_back.unwind(self.ctx, now, switch)
        if ended:
            self.ctx.wakeup.agent(switch.old_instance_id)
        return ended

    def _tell_if_late(self, now: datetime, switch: Row) -> None:
        """People hear of a step that is past its time, whatever becomes of it."""
        if self.ctx.was_away(now):
            return  # who is late may have told of it, and nobody heard
        due = self.ctx.db.read(lambda tx: move_deadlines.due_of(tx, switch))
        if due is None or now <= due.at or not self.ctx.news(switch.id, f"late: {due.step}", now):
            return
        message = f"the step {due.step} of a {switch.kind} move was due at {due.at:%H:%M:%S} UTC"
        why = self.ctx.db.read(lambda tx: _why_it_waits(tx, now, switch))
        if why is not None:
            message = f"{message}: {why}"
        detail = {"switch_id": switch.id, "step": due.step.value, "when_late": due.late.value}
        self.ctx.db.write(
            lambda tx: events.append(tx, now, switch.client_id, switch.agent_id, "step_late", message, detail)
        )

    def _executor(self, switch: Row) -> Executor:
        return self.ctx.db.read(lambda tx: move_rows.executor(tx, switch))


def why_unwind(tx: sa.Connection, now: datetime, switch: Row, *, was_away: bool) -> str | None:
    """Before the grant everything unwinds; after the holder has let go only what cannot succeed any more.

    `was_away`: whoever was to enrol, or to tell of a step, may have had nobody to tell.
    """
    steps = moves.recorded_steps(tx, switch.id)
    target = _why_target_fails(tx, now, switch, was_away=was_away)
    if target is not None:
        return target
    held = grants.holder(tx, switch.agent_id)
    if held is not None and held.epoch != switch.from_epoch:
        return f"epoch {held.epoch} was granted to {held.instance_id} meanwhile"
    deaf = None if was_away else _why_nobody_hears(tx, now, switch, steps)
    if switch.is_recovery:
        doubt = None if held is None else unheard.who_served_last(tx, switch.agent_id, held)
        return doubt or deaf or _why_source_is_gone(tx, switch, steps) or _why_rescue_stops(tx, switch)
    if held is None or held.released_at is not None or deaths.is_dead(tx, held.instance_id):
        return None  # the emergencies decide: there is nobody to serve on
    late = None if was_away else move_deadlines.why_late(tx, now, switch)
    return _why_stopped(tx, switch, steps) or deaf or late


def _why_it_waits(tx: sa.Connection, now: datetime, switch: Row) -> str | None:
    held = grants.holder(tx, switch.agent_id)
    if held is None or switch.new_instance_id is None or not switch.is_recovery:
        return None
    if switch.status == SwitchStatus.COMMITTED:
        return _why_it_does_not_open(tx, now, held, switch)
    return unheard.who_does_not_say(tx, switch.agent_id, held, InstanceId(switch.new_instance_id))


def _why_it_does_not_open(tx: sa.Connection, now: datetime, held: Row, switch: Row) -> str | None:
    """Of a standby that was promoted though nobody heard it: it had what no other place has."""
    machine = sightings.get(tx, held.instance_id)
    heard_at = None if machine is None else machine.last_heartbeat_at
    is_silent = not is_heard(Presence(AgentId(switch.agent_id), heard_at, held.granted_at), now)
    if held.instance_id != switch.new_instance_id or not is_silent:
        return None
    return (
        f"{held.instance_id} was granted epoch {held.epoch} and is not heard: restart its agent or mend its network; "
        "or terminate it, and the workload is recovered from its volumes or another standby"
    )


def _why_target_fails(tx: sa.Connection, now: datetime, switch: Row, *, was_away: bool) -> str | None:
    if switch.new_instance_id is not None and not moves.can_serve(tx, switch.new_instance_id):
        return f"its new instance {switch.new_instance_id} has ended or is about to"
    if switch.replica_id is not None and switch.new_instance_id is None:
        replica = replicas.get(tx, switch.agent_id, switch.replica_id)
        if replica.status not in LIVE_REPLICA:
            return f"its standby is {replica.status}"
    due = move_deadlines.due_of(tx, switch)
    if due is not None and due.step is Step.ENROLLED and now > due.at and not was_away:
        return f"its new instance {switch.new_instance_id} {recovery.NOT_ENROLLED}"
    return None


def _why_nobody_hears(tx: sa.Connection, now: datetime, switch: Row, steps: list[Step]) -> str | None:
    """A standby that was chosen while it had just registered, or whoever has registered anew since it enrolled. Once it
    hears it is chosen again.
    """
    was_heard = Step.ENROLLED in steps or switch.replica_id is not None
    if not was_heard or switch.new_instance_id is None:
        return None
    is_deaf = fleet.hears_nothing(tx, now, InstanceId(switch.new_instance_id))
    return f"{switch.new_instance_id} hears nothing of the server" if is_deaf else None


def _why_rescue_stops(tx: sa.Connection, switch: Row) -> str | None:
    """Its user stops everything, or keeps hands off, before anything was launched for it; the emergencies tell him."""
    if switch.new_instance_id is not None:
        return None
    if not fleet.agent_row(tx, switch.agent_id).enabled:
        return "its agent was disabled"
    is_stopped = kill.stops_everything(tx, switch.client_id, switch.agent_id)
    return "the kill switch stands at all" if is_stopped else None


def _why_source_is_gone(tx: sa.Connection, switch: Row, steps: list[Step]) -> str | None:
    """Somebody deleted the volume that was to be carried: there may be another way."""
    if Step.VOLUMES_MOVED in steps or Step.SNAPSHOTTED in steps:
        return None
    planned = [volume["id"] for volume in switch.plan.get("volumes", [])]
    gone = storage.ended_of(tx, planned)
    return f"{', '.join(gone)} was deleted" if gone else None


def _why_stopped(tx: sa.Connection, switch: Row, steps: list[Step]) -> str | None:
    """The kill switch and the user's word stop what has not closed the gate yet."""
    if Step.GATE_CLOSED in steps:
        return None
    level = kill.level_for(tx, switch.client_id, switch.agent_id)
    if level is KillLevel.ALL or (level is KillLevel.VOLUNTARY and switch.event_trigger in _WANTED):
        return f"the kill switch stands at {level.name.lower()}"
    if switch.event_trigger != Trigger.AUTO_SWITCH:
        return None
    agent = fleet.agent_row(tx, switch.agent_id)
    if not agent.enabled:
        return "its agent was disabled"
    return None if agent.auto_switch_enabled else "automatic moves were switched off"
