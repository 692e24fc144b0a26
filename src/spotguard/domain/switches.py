"""Moves of a workload from one instance to another: plans, steps, lives.

Before `granted` everything unwinds and the old instance resumes; after it everything goes forward.
"""

from __future__ import annotations

from enum import StrEnum

from spotguard.domain.errors import InvalidInput
from spotguard.domain.life import Life


class Trigger(StrEnum):
    """What set the move off (`switches.event_trigger`)."""

    AUTO_SWITCH = "auto_switch"
    MANUAL = "manual"
    EMERGENCY = "emergency"
    REBALANCE = "rebalance"


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

_ENDING = (Step.GRANTED, Step.OPENED, Step.VERIFIED, Step.OLD_ENDED, Step.PRUNED)

PLANNED_STEPS: dict[MoveKind, tuple[Step, ...]] = {
    MoveKind.SYNCED: (
        Step.DECIDED,
        Step.LAUNCHED,
        Step.ENROLLED,
        Step.SYNCED,
        Step.GATE_CLOSED,
        Step.DELTA_SENT,
        Step.RELEASED,
        *_ENDING,
    ),
    MoveKind.VOLUME: (
        Step.DECIDED,
        Step.LAUNCHED,
        Step.ENROLLED,
        Step.GATE_CLOSED,
        Step.VOLUMES_MOVED,
        Step.RELEASED,
        *_ENDING,
    ),
    MoveKind.IMAGE: (
        Step.DECIDED,
        Step.GATE_CLOSED,
        Step.IMAGED,
        Step.LAUNCHED,
        Step.ENROLLED,
        Step.RELEASED,
        *_ENDING,
    ),
}
"""The steps of a move whose holder lives, in order: who runs it may stop after any and go on."""

RECOVERY_STEPS: dict[MoveKind, tuple[Step, ...]] = {
    MoveKind.SYNCED: (Step.DECIDED, *_ENDING),
    MoveKind.VOLUME: (Step.DECIDED, Step.LAUNCHED, Step.ENROLLED, Step.VOLUMES_MOVED, *_ENDING),
    MoveKind.SNAPSHOT: (Step.DECIDED, Step.SNAPSHOTTED, Step.LAUNCHED, Step.ENROLLED, *_ENDING),
    MoveKind.IMAGE: (Step.DECIDED, Step.LAUNCHED, Step.ENROLLED, *_ENDING),
}
"""The steps after the holder is proven dead: there is nobody to close a gate."""

AFTER_GRANT = frozenset(_ENDING)

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
