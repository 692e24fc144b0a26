"""Where the old half of a move stands: one frozen value that survives a crash as JSON.

`learn` takes in what the server says of the move; `unreported` tells what the server has not been told yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

import msgspec

from spotguard.domain.errors import InvalidInput
from spotguard.domain.ids import CommandId, ImageId, InstanceId, SwitchId, VolumeId
from spotguard.domain.instances import Mode
from spotguard.domain.pools import parse_pool_id
from spotguard.domain.switches import AFTER_GRANT, PLANNED_STEPS, MoveKind, Step, SwitchStatus, Trigger
from spotguard.execution.launching import Candidate
from spotguard.ports.cloud import BlockDevice
from spotguard.ports.workload import SyncTarget

HOLDERS_STEPS = frozenset(
    {Step.SYNCED, Step.GATE_CLOSED, Step.DELTA_SENT, Step.IMAGED, Step.VOLUMES_MOVED, Step.RELEASED}
)
"""The steps that the old holder itself does and reports; `LAUNCHED` too where it launches."""


class MoveEnd(StrEnum):
    """How the old half ended."""

    RELEASED = "released"  # let go: the rest is the server's and the new holder's
    UNWOUND = "unwound"  # serves on with its epoch unchanged


@dataclass(frozen=True)
class OrderedPlace:
    """A pool and market in which an ordered launch may be tried."""

    pool_id: str
    mode: Mode


@dataclass(frozen=True)
class LaunchOrder:
    """What the agent has to launch (`launch` of a command's payload).

    `candidates`: where it is tried, in this order; without them in `pool_id` alone. `at_once`: in one instant fleet.
    """

    pool_id: str
    mode: Mode
    image_id: ImageId
    token_seed: str
    tags: dict[str, str] = field(default_factory=dict)
    user_data: str = ""
    block_devices: tuple[BlockDevice, ...] = ()
    candidates: tuple[OrderedPlace, ...] = ()
    at_once: bool = False

    @property
    def places(self) -> tuple[OrderedPlace, ...]:
        return self.candidates or (OrderedPlace(self.pool_id, self.mode),)


@dataclass(frozen=True)
class NewInstance:
    """What EC2 named when this agent launched."""

    instance_id: InstanceId
    pool_id: str
    mode: Mode
    image_id: ImageId


@dataclass(frozen=True)
class MovedVolume:
    """A volume on its way, and the device that it has on both instances."""

    volume_id: VolumeId
    device: str
    left: bool = (
        False  # seen free while being brought back: only then does "attached to us" mean that it stays
    )


@dataclass(frozen=True)
class MoveState:
    """The old half of one move. `switch_id` None: the agent hands over by itself, the server being away. `close_by`: by
    the steady clock.
    """

    own: InstanceId
    epoch: int
    kind: MoveKind
    begun_at: datetime
    trigger: Trigger | None = None
    switch_id: SwitchId | None = None
    command_id: CommandId | None = None
    close_by: datetime | None = None
    target: SyncTarget | None = None
    launch: LaunchOrder | None = None
    launched: NewInstance | None = None
    image_id: ImageId | None = None
    remarks: tuple[str, ...] = ()  # what EC2 made otherwise than was asked
    volumes: tuple[MovedVolume, ...] = ()
    position: int | None = None  # of the last pass, once the target has it
    done: dict[Step, datetime] = field(default_factory=dict)
    recorded: frozenset[Step] = frozenset()  # by the server
    reported: frozenset[Step] = frozenset()  # journalled in the outbox
    refused: tuple[str, ...] = ()  # ids of the spot pools that had no capacity
    refused_ondemand: tuple[str, ...] = ()  # the same of on-demand
    server_acts: bool = False  # the server calls EC2 for this move, whether or not this agent could
    overtaken: bool = False  # the server granted the next epoch on another proof than our release
    unwinding: str | None = None  # because
    ended: MoveEnd | None = None

    def with_step(self, step: Step, at: datetime) -> MoveState:
        return replace(self, done={**self.done, step: at})

    def without_steps(self, *steps: Step) -> MoveState:
        """They are to be done, and told, again."""
        done = {step: at for step, at in self.done.items() if step not in steps}
        return replace(self, done=done, reported=self.reported - {*steps}, recorded=self.recorded - {*steps})

    def unwind(self, because: str) -> MoveState:
        return replace(self, unwinding=self.unwinding or because)

    @property
    def gate_is_shut(self) -> bool:
        """This move has closed the gate and nothing has reopened it."""
        return Step.GATE_CLOSED in self.done and self.ended is not MoveEnd.UNWOUND


def candidates_of(places: Iterable[OrderedPlace]) -> tuple[Candidate, ...]:
    return tuple(Candidate(parse_pool_id(place.pool_id), place.mode) for place in places)


def encode(state: MoveState) -> bytes:
    return msgspec.json.encode(state)


def decode(content: bytes) -> MoveState:
    try:
        return msgspec.json.decode(content, type=MoveState)
    except msgspec.DecodeError as error:
        raise InvalidInput(f"not a move: {error}") from error


def remaining(state: MoveState) -> tuple[Step, ...]:
    """The planned steps up to the release that are not done, in order."""
    return tuple(s for s in PLANNED_STEPS[state.kind] if s not in AFTER_GRANT and s not in state.done)


def unreported(state: MoveState) -> dict[Step, datetime]:
    """What the server has to be told: the steps of our own hand."""
    ours = HOLDERS_STEPS | ({Step.LAUNCHED} if state.launched else set())
    return {
        step: at
        for step, at in state.done.items()
        if step in ours and step not in state.reported and step not in state.recorded
    }


def learn(
    state: MoveState,
    now: datetime,
    *,
    recorded: Iterable[Step],
    target: SyncTarget | None,
    status: SwitchStatus | None,
    acts_itself: bool,
) -> MoveState:
    """Take in the server's reply to a report. `acts_itself`: this agent calls EC2, so only it moves volumes.

    A move that the server has given up before our release is unwound; one that it has granted on another proof
    (the volume is attached elsewhere) is let go.
    """
    known = frozenset(recorded)
    others = {Step.DECIDED, Step.LAUNCHED, Step.ENROLLED}
    if not acts_itself:
        others |= {Step.IMAGED, Step.VOLUMES_MOVED}
    done = dict(state.done)
    for step in PLANNED_STEPS[state.kind]:
        if step in others and step in known:
            done.setdefault(step, now)
    state = replace(state, recorded=state.recorded | known, target=target or state.target, done=done)
    if state.ended is not None or Step.RELEASED in state.done:
        return state
    if status in (SwitchStatus.COMMITTED, SwitchStatus.COMPLETED):
        return replace(state, overtaken=True, unwinding=None)
    if status in (SwitchStatus.UNWOUND, SwitchStatus.FAILED):
        return state.unwind("the server has given the move up")
    return state


def merge_released(state: MoveState, earlier: MoveState) -> MoveState:
    """The command for a hand-over that this agent has already made alone: its steps are told, not done again."""
    wanted = set(PLANNED_STEPS[state.kind])
    if earlier.target is None or state.target is None or earlier.target != state.target:
        wanted -= {Step.SYNCED, Step.DELTA_SENT}  # what was sent went to another one
    done: Mapping[Step, datetime] = {step: at for step, at in earlier.done.items() if step in wanted}
    position = earlier.position if Step.DELTA_SENT in done else state.position
    return replace(state, done={**state.done, **done}, position=position, ended=earlier.ended)
