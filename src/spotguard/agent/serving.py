"""Does this instance serve? What the health endpoint tells a load balancer.

Yes only while all of it holds: the server has confirmed this instance's epoch to this process, no move has paused it,
nothing has been released, and a fresh look found the gate open and the user's probe content. `forbid` comes before
every closing of the gate and every release: when it returns, no later answer says yes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from spotguard.ports.clock import Clock

FRESH_FOR = timedelta(seconds=20)  # a look that hangs must not leave the last yes standing


class Serving:
    """Shared by whoever moves the gate, the duty that looks, and the endpoint. Nothing of it is on a disk."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._allowed = False
        self._turn = 0  # grows with every `forbid`: a look that began before it tells nothing
        self._well_at: datetime | None = None

    @property
    def turn(self) -> int:
        """To be read before a look, and handed to `looked` with what was seen."""
        return self._turn

    def allow(self) -> None:
        """The epoch is confirmed and no move has paused it."""
        with self._lock:
            self._allowed = True

    def forbid(self) -> None:
        with self._lock:
            self._allowed, self._well_at = False, None
            self._turn += 1

    def looked(self, turn: int, *, well: bool) -> None:
        """What a look that began in `turn` found."""
        with self._lock:
            if turn == self._turn:
                self._well_at = self._clock.now() if well else None

    def tell(self, hear: Callable[[bool], None]) -> None:
        """`hear` must not wait: until it returns nobody can `forbid`, so that no yes leaves after one."""
        with self._lock:
            hear(self._allowed and self._is_fresh())

    def _is_fresh(self) -> bool:
        if self._well_at is None:
            return False
        return timedelta(0) <= self._clock.now() - self._well_at <= FRESH_FOR
