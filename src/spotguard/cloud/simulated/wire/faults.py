"""Faults between a client and the cloud: errors, delays and cut connections, before an effect or after it.

They hit any call on the wire, also those that moto answers; `SimulatedEc2.faults` hits the simulator's calls alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Lock

ANY = "*"


class FaultKind(StrEnum):
    """What happens to the call."""

    ERROR = "error"  # an answer with this code and status
    CUT = "cut"  # the connection ends without an answer
    DELAY = "delay"  # the answer is late


class Moment(StrEnum):
    """On which side of the effect."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True)
class Call:
    """One call as it came in. `action` is AWS's own name; `parameters` are flat, as the query protocol sends them."""

    service: str
    action: str
    parameters: dict[str, str]
    access_key: str = ""


@dataclass(frozen=True)
class Fault:
    """Hits calls of `action` (`*` for all), after leaving `skip` of them alone, `times` times (0: until cleared)."""

    action: str
    kind: FaultKind
    moment: Moment = Moment.BEFORE
    code: str = "InternalError"
    status: int | None = None  # None: the one that EC2 gives with this code
    seconds: float = 0.0
    skip: int = 0
    times: int = 1


@dataclass
class _Planned:
    fault: Fault
    left_alone: int = 0
    hits: int = 0

    @property
    def is_spent(self) -> bool:
        return bool(self.fault.times) and self.hits >= self.fault.times

    def takes(self, call: Call) -> bool:
        if self.is_spent or self.fault.action not in {ANY, call.action}:
            return False
        if self.left_alone < self.fault.skip:
            self.left_alone += 1
            return False
        self.hits += 1
        return True


Watcher = Callable[[Call, Moment], None]


@dataclass
class WireFaults:
    """What is planned, what was hit, what was asked. Safe from several threads."""

    injected: Counter[str] = field(default_factory=Counter)  # by action, kind and moment
    calls: Counter[str] = field(default_factory=Counter)  # by action, whatever came of them
    _planned: list[_Planned] = field(default_factory=list)
    _watchers: list[Watcher] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def plan(self, fault: Fault) -> None:
        with self._lock:
            self._planned.append(_Planned(fault))

    def clear(self) -> None:
        """Faults stop; what was counted stays."""
        with self._lock:
            self._planned.clear()

    def watch(self, watcher: Watcher) -> None:
        """Be told of every call before and after its effect, in its own thread, outside of the lock.

        The call waits for the watcher, which may therefore kill the caller in between.
        """
        self._watchers.append(watcher)

    def told(self, call: Call, moment: Moment) -> None:
        for watcher in self._watchers:
            watcher(call, moment)

    def of(self, call: Call) -> list[Fault]:
        """The faults of this call, counted as injected."""
        with self._lock:
            self.calls[call.action] += 1
            hit = [planned.fault for planned in self._planned if planned.takes(call)]
            self._planned = [planned for planned in self._planned if not planned.is_spent]
            for fault in hit:
                self.injected[f"{call.action}:{fault.kind}:{fault.moment}"] += 1
        return hit

    def pending(self) -> int:
        """Planned faults that have not yet hit as often as they should."""
        with self._lock:
            return len(self._planned)
