"""What may be wrong with one machine's agent: its process, its line to the server, its disk, its clock.

`Trouble` is the state, set and cleared by faults; the ports below behave by it. Without trouble they are the ports that
they wrap.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random
from typing import Any

from spotguard.domain.errors import ServerAway
from spotguard.host.clock import SystemClock
from spotguard.host.reserve import PIECES
from spotguard.ports.clock import Clock
from spotguard.ports.disk import Disk
from spotguard.ports.server import Reply, ServerLink

Later = Callable[[float, Callable[[], None]], None]


class ProcessDied(BaseException):
    """The process was killed here (SIGKILL): nothing in it may catch this."""


@dataclass
class Line:
    """Shares of the calls to which something happens, and how late a delayed one arrives."""

    request_lost: float = 0.0
    answer_lost: float = 0.0  # the server has heard it
    doubled: float = 0.0
    delayed: float = 0.0  # the caller gives up, the request arrives later: behind newer ones
    latest_seconds: float = 120.0


class Effect(StrEnum):
    """A process speaks many times as often as it writes, and writes many times as often as it does something else."""

    WORD = "word"  # to the server; a coordinator's: a commit
    WRITE = "write"  # to the disk
    DEED = "deed"  # at the gate, at EC2, at the clients' way


@dataclass
class Death:
    """The process dies at its nth effect on the world from now, of any sort or of one, before or after it."""

    effects_left: int
    before: bool
    at: Effect | None = None


@dataclass
class Trouble:
    """Of one instance. `slow_seconds`: each duty runs so much later than it wants to."""

    dice: Random
    line: Line = field(default_factory=Line)
    frozen_until: datetime | None = None
    slow_seconds: float = 0.0
    disk_full: bool = False
    reserve_pieces: int = PIECES
    clock_ahead: timedelta = timedelta(0)
    death: Death | None = None

    def clear(self) -> None:
        """Faults stop. A clock that was set stays set: nobody sets it back."""
        self.line = Line()
        self.frozen_until, self.slow_seconds, self.disk_full, self.death = None, 0.0, False, None

    def around(self, sort: Effect, effect: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """One effect on the world, at which the process may die."""
        death = self.death
        if death is not None and death.at in (None, sort):
            death.effects_left -= 1
            if death.effects_left <= 0:
                self.death = None
                if not death.before:
                    effect(*args, **kwargs)
                raise ProcessDied
        return effect(*args, **kwargs)


class TroubledLink:
    """A `ServerLink` over a bad line. `later` delivers what is delayed."""

    def __init__(self, inner: ServerLink, trouble: Trouble, later: Later) -> None:
        self._inner, self._trouble, self._later = inner, trouble, later

    def call(
        self,
        method: str,
        path: str,
        *,
        token: str,
        body: Mapping[str, Any] | None = None,
        timeout_seconds: float = 10,
    ) -> Reply:
        line, dice = self._trouble.line, self._trouble.dice

        def send() -> Reply:
            return self._inner.call(method, path, token=token, body=body, timeout_seconds=timeout_seconds)

        if dice.random() < line.request_lost:
            raise ServerAway("the request was lost")
        if dice.random() < line.delayed:
            self._later(dice.uniform(1, line.latest_seconds), lambda: _unheard(send))
            raise ServerAway("no answer in time")
        reply: Reply = self._trouble.around(Effect.WORD, send)
        if dice.random() < line.doubled:
            reply = send()
        if dice.random() < line.answer_lost:
            raise ServerAway("the answer was lost")
        return reply


def _unheard(send: Callable[[], Reply]) -> None:
    try:
        send()
    except ServerAway:  # nobody waits for it any more
        return


class TroubledDisk:
    """A `Disk` that may be full, and at whose writes the process may die.

    Full, it takes as many writes as the shipped one (`host.reserve`) has pieces: who has filled it takes the rest of
    each piece that is given up.
    """

    def __init__(self, inner: Disk, trouble: Trouble) -> None:
        self._inner, self._trouble = inner, trouble

    def read(self, name: str) -> bytes | None:
        return self._inner.read(name)

    def replace(self, name: str, content: bytes) -> None:
        self._room(name)
        self._trouble.around(Effect.WRITE, self._inner.replace, name, content)

    def append(self, name: str, line: bytes) -> None:
        self._room(name)
        self._trouble.around(Effect.WRITE, self._inner.append, name, line)

    def remove(self, name: str) -> None:
        self._trouble.around(Effect.WRITE, self._inner.remove, name)

    def _room(self, name: str) -> None:
        trouble = self._trouble
        if not trouble.disk_full:
            trouble.reserve_pieces = PIECES
        elif trouble.reserve_pieces == 0:
            raise OSError(errno.ENOSPC, "No space left on device", name)
        else:
            trouble.reserve_pieces -= 1


def troubled_clock(inner: Clock, trouble: Trouble) -> SystemClock:
    """A machine's clock that somebody has set wrong, as its process goes by it."""
    return SystemClock(lambda: inner.now() + trouble.clock_ahead, lambda: inner.now().timestamp())


class Mortal:
    """Any port whose named methods have effects: the process may die at each of them."""

    def __init__(self, inner: Any, trouble: Trouble, effects: frozenset[str]) -> None:
        self._inner, self._trouble, self._effects = inner, trouble, effects

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name not in self._effects:
            return method
        return lambda *args, **kwargs: self._trouble.around(Effect.DEED, method, *args, **kwargs)


TRAFFIC_EFFECTS = frozenset({"announce", "switch", "withdraw"})
GATE_EFFECTS = frozenset({"open", "close"})
CLOUD_EFFECTS = frozenset(
    {
        "run_instance",
        "create_fleet",
        "terminate_instance",
        "create_image",
        "deregister_image",
        "create_snapshot",
        "delete_snapshot",
        "create_volume",
        "attach_volume",
        "detach_volume",
        "delete_volume",
        "keep_volumes",
    }
)
