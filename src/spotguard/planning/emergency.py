"""What to do when AWS takes the serving instance: with a signal before (B8, B9), or without a word (B10)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum

from spotguard.domain.agents import KillLevel, Protection
from spotguard.domain.ids import InstanceId, ReplicaId, SwitchId
from spotguard.domain.replicas import ReplicaStatus
from spotguard.domain.signals import SignalAction, SignalType
from spotguard.planning.agent_files import CONFIG
from spotguard.planning.switching import NO_SYNC

RECENT_PASS_SECONDS = 60
"""A syncing standby whose newest complete pass is no older than this is taken before the dead holder's volume (B9).

An older pass would give up more writes than the minutes that fetching the volume costs are worth: the volume lost none.
"""

SHOWS_WITHIN = timedelta(minutes=5)
"""For so long EC2 may not show what it has just made: until then its absence means nothing (eventual consistency)."""

START_ANEW = "register that as a new agent under a name of its own, and delete this one"
"""What a person does whose workload nothing of ours brings back: a machine of his is never given this agent's epoch,
for a clone of the dead one carries the same token.
"""


@dataclass(frozen=True)
class StandbyFacts:
    """A live replica as an emergency sees it."""

    replica_id: ReplicaId
    status: ReplicaStatus
    enrolled: bool  # its machine runs and its agent has registered
    complete_pass_age_seconds: float | None  # None: no complete pass has reached it
    under_signal: bool
    silent: bool = False  # nobody hears it, though its primary is heard
    is_deaf: bool = False  # it has heard nothing for a minute, and can be given no epoch
    is_ending: bool = False  # it has a termination notice, and is given none
    instance_id: InstanceId | None = None

    @property
    def answers(self) -> bool:
        return not (self.silent or self.is_deaf)

    @property
    def may_take_over(self) -> bool:
        return not self.under_signal and self.answers

    @property
    def holds_state(self) -> bool:
        """A machine of its own with something to serve: a row that waits for its instance has nothing (ruling S9)."""
        is_synced = self.status is ReplicaStatus.READY or self.complete_pass_age_seconds is not None
        return self.enrolled and is_synced


@dataclass(frozen=True)
class SignalFacts:
    """What an answer to a signal on the serving instance depends on."""

    signal: SignalType
    enabled: bool
    protection: Protection
    kill: KillLevel
    standbys: tuple[StandbyFacts, ...]
    move_under_way: bool  # one whose target is launched and that can still finish in time
    can_sync: bool = True


@dataclass(frozen=True)
class SignalAnswer:
    """What was answered, and which rows came of it."""

    action: SignalAction
    replica_id: ReplicaId | None
    because: str
    switch_id: SwitchId | None = None


class Recovery(StrEnum):
    """How a workload comes back after its holder's death is proven."""

    STANDBY = "standby"
    VOLUME = "volume"
    SNAPSHOT = "snapshot"
    IMAGE = "image"


@dataclass(frozen=True)
class DeathFacts:
    """What is left of a dead holder. `gate_was_closed`: it let go before it died, so its volume lacks no write; so it
    is taken to have done when AWS took it after a notice of which the server could not hear.
    """

    enabled: bool
    kill: KillLevel
    standbys: tuple[StandbyFacts, ...]
    volume_survives: bool
    same_az_has_capacity: bool  # False: every way to launch in the volume's AZ has just been refused
    gate_was_closed: bool
    handed_over_to: ReplicaId | None  # the standby that received the last delta with the gate closed
    is_stopped: bool = (
        False  # not terminated: its volumes stay attached to it, and somebody may start it again
    )
    doubt: str | None = None  # who of two that have ended served last: nobody can tell
    image_age_seconds: float | None = None  # of the newest complete restore point; None: there is none
    looked: bool = True  # EC2 has just told which volumes are left
    may_be_hidden: bool = False  # its volumes, made so lately that EC2 need not show them yet
    keeps_state: bool = False  # on a volume besides the root: no image of before holds any of it
    state_on_root: bool = False  # its agent said so: no other volume of it has the state
    stray_volumes: tuple[
        str, ...
    ] = ()  # free ones of this agent's, and nobody knows whether they are the holder's
    copies: tuple[str, ...] = ()  # volumes of standbys that were in sync, and of which none takes over


