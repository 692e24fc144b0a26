"""`ports.clock.SteadyClock` of a machine, and of machines that share one time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

BOOT = datetime(1970, 1, 1, tzinfo=UTC)  # of every machine: nobody takes a steady time for the time


def _wall() -> datetime:
    return datetime.now(UTC)


def since_boot() -> float:
    """Nobody sets it, and on Linux it goes on while the machine is suspended."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def boot_id() -> str:
    """Which boot of which machine this is: no other has the same (random(4))."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


class SystemClock:
    """The machine's time. A step back of it is not followed but caught up with: meanwhile `now()` goes at half its
    pace, since whatever waits would wait for ever by a clock that stands.
    """

    def __init__(
        self, wall: Callable[[], datetime] = _wall, elapsed: Callable[[], float] = since_boot
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

    def steady(self) -> datetime:
        return BOOT + timedelta(seconds=self._elapsed())

    def steady_at(self, told: datetime) -> datetime:
        return self.steady() + (told - self._wall())


FORGIVEN_SECONDS = 1.0  # of an answer that took longer it is not known well enough when it was told


class TimeAsTold:
    """The wall clock of machines that share somebody's time: it is asked now and then, and carried on by what elapses
    here. Until it is first told, this machine's own.
    """

    def __init__(
        self,
        ask: Callable[[], datetime | None],
        wall: Callable[[], datetime] = _wall,
        elapsed: Callable[[], float] = since_boot,
    ) -> None:
        """`ask`: None while nobody tells it."""
        self._ask, self._wall, self.elapsed = ask, wall, elapsed
        self._told: tuple[datetime, float] | None = None

    def look(self) -> None:
        asked = self.elapsed()
        told = self._ask()
        answered = self.elapsed()
        if told is not None and answered - asked <= FORGIVEN_SECONDS:
            self._told = told, (asked + answered) / 2

    def __call__(self) -> datetime:
        if self._told is None:
            return self._wall()
        told, at = self._told
        return told + timedelta(seconds=self.elapsed() - at)


class SharedClock(SystemClock):
    """All servers of one installation judge each other's rows by it: theirs is the database's time, whatever their
    machines' clocks say.
    """

    def __init__(self, told: TimeAsTold) -> None:
        told.look()
        self._source = told
        super().__init__(told, told.elapsed)

    def run(self, stop: threading.Event, every_seconds: float = 30) -> None:
        """Until told to stop."""
        while not stop.wait(every_seconds):
            self._source.look()
