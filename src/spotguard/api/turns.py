"""Turns: so many requests with one credential are worked on at once; more of them wait, and nobody else does.

The threads that ask the database are few and everybody's. Nothing is refused here. What waits without a thread, a long
poll or an event stream, needs no turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

MOST_AT_ONCE = 8  # half of `offload.Threads`
_WAITS_BY_ITSELF = ("/stream", "/pending-commands")


@dataclass
class _Lane:
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_AT_ONCE))
    requests: int = 0


class Turns:
    """Of this process."""

    def __init__(self) -> None:
        self._lanes: dict[str, _Lane] = {}

    @asynccontextmanager
    async def of(self, credential: str | None, path: str) -> AsyncIterator[None]:
        """Entered when it is this request's turn. `credential`: its hash; without one nothing is asked for long."""
        if credential is None or path.endswith(_WAITS_BY_ITSELF):
            yield
            return
        lane = self._lanes.setdefault(credential, _Lane())
        lane.requests += 1
        try:
            async with lane.room:
                yield
        finally:
            lane.requests -= 1
            if not lane.requests:
                del self._lanes[credential]
