"""`ports.workload.StateSync` by the user's own commands: for databases that replicate themselves, and block devices.

Each is a list of arguments with a time to end, and tells by the last line of its output that is a JSON object:

    position                      {"position": 4711}
    push      (on the primary)    {"position": 4711, "bytes_sent": 100, "lag_seconds": 0.2}
    received  (on a standby)      {"progress_percent": 100, "position": 4711, "lag_seconds": 0.2}
    adopt     (on a standby)      {"adopted": true}

`push` is told `SPOTGUARD_TARGET_INSTANCE_ID` and `SPOTGUARD_TARGET_ADDRESS`, and ends when the target holds durably all
that was acknowledged here when it began; `position` then says how much that was. `adopt` is told `SPOTGUARD_EPOCH`, and
each of the four `SPOTGUARD_INSTANCE_ID`, this instance's own. Exit status 0 is success.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from spotguard.domain.errors import GateFailed, SyncFailed
from spotguard.host.commands import Ran, Running, run
from spotguard.host.term import UNKNOWN_TERM, Term
from spotguard.ports.workload import Position, Received, SyncPass, SyncTarget

AT_ONCE_SECONDS = 0.5  # so long a call waits for a push; a longer one is asked after again

Count = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0)]
T = TypeVar("T")


@dataclass(frozen=True)
class SyncCommands:
    """The four commands."""

    position: Sequence[str]
    push: Sequence[str]
    received: Sequence[str]
    adopt: Sequence[str]


class _Position(msgspec.Struct):
    position: Position


class _Pushed(msgspec.Struct):
    position: Position
    bytes_sent: Count
    lag_seconds: Seconds


class _Received(msgspec.Struct):
    progress_percent: Annotated[float, Meta(ge=0, le=100)]
    position: Position | None
    lag_seconds: Seconds | None


class _Adopted(msgspec.Struct):
    adopted: bool


@dataclass(frozen=True)
class _UnderWay:
    running: Running
    begun: float  # monotonic seconds


class CommandSync:
    """`seconds`: the time that each command has."""

    def __init__(self, commands: SyncCommands, seconds: float, term: Term = UNKNOWN_TERM) -> None:
        self._commands, self._seconds, self._term = commands, seconds, term
        self._under_way: dict[str, _UnderWay] = {}
        self._pushing = threading.Lock()  # the duties of moves and of standbys both push

    def delivers_notes(self) -> bool:
        return False

    def can_sync(self) -> bool:
        return True

    def position(self) -> int:
        return self._ask(self._commands.position, _Position).position

    def push(self, target: SyncTarget) -> SyncPass | None:
        with self._pushing:
            under_way = self._under_way.get(target.instance_id)
            if under_way is None:
                under_way = self._under_way[target.instance_id] = self._begin(target)
            ran = under_way.running.ended(AT_ONCE_SECONDS)
            if ran is None:
                return None
            del self._under_way[target.instance_id]
        told = _told(self._commands.push, ran, _Pushed)
        taken = time.monotonic() - under_way.begun
        return SyncPass(told.position, told.bytes_sent, taken, told.lag_seconds)

    def keep_only(self, instance_ids: Collection[str]) -> None:
        with self._pushing:
            for gone in self._under_way.keys() - set(instance_ids):
                self._under_way.pop(gone).running.kill()

    def close(self) -> None:
        """No command is left behind."""
        self.keep_only(())

    def received(self) -> Received:
        told = self._ask(self._commands.received, _Received)
        return Received(told.progress_percent, told.position, told.lag_seconds)

    def deliver(self, target: SyncTarget, name: str, content: bytes) -> None:
        """The commands carry state alone: without a server a holder that syncs by them cannot name its successor."""
        raise SyncFailed("a state sync by commands delivers no notes")

    def delivered(self, name: str) -> bytes | None:
        return None

    def adopt(self, epoch: int) -> bool:
        """Before the workload starts. `GateFailed`: it must not start."""
        try:
            told = self._ask(self._commands.adopt, _Adopted, {"SPOTGUARD_EPOCH": str(epoch)})
        except SyncFailed as error:
            raise GateFailed(f"the received state could not be adopted: {error}") from error
        return told.adopted

    def _begin(self, target: SyncTarget) -> _UnderWay:
        """What is here before the adoption is older than what it would be sent over, or kept beside as the newest."""
        if not self._term.has_opened():
            raise SyncFailed(f"no push before the workload has opened under epoch {self._term.held()}")
        told = {
            "SPOTGUARD_TARGET_INSTANCE_ID": target.instance_id,
            "SPOTGUARD_TARGET_ADDRESS": target.address,
        }
        try:
            return _UnderWay(
                Running(self._commands.push, self._seconds, self._own() | told), time.monotonic()
            )
        except OSError as error:
            raise SyncFailed(str(error)) from error

    def _ask(self, command: Sequence[str], of: type[T], environment: Mapping[str, str] | None = None) -> T:
        return _told(command, run(command, self._seconds, self._own() | dict(environment or {})), of)

    def _own(self) -> dict[str, str]:
        instance = self._term.instance()
        return {} if instance is None else {"SPOTGUARD_INSTANCE_ID": instance}


def _told(command: Sequence[str], ran: Ran, of: type[T]) -> T:
    """What its last JSON line says. `SyncFailed` when it failed, or says something else."""
    lines = ran.output.splitlines()
    if not ran.succeeded:
        last = lines[-1:] or [f"exit {ran.status}"]
        raise SyncFailed(f"{' '.join(command)[:200]}: {last[0][:200]}")
    objects = [line for line in lines if line.lstrip().startswith("{")]
    if not objects:
        raise SyncFailed(f"{' '.join(command)[:200]}: it told no JSON object")
    try:
        return msgspec.json.decode(objects[-1], type=of)
    except msgspec.DecodeError as error:
        raise SyncFailed(f"{' '.join(command)[:200]}: {error}") from error
