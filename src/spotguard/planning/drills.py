"""Rehearsals: what a failover drill has measured, and whether it passed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from spotguard.domain.decisions import PoolAssessment
from spotguard.domain.instances import Mode
from spotguard.domain.signals import REBALANCE_COUNTS_FOR
from spotguard.domain.switches import MoveKind, Step, SwitchStatus
from spotguard.planning.guard_rails import above_the_limit
from spotguard.planning.spans import about
from spotguard.planning.standby import Place

_COMPLETE = {
    MoveKind.SYNCED: Step.DELTA_SENT,
    MoveKind.VOLUME: Step.VOLUMES_MOVED,
    MoveKind.IMAGE: Step.IMAGED,
}
"""After which step, with the gate closed, the new instance lacks no write."""


@dataclass(frozen=True)
class FailoverFacts:
    """A failover drill and its move. `told`: steps by their agents' clocks; `heard`: the same by the server's.

    `superseded_by`: the later epoch that served before the new instance had proven itself, as after its death.
    """

    started_at: datetime
    deadline_at: datetime
    kind: MoveKind
    status: SwitchStatus
    ended_because: str | None
    told: Mapping[Step, datetime]
    heard: Mapping[Step, datetime]
    superseded_by: int | None = None


@dataclass(frozen=True)
class Verdict:
    """How a drill ended. Figures that were not measured are None."""

    passed: bool
    because: str
    healthy_at: datetime | None = None
    seconds: Decimal | None = None
    outage_seconds: Decimal | None = None
    lost_seconds: Decimal | None = None


def judge_failover(facts: FailoverFacts, now: datetime) -> Verdict | None:
    """None while it is under way. It passes when the new instance is verified: healthy several times in a row."""
    if facts.superseded_by is not None:
        because = f"its new instance had not proven itself when epoch {facts.superseded_by} followed it"
        return Verdict(passed=False, because=because)
    if Step.VERIFIED in facts.told and Step.OPENED in facts.heard:
        return _passed(facts)
    if facts.status in (SwitchStatus.UNWOUND, SwitchStatus.FAILED):
        return Verdict(passed=False, because=f"the move came to nothing: {facts.ended_because or 'unknown'}")
    if now > facts.deadline_at:
        last = max(facts.heard, key=lambda step: facts.heard[step], default=Step.DECIDED)
        return Verdict(passed=False, because=f"its time is over, and its last step was {last.value}")
    return None


def _passed(facts: FailoverFacts) -> Verdict:
    healthy_at = facts.heard[Step.OPENED]
    seconds, outage = span(facts.started_at, healthy_at), _outage(facts)
    nothing_lost = {Step.GATE_CLOSED, _COMPLETE.get(facts.kind, Step.GATE_CLOSED)} <= facts.told.keys()
    unserved = "nobody knows how long nobody served" if outage is None else f"nobody served for {outage:f} s"
    return Verdict(
        passed=True,
        because=f"the new instance served {seconds:f} s after the start; {unserved}",
        healthy_at=healthy_at,
        seconds=seconds,
        outage_seconds=outage,
        lost_seconds=Decimal(0) if nothing_lost else None,
    )


def _outage(facts: FailoverFacts) -> Decimal | None:
    """From the closed gate of the one to the open gate of the other; None where their clocks contradict each other."""
    closed, opened = facts.told.get(Step.GATE_CLOSED), facts.told.get(Step.OPENED)
    if closed is None or opened is None or opened < closed:
        return None
    return span(closed, opened)


def span(since: datetime, until: datetime) -> Decimal:
    """Seconds, to the millisecond; none is negative."""
    elapsed = max(until - since, timedelta(0))
    return (Decimal(elapsed // timedelta(microseconds=1)) / 1_000_000).quantize(Decimal("0.001"))


@dataclass(frozen=True)
class StatePlace:
    """Where an instance's agent says that its state lies. None: it has not said, or EC2 has not shown the disks.
    `devices`: as what the volumes are attached.
    """

    instance_id: str
    on_root: bool | None
    devices: frozenset[str] | None


@dataclass(frozen=True)
class Rehearsed:
    """What a clone's agent looked at while its workload ran. `has_probe` None: it is of a version that does not say;
    `state_path` None: none is configured.
    """

    has_probe: bool | None
    state_path: str | None
    mounted_at: str | None
    place: StatePlace


def judge_restore(clone: Rehearsed, serving: StatePlace | None) -> Verdict:
    """What the start of the workload has proven: no more than what was looked at."""
    if serving is not None and (lies := _lies_elsewhere(clone.place, serving)) is not None:
        return Verdict(passed=False, because=f"the workload ran, and {lies}")
    if clone.has_probe is None:
        return Verdict(
            passed=True, because="healthy (its agent is of an older version, and does not say by what)"
        )
    probe = "its probe succeeded" if clone.has_probe else "it runs (no probe is configured)"
    return Verdict(passed=True, because=f"{probe}; {_state_proven(clone, serving)}")


def _state_proven(clone: Rehearsed, serving: StatePlace | None) -> str:
    if clone.state_path is None:
        return "of its state nothing was looked at (no state_path)"
    is_mount = clone.state_path == clone.mounted_at
    mount = "a mount point of its own" if is_mount else f"below the mount point {clone.mounted_at}"
    found = f"its state folder {clone.state_path}, {mount}, is not empty"
    place = clone.place
    if serving is None:
        return f"{found}; nobody serves, to compare where it lies"
    if _both_shown(place, serving):
        return f"{found}, and lies on {_named(place)}, as that of {serving.instance_id}"
    if None not in (place.on_root, serving.on_root):
        where = "on the disk that it boots from" if place.on_root else "on another disk than it boots from"
        return f"{found}, and lies {where}, as that of {serving.instance_id}"
    return f"{found}; whether it lies where {serving.instance_id} has it is not known"


def _named(place: StatePlace) -> str:
    return " and ".join(sorted(place.devices or ()))


def _both_shown(one: StatePlace, other: StatePlace) -> bool:
    return one.devices is not None and other.devices is not None


def _lies_elsewhere(clone: StatePlace, serving: StatePlace) -> str | None:
    if None not in (clone.on_root, serving.on_root) and clone.on_root != serving.on_root:
        on, off = (clone, serving) if clone.on_root else (serving, clone)
        return f"the state of {on.instance_id} lies on the disk that it boots from, that of {off.instance_id} does not"
    if _both_shown(clone, serving) and clone.devices != serving.devices:
        return f"its state lies on {_named(clone)}, that of {serving.instance_id} on {_named(serving)}"
    return None


def certificate_text(
    *,
    passed: bool,
    age: timedelta,
    seconds: Decimal | None,
    state_age_seconds: Decimal | None,
    because: str | None,
) -> str:
    """As people read it: `proven 9 h ago: 187 s, image 4 min old; its probe succeeded`. Of what was proven `because`
    tells.
    """
    if not passed:
        return f"failed {about(age)} ago: {because or 'nobody knows why'}"
    proven = "" if because is None else f"; {because}"
    return f"proven {about(age)} ago: {measured_text(seconds, state_age_seconds)}{proven}"


def measured_text(seconds: Decimal | float | None, state_age_seconds: Decimal | float | None) -> str:
    """`187 s, image 4 min old`: from the launch until it was healthy, and the age of its state at that launch."""
    measured = "not measured" if seconds is None else f"{seconds:.0f} s"
    if state_age_seconds is None:
        return measured
    return f"{measured}, image {about(timedelta(seconds=float(state_age_seconds)))} old"


def calm_places(
    places: Sequence[Place], assessed: Sequence[PoolAssessment], risk_limit: Decimal
) -> tuple[Place, ...]:
    """Where a rehearsal goes, in the order given: spot pools above the agent's risk limit, or with trouble fresher than
    a recommendation counts for, come after everything else, on demand included. Nobody rehearses into a storm.
    """
    stormy = {a.pool.id for a in assessed if _is_stormy(a, risk_limit)}
    return tuple(sorted(places, key=lambda p: p.mode is Mode.SPOT and p.pool.id in stormy))


def _is_stormy(pool: PoolAssessment, risk_limit: Decimal) -> bool:
    fresh = pool.up_seconds is not None and pool.up_seconds < REBALANCE_COUNTS_FOR.total_seconds()
    return fresh or above_the_limit(pool.risk_6h, risk_limit) is not None


BOOTS_WITHIN = timedelta(minutes=40)
"""From a clone's launch to its first healthy probe: a volume made from a snapshot is read slowly at first (E31)."""

LAUNCHED_WITHIN = timedelta(minutes=20)
AGAIN_AFTER_FAILURE = timedelta(days=1)


def restore_drill_is_due(
    now: datetime, every_days: int, last_began: datetime | None, *, last_passed: bool
) -> bool:
    """The next rehearsal of the newest restore point; after one that failed, a day later at the latest."""
    if every_days == 0:
        return False
    if last_began is None:
        return True
    every = timedelta(days=every_days)
    return now - last_began >= (every if last_passed else min(every, AGAIN_AFTER_FAILURE))
