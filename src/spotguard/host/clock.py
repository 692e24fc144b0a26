"""`ports.clock.Clock` of a machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def _wall() -> datetime:
    return datetime.now(UTC)


class SystemClock:
    """The machine's time. A step back of it is not followed but caught up with: meanwhile time goes at half its pace,
    since whatever waits would wait for ever by a clock that stands.
    """

    def __init__(
        self, wall: Callable[[], datetime] = _wall, elapsed: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall, self._elapsed = wall, elapsed
        self._newest, self._at = wall(), elapsed()
        self._lock = threading.Lock()

    def now(self) -> datetime:
        with self._lock:
            at = self._elapsed()
            least = self._newest + timedelta(seconds=(at - self._at) / 2)
            self._newest, self._at = max(least, self._wall()), at
            return self._newest