@dataclass(frozen=True)
class RecoveryPlan:
    """`how` None: nothing is done, and `because` says why."""

    how: Recovery | None
    replica_id: ReplicaId | None
    lost_seconds: Decimal | None  # bound of what the promoted state lacks; None unknown
    because: str


def best_standby(standbys: tuple[StandbyFacts, ...]) -> StandbyFacts | None:
    """A ready one before a syncing one, then the newest pass; never one that does not answer or is under a signal."""
    fit = [s for s in standbys if s.may_take_over]
    return min(
        fit,
        key=lambda s: (
            s.status is not ReplicaStatus.READY,
            s.status is not ReplicaStatus.SYNCING,
            not s.enrolled,
            float("inf") if s.complete_pass_age_seconds is None else s.complete_pass_age_seconds,
            s.replica_id,
        ),
        default=None,
    )


def answer(facts: SignalFacts) -> SignalAnswer:
    """The answer to a signal on the serving instance. `CREATE_REPLICA` without an id: the caller makes one."""
    if not facts.enabled:
        return SignalAnswer(SignalAction.NONE, None, "disabled by its user: recorded and told, nothing done")
    if facts.kill is KillLevel.ALL:
        return SignalAnswer(SignalAction.NONE, None, "the kill switch stops everything, emergencies too")
    if facts.signal is SignalType.REBALANCE:
        return _answer_rebalance(facts)
    return _answer_termination(facts)


def _answer_rebalance(facts: SignalFacts) -> SignalAnswer:
    standby = best_standby(facts.standbys)
    if standby is not None:
        return SignalAnswer(
            SignalAction.MONITOR, standby.replica_id, "rebalance recommendation: a standby exists already"
        )
    if facts.move_under_way:
        return SignalAnswer(
            SignalAction.MONITOR, None, "rebalance recommendation: a move away is under way already"
        )
    if not facts.can_sync:
        return SignalAnswer(SignalAction.MONITOR, None, f"rebalance recommendation: {NO_SYNC}")
    held_back = facts.protection is Protection.MANUAL and facts.kill is KillLevel.VOLUNTARY
    if facts.protection is Protection.AUTOMATIC or held_back:
        but = ", since the kill switch holds the manual one back" if held_back else ""
        because = f"rebalance recommendation: an emergency replica is made{but}"
        return SignalAnswer(SignalAction.CREATE_REPLICA, None, because)
    comes = facts.protection is Protection.MANUAL
    what = "the manual replica is being made" if comes else "no protection mode, watched until a notice"
    return SignalAnswer(SignalAction.MONITOR, None, f"rebalance recommendation: {what}")


def _answer_termination(facts: SignalFacts) -> SignalAnswer:
    if facts.move_under_way:
        return SignalAnswer(
            SignalAction.HAND_OVER, None, "termination notice: the move under way becomes the hand-over"
        )
    standby = best_standby(facts.standbys)
    if standby is not None and not standby.holds_state:
        return SignalAnswer(
            SignalAction.HAND_OVER,
            standby.replica_id,
            "termination notice: the standby on its way takes over once it has the state",
        )
    if standby is not None:
        state = "ready" if standby.status is ReplicaStatus.READY else "newest"
        return SignalAnswer(
            SignalAction.PROMOTE, standby.replica_id, f"termination notice: the {state} standby takes over"
        )
    if not facts.can_sync:
        because = "termination notice and no state sync: the volumes are recovered after its end"
        return SignalAnswer(SignalAction.RELAUNCH, None, because)
    return SignalAnswer(
        SignalAction.CREATE_REPLICA,
        None,
        "termination notice and no standby: an emergency replica is made at once",
    )


