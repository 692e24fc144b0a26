"""The order of things: who wants to run when, each actor at most once in the queue."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable
from datetime import datetime


class Schedule:
    """Actors by key. Planning a key again replaces its former time; ties run in the order of planning."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, int, Hashable]] = []
        self._current: dict[Hashable, tuple[int, Callable[[], None]]] = {}
        self._count = 0

    def plan(self, key: Hashable, at: datetime, action: Callable[[], None]) -> None:
        self._count += 1
        self._current[key] = (self._count, action)
        heapq.heappush(self._heap, (at, self._count, key))

    def forget(self, key: Hashable) -> None:
        self._current.pop(key, None)

    def is_planned(self, key: Hashable) -> bool:
        return key in self._current

    def next_at(self) -> datetime | None:
        """When the next actor wants to run, or None when nobody does."""
        while self._heap:
            at, number, key = self._heap[0]
            if self._is_current(key, number):
                return at
            heapq.heappop(self._heap)
        return None

    def pop(self) -> Callable[[], None]:
        """Take the next action out of the queue; call `next_at` first."""
        _, _, key = heapq.heappop(self._heap)
        return self._current.pop(key)[1]

    def _is_current(self, key: Hashable, number: int) -> bool:
        entry = self._current.get(key)
        return entry is not None and entry[0] == number
