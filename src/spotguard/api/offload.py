"""How a handler runs the synchronous store: in threads in production, in place in a single-threaded simulation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import anyio
import anyio.to_thread

T = TypeVar("T")


class Offload(Protocol):
    """Runs blocking work without blocking the loop that awaits it, if there is one."""

    async def __call__(self, work: Callable[[], T], /) -> T: ...


class Threads:
    """At most `most` at once, so that a flood of requests waits here and not for the database."""

    def __init__(self, most: int = 16) -> None:
        self._most = most
        self._limiter: anyio.CapacityLimiter | None = None  # made in the running loop

    async def __call__(self, work: Callable[[], T], /) -> T:
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(self._most)
        return await anyio.to_thread.run_sync(work, limiter=self._limiter)


async def inline(work: Callable[[], T], /) -> T:
    """In place: for one thread and no event loop."""
    return work()
