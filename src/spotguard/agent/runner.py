"""Runs an agent's duties in production: one thread each, so that a slow call never keeps the signals waiting."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from random import Random

from spotguard.agent.agent import Agent
from spotguard.agent.backoff import Backoff
from spotguard.agent.desk import Duty
from spotguard.domain.errors import MetadataUnavailable
from spotguard.ports.clock import Clock
from spotguard.ports.watchdog import Watchdog
from spotguard.telemetry import get_logger

JITTER = 0.1  # of a wait: a fleet that lost its server does not come back in step
SHORTEST_SHARED_SECONDS = 1.0  # shorter waits are for this machine's own metadata and processes
PUNCTUAL = "moves"  # what it waits for is AWS's end of this machine
JOIN_SECONDS = 35.0  # a long poll ends within this
AGAIN_SECONDS = 5.0  # at most, after a duty has failed: another job of it may have two minutes in all
BEAT_SECONDS = 60.0  # between two words to the watchdog; a start that fails waits no longer between its tries
START_SECONDS = (
    3600.0  # of one try: it may wait for a received state to come into its place, and for the workload
)
REST_SECONDS = 10.0  # for the move under way: then what is frozen is thawed whatever it does
FREEZES = "moves"  # the duty that may freeze the workload's volumes
WATCHED = "signals"  # the duty that runs every second: while it comes round, the process does not hang

log = get_logger("agent")


def shared(name: str, seconds: float, dice: Random) -> float:
    """How long a duty waits that wants to wait for so long."""
    if name == PUNCTUAL or seconds <= SHORTEST_SHARED_SECONDS:
        return seconds
    return seconds * (1 + JITTER * dice.random())


class Runner:
    """`run` returns when `stop` is set. What a duty raises is logged once and the duty tried again soon.

    The watchdog hears every minute that it lives, unless the signals have not been looked at for that long. A start
    looks at none, and may take its time: killed in the midst of it, it would begin anew each time.
    """

    def __init__(
        self,
        agent: Agent,
        clock: Clock,
        dice: Random,
        watchdog: Watchdog | None = None,
        *,
        beat_seconds: float = BEAT_SECONDS,
    ) -> None:
        self._agent, self._clock, self._dice = agent, clock, dice
        self._watchdog, self._beat_seconds = watchdog, beat_seconds
        self._rounds = 0  # of the watched duty
        self._bells = {name: threading.Event() for name in agent.duties}
        self.stop = threading.Event()

    def run(self) -> None:
        if not self._start():
            log.info("ended before it had started")
            return
        desk = self._agent.desk
        log.info("started", instance=desk.instance_id, boot=desk.me.boot_id, enrolled=desk.is_enrolled)
        self._agent.bells.listener = self._ring
        threads = [
            threading.Thread(target=self._loop, args=(name, duty), name=f"agent-{name}", daemon=True)
            for name, duty in self._agent.duties.items()
        ]
        for thread in threads:
            thread.start()
        self._beat()
        for bell in self._bells.values():
            bell.set()
        deadline = self._clock.now() + timedelta(seconds=JOIN_SECONDS)
        self._rest(threads)
        for thread in threads:
            thread.join(max(0.0, (deadline - self._clock.now()).total_seconds()))
        log.info("ended: the workload is left as it is", instance=desk.instance_id)

    def _rest(self, threads: Sequence[threading.Thread]) -> None:
        """Once the moves stand still, or after a while all the same: a long poll takes longer than that."""
        for thread in threads:
            if thread.name == f"agent-{FREEZES}":
                thread.join(REST_SECONDS)
        self._agent.rest()

    def _start(self) -> bool:
        """True when the agent is up; False when it was stopped before."""
        backoff, complaint = Backoff(), ""
        while not self.stop.is_set():
            now = self._clock.now()
            try:
                with self._beating():
                    self._agent.start(now)
            except MetadataUnavailable as error:
                if str(error) != complaint:
                    complaint = str(error)
                    log.warning("no instance metadata, asked again until it answers", because=complaint)
                self.stop.wait((backoff.failed(now) - now).total_seconds())
            else:
                return True
        return False

    @contextmanager
    def _beating(self) -> Iterator[None]:
        done, until = threading.Event(), self._clock.now() + timedelta(seconds=START_SECONDS)

        def beat() -> None:
            while not done.wait(self._beat_seconds) and self._clock.now() < until:
                self._alive()

        self._alive()
        thread = threading.Thread(target=beat, name="agent-start", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _beat(self) -> None:
        """Until told to stop."""
        told = -1
        while not self.stop.is_set():
            if self._rounds != told:
                told = self._rounds
                self._alive()
            self.stop.wait(self._beat_seconds)

    def _alive(self) -> None:
        if self._watchdog is not None:
            self._watchdog.alive()

    def _ring(self, name: str) -> None:
        self._bells[name].set()

    def _loop(self, name: str, duty: Duty) -> None:
        bell, backoff, complaint = self._bells[name], Backoff(AGAIN_SECONDS), ""
        while not self.stop.is_set():
            bell.clear()
            self._rounds += name == WATCHED
            now = self._clock.now()
            due: datetime | None
            try:
                due = duty.run(now)
            except Exception as error:  # one duty that fails never stops the others, nor itself
                due = backoff.failed(now)
                if repr(error) != complaint:
                    complaint = repr(error)
                    log.exception("duty", duty=name)
            else:
                backoff.worked()
            self._sleep(bell, name, due)

    def _sleep(self, bell: threading.Event, name: str, due: datetime | None) -> None:
        if due is None:
            bell.wait()
            return
        wait = (due - self._clock.now()).total_seconds()
        if wait > 0:
            bell.wait(shared(name, wait, self._dice))
