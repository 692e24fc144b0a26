"""Moves of a workload from one instance to another: plans, steps, lives.

Before `granted` everything unwinds and the old instance resumes; after it everything goes forward.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from spotguard.domain.errors import InvalidInput
from spotguard.domain.life import Life


class Trigger(StrEnum):
    """What set the move off (`switches.event_trigger`).

    `EMERGENCY`: a termination notice or a death. `REBALANCE`: a notice too, whose standby a rebalance recommendation
    had made before (the specification's outcome B); a recommendation by itself moves nothing (ruling B7).
    """

    AUTO_SWITCH = "auto_switch"
    MANUAL = "manual"
    EMERGENCY = "emergency"
    REBALANCE = "rebalance"

    @property
    def told(self) -> str:
        """For people."""
        return "notice after a rebalance recommendation" if self is Trigger.REBALANCE else self.value


class MoveKind(StrEnum):
    """How the state travels (ruling B1). `SNAPSHOT` only recovers a dead holder's volume in another AZ (B9)."""

    SYNCED = "synced"
    VOLUME = "volume"
    IMAGE = "image"
    SNAPSHOT = "snapshot"


class Step(StrEnum):
    """One recorded step of a move."""

    DECIDED = "decided"
    LAUNCHED = "launched"  # EC2 has named the new instance
    ENROLLED = "enrolled"  # its agent has registered
    SYNCED = "synced"  # a complete pass has reached it
    GATE_CLOSED = "gate_closed"  # the old workload is stopped and flushed
    DELTA_SENT = "delta_sent"  # the last pass, made with the gate closed, is complete
    IMAGED = "imaged"  # the image, begun with the gate closed, is available
    SNAPSHOTTED = "snapshotted"  # the dead holder's volume has a complete snapshot
    VOLUMES_MOVED = "volumes_moved"  # the state volume is attached to the new instance
    RELEASED = "released"  # the old holder has let go of its epoch, durably, for ever
    GRANTED = "granted"  # the next epoch is the new instance's
    OPENED = "opened"  # the workload serves on the new instance
    TRAFFIC_MOVED = "traffic_moved"  # read back: clients reach it (at once, where no route is configured)
    VERIFIED = "verified"  # healthy for N checks in a row
    OLD_ENDED = "old_ended"  # the old instance has ended (or is left running: auto-terminate off)
    PRUNED = "pruned"  # leftovers are gone: the move is complete


class SwitchStatus(StrEnum):
    """The life of a `switches` row."""

    PREPARING = "preparing"  # before the grant: can be unwound
    COMMITTED = "committed"  # granted: only forward
    COMPLETED = "completed"
    UNWOUND = "unwound"  # the old instance serves on
    FAILED = "failed"  # nothing more can be done by itself: a person is told


SWITCH_LIFE = Life(
    "switch",
    {
        SwitchStatus.PREPARING: frozenset(
            {SwitchStatus.COMMITTED, SwitchStatus.UNWOUND, SwitchStatus.FAILED}
        ),
        SwitchStatus.COMMITTED: frozenset({SwitchStatus.COMPLETED, SwitchStatus.FAILED}),
        SwitchStatus.COMPLETED: frozenset(),
        SwitchStatus.UNWOUND: frozenset(),
        SwitchStatus.FAILED: frozenset(),
    },
)

OPEN_SWITCH = frozenset({SwitchStatus.PREPARING, SwitchStatus.COMMITTED})


class WhenLate(StrEnum):
    """What happens when a step's time is over and it has not happened."""

    UNWIND = "unwind"  # the move is given up: the old instance serves on
    FORWARD = "forward"  # the grant needs it no more: the volume's single attachment is the fence
    OTHER_WAY = "other_way"  # this recovery is given up for another way to recover
    ALARM = "alarm"  # people are told, and it goes on: nothing can be taken back, or nothing else is left


@dataclass(frozen=True)
class StepRule:
    """One row of the step table: `seconds` after the step before it, and what then.

    A step that copies or images the state has `seconds_per_gib` of it, if that is more.
    """

    step: Step
    seconds: int
    late: WhenLate = WhenLate.UNWIND
    seconds_per_gib: int = 0

    def within_seconds(self, state_gib: int | None) -> int:
        return max(self.seconds, self.seconds_per_gib * (state_gib or 0))


_AFTER = (
    StepRule(Step.OPENED, 120, WhenLate.ALARM),
    StepRule(Step.TRAFFIC_MOVED, 600, WhenLate.ALARM),  # health checks, name servers, the user's script
    StepRule(Step.VERIFIED, 600, WhenLate.ALARM),  # three heartbeats, a minute apart
    StepRule(Step.OLD_ENDED, 1200, WhenLate.ALARM),  # after the waiting time; EC2 takes minutes to end one
    StepRule(Step.PRUNED, 900, WhenLate.ALARM),
)
_ENDING = (StepRule(Step.GRANTED, 300), *_AFTER)
_RECOVERED = (StepRule(Step.GRANTED, 120, WhenLate.ALARM), *_AFTER)
_LAUNCHED = StepRule(Step.LAUNCHED, 300)
_ENROLLED = StepRule(Step.ENROLLED, 900)  # boots, starts its agent, registers, hears the answer
_STOPPED = StepRule(Step.GATE_CLOSED, 300)  # systemd gives a unit 90 s to stop, its owner may give it more
_RELEASED = StepRule(Step.RELEASED, 60)

PLANNED: dict[MoveKind, tuple[StepRule, ...]] = {
    MoveKind.SYNCED: (
        StepRule(Step.DECIDED, 0),
        _LAUNCHED,
        _ENROLLED,
        StepRule(Step.SYNCED, 3600, seconds_per_gib=20),  # half of what one AZ's network carries
        _STOPPED,
        StepRule(Step.DELTA_SENT, 60),
        _RELEASED,
        *_ENDING,
    ),
    MoveKind.VOLUME: (
        StepRule(Step.DECIDED, 0),
        _LAUNCHED,
        _ENROLLED,
        _STOPPED,
        StepRule(Step.VOLUMES_MOVED, 240),
        StepRule(Step.RELEASED, 60, WhenLate.FORWARD),
        *_ENDING,
    ),
    MoveKind.IMAGE: (
        StepRule(Step.DECIDED, 0),
        _STOPPED,
        StepRule(Step.IMAGED, 2400),  # minutes, sometimes hours: then the workload waits no longer
        _LAUNCHED,
        _ENROLLED,
        _RELEASED,
        *_ENDING,
    ),
}
"""The steps of a move whose holder lives, in order, each with its time: who runs it may stop after any and go on.

A hand-over after a termination notice has the notice's time instead, up to its grant.
"""

_OTHER_ENROLLED = StepRule(Step.ENROLLED, 900, WhenLate.OTHER_WAY)

RECOVERY: dict[MoveKind, tuple[StepRule, ...]] = {
    MoveKind.SYNCED: (StepRule(Step.DECIDED, 0), *_RECOVERED),
    MoveKind.VOLUME: (
        StepRule(Step.DECIDED, 0),
        StepRule(
            Step.LAUNCHED, 120, WhenLate.OTHER_WAY
        ),  # a dry zone: a snapshot goes where there is capacity
        _OTHER_ENROLLED,
        StepRule(Step.VOLUMES_MOVED, 300, WhenLate.ALARM),
        *_RECOVERED,
    ),
    MoveKind.SNAPSHOT: (
        StepRule(Step.DECIDED, 0),
        StepRule(Step.SNAPSHOTTED, 3600, WhenLate.ALARM),
        StepRule(Step.LAUNCHED, 600, WhenLate.ALARM),
        _OTHER_ENROLLED,
        *_RECOVERED,
    ),
    MoveKind.IMAGE: (
        StepRule(Step.DECIDED, 0),
        StepRule(Step.LAUNCHED, 600, WhenLate.ALARM),
        _OTHER_ENROLLED,
        *_RECOVERED,
    ),
}
"""The steps after the holder is proven dead: there is nobody to close a gate, and nobody to give it back to."""


def rules_of(kind: MoveKind, *, is_recovery: bool) -> tuple[StepRule, ...]:
    """The step table of one move. `ValueError` for a planned snapshot: there is none."""
    rules = (RECOVERY if is_recovery else PLANNED).get(kind)
    if rules is None:
        raise ValueError(f"there is no planned move of kind {kind}")
    return rules


def _steps_of(table: dict[MoveKind, tuple[StepRule, ...]]) -> dict[MoveKind, tuple[Step, ...]]:
    return {kind: tuple(rule.step for rule in rules) for kind, rules in table.items()}


PLANNED_STEPS = _steps_of(PLANNED)
RECOVERY_STEPS = _steps_of(RECOVERY)

AFTER_GRANT = frozenset(rule.step for rule in _ENDING)

TIMING_NAME: dict[Step, str] = {
    Step.DECIDED: "initiated_at",
    Step.LAUNCHED: "instance_launched_at",
    Step.ENROLLED: "enrolled_at",
    Step.SYNCED: "synced_at",
    Step.GATE_CLOSED: "gate_closed_at",
    Step.DELTA_SENT: "delta_sent_at",
    Step.IMAGED: "ami_created_at",
    Step.SNAPSHOTTED: "snapshotted_at",
    Step.VOLUMES_MOVED: "volumes_moved_at",
    Step.RELEASED: "released_at",
    Step.GRANTED: "granted_at",
    Step.OPENED: "instance_ready_at",
    Step.TRAFFIC_MOVED: "traffic_moved_at",
    Step.VERIFIED: "verified_at",
    Step.OLD_ENDED: "old_terminated_at",
    Step.PRUNED: "pruned_at",
}
"""Under which name of the switch report's `timing` a step travels; the specification's five among them."""

STEP_OF_TIMING = {name: step for step, name in TIMING_NAME.items()}


def parse_trigger(text: str) -> Trigger:
    try:
        return Trigger(text)
    except ValueError as error:
        raise InvalidInput(f"unknown switch trigger: {text[:40]!r}") from error