def recover(facts: DeathFacts) -> RecoveryPlan:
    """After a death that EC2 confirms. The first way that applies wins; the order is ruling B9's."""
    if not facts.enabled:
        return RecoveryPlan(
            None, None, None, "disabled by its user: the death is recorded and told, nothing done"
        )
    if facts.kill is KillLevel.ALL:
        return RecoveryPlan(None, None, None, "the kill switch stops everything, emergencies too")
    return (
        _ask_who_served(facts)
        or _by_heir(facts)
        or _by_standby(facts)
        or _await_look(facts)
        or _by_volume(facts)
        or _await_sight(facts)
        or _by_old_pass(facts)
        or _ask_whose(facts)
        or _by_image(facts)
    )


def _ask_who_served(facts: DeathFacts) -> RecoveryPlan | None:
    """Either's volume may hold the newest writes, and the other's would lose them: both are kept for a person."""
    return None if facts.doubt is None else RecoveryPlan(None, None, None, facts.doubt)


def _usable(facts: DeathFacts) -> tuple[StandbyFacts, ...]:
    """Standbys that run and hold at least one complete pass: half a pass is never promoted."""
    return tuple(s for s in facts.standbys if s.enrolled and s.complete_pass_age_seconds is not None)


def _by_heir(facts: DeathFacts) -> RecoveryPlan | None:
    """Before a better looking standby: this one lacks nothing."""
    heirs = (s for s in _usable(facts) if s.replica_id == facts.handed_over_to and s.may_take_over)
    heir = next(heirs, None)
    if heir is None:
        return None
    return RecoveryPlan(Recovery.STANDBY, heir.replica_id, Decimal(0), "the standby received the last delta")


def _by_standby(facts: DeathFacts) -> RecoveryPlan | None:
    standby = best_standby(_usable(facts))
    if standby is None:
        return None
    if facts.gate_was_closed and (facts.volume_survives or facts.may_be_hidden or not facts.looked):
        return None  # it closed its gate first: its volume lacks no write, the standby may
    if standby is not _newest(facts) and not facts.volume_survives:
        return None  # what it lacks lies nowhere but with another standby
    age = _age(standby)
    if standby.status is ReplicaStatus.READY:
        return RecoveryPlan(Recovery.STANDBY, standby.replica_id, age, "the ready standby is promoted")
    if age <= RECENT_PASS_SECONDS:
        return RecoveryPlan(
            Recovery.STANDBY, standby.replica_id, age, f"the standby's newest complete pass is {age} s old"
        )
    return None


def _await_look(facts: DeathFacts) -> RecoveryPlan | None:
    """What the rows know of volumes may be old: neither is one taken by them, nor is a copy preferred to one."""
    if facts.looked:
        return None
    because = "EC2 does not tell which volumes are left: asked again until it does"
    return RecoveryPlan(None, None, None, because)


def _await_sight(facts: DeathFacts) -> RecoveryPlan | None:
    """Nothing older is taken while the newest may only be out of sight."""
    if not facts.may_be_hidden:
        return None
    minutes = SHOWS_WITHIN.total_seconds() / 60
    because = f"EC2 shows no volume of it, and need not yet: asked again until {minutes:.0f} minutes after its launch"
    return RecoveryPlan(None, None, None, because)


def _ask_whose(facts: DeathFacts) -> RecoveryPlan | None:
    """A volume that may hold every write is no less than a copy that lacks some: a person says which it is."""
    if not facts.stray_volumes:
        return None
    because = (
        f"nobody knows who had {', '.join(facts.stray_volumes)} last: if it holds the state, attach it to a new "
        f"instance, {START_ANEW}; if not, delete the volume, and the newest image is taken"
    )
    return RecoveryPlan(None, None, None, because)


def _by_volume(facts: DeathFacts) -> RecoveryPlan | None:
    if not facts.volume_survives:
        return None
    if facts.is_stopped:
        return RecoveryPlan(
            Recovery.SNAPSHOT,
            None,
            Decimal(0),
            "it is stopped and keeps its volume, should somebody start it again: a snapshot carries the state",
        )
    if facts.same_az_has_capacity:
        return RecoveryPlan(
            Recovery.VOLUME, None, Decimal(0), "the volume is attached to a new instance in its zone"
        )
    return RecoveryPlan(
        Recovery.SNAPSHOT,
        None,
        Decimal(0),
        "nothing starts in the volume's zone: a snapshot carries it to another",
    )


