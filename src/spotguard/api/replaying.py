"""Replays that people ask for: one at a time in this process, given up when nobody waits any more."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

from spotguard.api.offload import Offload
from spotguard.api.problems import Problem, too_busy
from spotguard.ports.replay import Replayed, Replayer, ReplayQuestion

LOOK_SECONDS = 0.5
RETRY_SECONDS = 5


class Replays:
    """`replayer` None: this server was put together without one."""

    def __init__(self, replayer: Replayer | None) -> None:
        self._replayer = replayer
        self._is_busy = False

    async def of(
        self, question: ReplayQuestion, offload: Offload, is_gone: Callable[[], Awaitable[bool]]
    ) -> Replayed:
        """429 while another one is worked out; 503 without a replayer."""
        replayer = self._replayer
        if replayer is None:
            raise Problem(503, "this server was put together without backtests")
        if self._is_busy:
            raise too_busy("another backtest is being worked out in this process", RETRY_SECONDS)
        self._is_busy = True
        over = threading.Event()
        work = asyncio.ensure_future(offload(lambda: replayer(question, over.is_set)))
        try:
            while not (await asyncio.wait([work], timeout=LOOK_SECONDS))[0]:
                if await is_gone():
                    over.set()
            return work.result()
        finally:
            over.set()
            self._is_busy = False
