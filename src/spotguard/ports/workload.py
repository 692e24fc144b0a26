"""The user's workload on an instance: its gate, and the copying of its state."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Annotated, Protocol

import msgspec

from spotguard.domain.instances import GateState

REHEARSAL = 0
"""The epoch with which a gate opens in quarantine: nobody's term, and no client comes."""

STATE_MOUNT = "state-mount"
"""The name under which an instance remembers where its state lay when its workload opened."""

STARTS = "starts"
"""The name under which it remembers the starts of its workload that have not ended."""

Position = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""How far a state has come, as far as that can be told: a figure beyond is none."""


class Gate(Protocol):
    """Starts and stops the user's workload. Closed means: stopped, flushed, and answering nobody.

    A gate comes up closed after every boot; only `open` opens it: with the current epoch, or on a clone in
    quarantine with `REHEARSAL`.
    """

    def state(self) -> GateState: ...

    def open(self, epoch: int, before: Callable[[], None] | None = None) -> None:
        """Start the workload, and do `before` right before that, where surely nothing runs. Open already: harmless, and
        without `before`. `GateFailed`: it does not come up, or whether it runs cannot be told.
        """

    def close(self) -> None:
        """Stop and flush; returns when no more write can happen, and what was written is on the state's disks.
        `GateFailed` when it does not stop, or while they do not answer.
        """

    def healthy(self) -> bool:
        """The user's own probe; False while closed."""


class Quiesce(Protocol):
    """The user's hooks around an image of a workload. Each may be called twice."""

    def freeze(self) -> None:
        """Returns when everything that was acknowledged is on the volumes and stays so; `QuiesceFailed` otherwise."""

    def thaw(self) -> None:
        """Undo it; nothing frozen: harmless. `QuiesceFailed` when it did not succeed: it is called again."""


@dataclass(frozen=True)
class SyncPass:
    """One complete pass. `position` grows with the state (bytes or sequence number; the driver says which)."""

    position: int
    bytes_sent: int
    seconds: float
    lag_seconds: float  # age of the newest state that the target now holds


@dataclass(frozen=True)
class Received:
    """What a standby holds. `position` and `as_of` belong to the newest *complete* pass; None before the first."""

    progress_percent: float  # of the pass under way, or 100 when the newest is complete
    position: int | None
    lag_seconds: float | None  # age of the newest complete pass's state


@dataclass(frozen=True)
class SyncTarget:
    """Where to copy to."""

    instance_id: str
    address: str


class StateSync(Protocol):
    """Copies the workload's state from this instance to another. Whole passes only: half a pass leaves the
    target with its last complete one.
    """

    def can_sync(self) -> bool:
        """Whether a sync is configured here at all: without one, `push` always fails."""

    def position(self) -> int:
        """How far this instance's own state has come. `SyncFailed` when it cannot be told."""

    def push(self, target: SyncTarget) -> SyncPass | None:
        """Carry a pass on. None while one is under way (ask again); the pass when it is complete.

        `SyncFailed` when it broke; the next call starts anew.
        """

    def keep_only(self, instance_ids: Collection[str]) -> None:
        """End what is under way to anybody else: it counts for nothing."""

    def received(self) -> Received:
        """On a standby: what has arrived here, measured, never assumed. `SyncFailed` when it cannot be measured."""

    def deliver(self, target: SyncTarget, name: str, content: bytes) -> None:
        """Lay a small note beside the passes there, whole, in the place of a former one of this name.

        `SyncFailed` when it did not arrive, or perhaps did: delivered again it is the same.
        """

    def delivers_notes(self) -> bool:
        """Whether `deliver` can succeed: commands of the user's own carry no notes."""

    def delivered(self, name: str) -> bytes | None:
        """The newest note of this name that was laid here; None: none was, or it is larger than a note may be."""