def _by_old_pass(facts: DeathFacts) -> RecoveryPlan | None:
    """The newest, though it be silent or under a signal, and but seconds newer: no other place has what it has."""
    newest = _newest(facts)
    if newest is None:
        return None
    if newest.is_deaf:
        return RecoveryPlan(None, None, None, _what_brings_back(facts, newest))
    if newest.replica_id == facts.handed_over_to:
        because = "no volume is left: the standby that received the last delta is promoted, silent or not"
        return RecoveryPlan(Recovery.STANDBY, newest.replica_id, Decimal(0), because)
    age = _age(newest)
    because = f"no volume is left: the complete pass of {age} s ago is promoted"
    other = best_standby(_usable(facts))
    if other is not None and other is not newest:
        why = "what was written between the two is nowhere else, and no write may be lost"
        because = f"{because}, not that of {_age(other)} s ago, though its standby looks better: {why}"
    return RecoveryPlan(Recovery.STANDBY, newest.replica_id, age, because)


def _age(standby: StandbyFacts) -> Decimal:
    return Decimal(str(round(standby.complete_pass_age_seconds or 0, 3)))


def _newest(facts: DeathFacts) -> StandbyFacts | None:
    """Who lacks the fewest writes of all that live. One that AWS is about to take is granted nothing: it comes last."""
    return min(
        _usable(facts),
        key=lambda s: (
            s.is_ending,
            s.replica_id != facts.handed_over_to,
            s.complete_pass_age_seconds,
            not s.may_take_over,
            s.status is not ReplicaStatus.READY,
            s.status is not ReplicaStatus.SYNCING,
            s.replica_id,
        ),
        default=None,
    )


def _what_brings_back(facts: DeathFacts, deaf: StandbyFacts) -> str:
    """Without figures, which would make it news each time."""
    then = recover(replace(facts, standbys=tuple(s for s in facts.standbys if s is not deaf)))
    served = then.because
    if then.how is not None:
        is_older = then.how is Recovery.STANDBY
        served = f"{'an older complete pass' if is_older else 'the newest image'} is taken"
    return (
        f"no volume is left, and the standby {deaf.instance_id}, which has the newest state, hears nothing of the "
        "server: restart its agent or mend its network, and it serves; or terminate it, which leaves what no other "
        f"place has to its disks alone, and then: {served}"
    )


def _by_image(facts: DeathFacts) -> RecoveryPlan:
    because = "neither a standby nor a volume besides the root is left: the newest image is the last resort"
    if facts.image_age_seconds is None and facts.state_on_root:
        because = (
            "its state lies on its root disk, which is kept, no standby and no restore point is left, and an instance "
            "without the state would serve nothing: attach that disk to another machine and give it another "
            f"logical_agent_id in its {CONFIG}, since its agent registers by that when it first starts; then make an "
            f"image of it (aws ec2 create-snapshot and register-image), launch that, {START_ANEW}"
        )
        return RecoveryPlan(None, None, None, because)
    if facts.image_age_seconds is None and facts.keeps_state:
        because = (
            "neither standby, volume nor restore point is left, and an instance without the state would serve "
            f"nothing: {_what_a_person_restores(facts)} to a new instance, {START_ANEW}"
        )
        return RecoveryPlan(None, None, None, because)
    if facts.image_age_seconds is None:
        return RecoveryPlan(Recovery.IMAGE, None, None, because)
    age = Decimal(str(round(facts.image_age_seconds, 3)))
    return RecoveryPlan(Recovery.IMAGE, None, age, f"{because}: a restore point of {age} s ago")


def _what_a_person_restores(facts: DeathFacts) -> str:
    if not facts.copies:
        return "restore a backup of your own"
    return (
        f"what a standby had received of the state before it failed lies on {', '.join(facts.copies)}: look at that, "
        "then attach it, or restore a backup of your own,"
    )
