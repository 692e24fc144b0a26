"""Waking long polls and the coordinator of this process; other processes' writes are found by looking again."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


class Wakeups:
    """`ports.wakeup.Wakeup` for one process, callable from any thread.

    `on_coordinator` is called for every wish to look now; give it a `threading.Event`'s `set`.
    """

    def __init__(self, on_coordinator: Callable[[], object] = lambda: None) -> None:
        self._on_coordinator = on_coordinator
        self._lock = threading.Lock()
        self._waiting: dict[str, list[Waiter]] = defaultdict(list)

    def coordinator(self) -> None:
        self._on_coordinator()

    def agent(self, instance_id: str) -> None:
        with self._lock:
            for waiter in self._waiting.get(instance_id, ()):
                waiter.wake()

    @property
    def waiters(self) -> int:
        with self._lock:
            return sum(map(len, self._waiting.values()))

    @contextmanager
    def waiting(self, instance_id: str) -> Iterator[Waiter]:
        """Call it in a running event loop, before the first look, so that nothing falls between look and wait."""
        waiter = Waiter()
        with self._lock:
            self._waiting[instance_id].append(waiter)
        try:
            yield waiter
        finally:
            with self._lock:
                self._waiting[instance_id].remove(waiter)
                if not self._waiting[instance_id]:
                    del self._waiting[instance_id]


class Waiter:
    """One long poll that waits in its event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def wake(self) -> None:
        with suppress(RuntimeError):  # its loop has been closed: nobody waits there any more
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self, seconds: float) -> None:
        """Until woken, or so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()
        self._event.clear()


class Ending:
    """The server is about to end: what waits in this process shall answer now. Callable from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: set[Waiter] = set()
        self._begun = False

    @property
    def begun(self) -> bool:
        return self._begun

    def begin(self) -> None:
        with self._lock:
            self._begun = True
            for waiter in self._waiting:
                waiter.wake()

    @contextmanager
    def waking(self, waiter: Waiter) -> Iterator[Waiter]:
        """While this waits it is woken, too, when the end begins; at once, if it has begun."""
        with self._lock:
            self._waiting.add(waiter)
            if self._begun:
                waiter.wake()
        try:
            yield waiter
        finally:
            with self._lock:
                self._waiting.discard(waiter)


class NoWakeups:
    """For one thread without a loop: the pass finds everything."""

    waiters = 0

    def coordinator(self) -> None: ...

    def agent(self, instance_id: str) -> None: ...
