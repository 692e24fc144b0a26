"""How one duty tells another that there is something to do. Losing a ring costs time, never correctness."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Bells:
    """Rings by a duty's name. A harness takes them; a runner listens."""

    def __init__(self) -> None:
        self._rung: set[str] = set()
        self._lock = threading.Lock()
        self.listener: Callable[[str], None] | None = None

    def ring(self, name: str) -> None:
        with self._lock:
            self._rung.add(name)
        if self.listener is not None:
            self.listener(name)

    def take(self) -> frozenset[str]:
        """The duties rung for since the last take."""
        if not self._rung:
            return frozenset()
        with self._lock:
            rung = frozenset(self._rung)
            self._rung.clear()
        return rung
