"""`ports.clock.Clock` of a machine."""

from __future__ import annotations

import threading
from datetime import UTC, datetime


class SystemClock:
    """The machine's time; a step back of it is waited out, not followed."""

    def __init__(self) -> None:
        self._newest = datetime.now(UTC)
        self._lock = threading.Lock()

    def now(self) -> datetime:
        with self._lock:
            self._newest = max(self._newest, datetime.now(UTC))
            return self._newest
