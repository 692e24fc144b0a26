"""What the kernel still holds of a state, brought to its disks: before a pass looks at it, and when a gate is closed.

What was stored through a mapping of memory is in the page cache without a new time: a page has it once, when it becomes
dirty (mmap(2), "Timestamps changes for file-backed mappings").
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from spotguard.domain.errors import GateFailed
from spotguard.host.clock import since_boot
from spotguard.host.mounts import Mounts, readable
from spotguard.telemetry import get_logger

# a stalled EBS volume gives no error (AWS's advice: the longest nvme_core.io_timeout), and a notice leaves two minutes
OTHERS_SECONDS = 20.0
# as long as a stop may take: what much memory holds back is written to a slow volume for more than a minute
STATE_SECONDS = 90.0
_TOLD = 3  # of many mount points
AGAIN_SECONDS = 1.0  # heartbeats wait for whoever closes the gate, and it is tried again and again

_log = get_logger("write_back")


class NotAsked(OSError):
    """Nothing that leads to the file system could be opened there: it has said nothing."""


def sync_file_system(point: Path) -> None:
    """syncfs(2), which Python's `os` lacks. `OSError` is what the disk says, `NotAsked` that it was not asked."""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        handle = _opened(point)
    except OSError as error:
        if error.errno == errno.EIO:  # xfs says so of a disk that is gone
            raise
        raise NotAsked(error.errno, error.strerror, error.filename) from error
    try:
        if libc.syncfs(handle) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(point))
    finally:
        os.close(handle)


def _opened(point: Path) -> int:
    """A folder, or a file that is bound there, as containers have them. A socket cannot be opened, a FIFO waits for
    somebody who writes, and a device may do anything.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    return os.open(point, flags if stat.S_ISREG(point.stat().st_mode) else flags | os.O_DIRECTORY)


def sync_at_one_of(points: Iterable[Path], sync: Callable[[Path], None] = sync_file_system) -> None:
    """The file system to which they lead, by the first that can be opened; `NotAsked` where none can."""
    said = []
    for point in points:
        try:
            return sync(point)
        except NotAsked as error:
            said.append(str(error))
    raise NotAsked("; ".join(said[:_TOLD]))


class WriteBack:
    """Of the file systems in which the state lies, and of no other: a share that hangs elsewhere holds up no pass."""

    def __init__(self, state: Path) -> None:
        self.begun, self.began_ns = since_boot(), time.time_ns()
        self.clock_ns = self.began_ns - time.monotonic_ns()
        self._state = state
        self._thread: threading.Thread | None = None
        self._failed: OSError | None = None

    def carry_on(self, wait_seconds: float) -> bool:
        """True when it has ended. `OSError` when a disk did not take it."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
        self._thread.join(wait_seconds)
        if self._failed is not None:
            raise self._failed
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._state.stat()  # else what is above it would be asked for it
            for points in Mounts().carrying(self._state).values():
                sync_at_one_of(map(Path, points))
        except OSError as error:
            self._failed = error


class ClosingWriteBack:
    """Of every file system of this machine, as sync(2) does, but of no share: one that hangs would hold up a handover.

    A disk that does not answer is told in the log where nothing of the state lies on it. Where something does the gate
    is not closed: whoever took the volume, or a snapshot of it, would lack what memory still holds. A disk that says
    that it takes nothing any more is told as well, and no reason to keep a closed gate's release back; one of the
    state's that cannot be asked, at none of its mount points, is.
    """

    def __init__(
        self,
        state: Path | None,
        mounts: Mounts | None = None,
        sync: Callable[[Path], None] = sync_file_system,
        *,
        state_seconds: float = STATE_SECONDS,
        others_seconds: float = OTHERS_SECONDS,
    ) -> None:
        """`state` None: nobody knows where it lies, so that any file system may be its own."""
        self._state, self._mounts, self._sync = state, mounts or Mounts(), sync
        self._state_seconds, self._others_seconds = state_seconds, others_seconds
        self._file_systems: dict[str, _FileSystem] = {}  # by number
        self._owed: list[_Round] = []

    @property
    def is_owed(self) -> bool:
        """The state's own file systems were to be asked, and have not answered."""
        return any(not one.is_over or self._keeps_open(one) for one in self._owed)

    def _keeps_open(self, one: _Round) -> bool:
        """Where nobody knows where the state lies, it is in no file system of which nothing can be opened."""
        return one.is_unasked and self._state is not None

    def forget(self) -> None:
        """The workload is to run again: what it wrote is on no way elsewhere."""
        self._owed = []

    def run(self) -> None:
        """`GateFailed` while something of the state is not on its disk; to be called again then."""
        points = self._mounts.of_this_machine()
        of_state = points if self._state is None else self._mounts.carrying(self._state)
        begun = time.monotonic()
        asked = {number: self._ask(number, of_state.get(number, points[number])) for number in points}
        own = [one for number, one in asked.items() if number in of_state]
        others = [one for number, one in asked.items() if number not in of_state]
        self._owed = own
        late = [one.name for one in own if not one.ends(begun + self._state_seconds)]
        beside = [one.name for one in others if not one.ends(begun + self._others_seconds)]
        if beside:
            _log.warning("not_written_back", at=beside, error=f"no end within {self._others_seconds:g} s")
        late += [one.name for one in own if one.is_over and self._keeps_open(one)]
        if late:
            raise GateFailed(
                f"the workload was stopped, and what it wrote is not on its disks yet: {', '.join(late)}"
            )

    def _ask(self, number: str, points: list[str]) -> _Round:
        """Only the thread that moves the gate does."""
        known = self._file_systems.setdefault(number, _FileSystem(self._sync))
        return known.ask(points)


class _FileSystem:
    """One thread at most asks it. Who asks while that one hangs is answered by the round after it: the one that is
    under way began before what was written since.
    """

    def __init__(self, sync: Callable[[Path], None]) -> None:
        self._sync, self._lock = sync, threading.Lock()
        self._now: _Round | None = None
        self._next: _Round | None = None

    def ask(self, points: list[str]) -> _Round:
        with self._lock:
            if self._now is None:
                self._now = asked = _Round(points)
                threading.Thread(target=self._run, args=(asked,), daemon=True).start()
                return asked
            if self._next is None:
                self._next = _Round(points, after=self._now)
            return self._next

    def _run(self, first: _Round) -> None:
        one: _Round | None = first
        while one is not None:
            one.after = None  # it is over
            try:
                sync_at_one_of(map(Path, one.points), self._sync)
            except OSError as error:
                one.is_unasked = isinstance(error, NotAsked)
                _log.warning("not_written_back", at=[one.name], error=str(error))
            with self._lock:
                one.over.set()
                one = self._now = self._next
                self._next = None


class _Round:
    """One question to a file system, at the first of `points` that leads there. `after`: the one that it waits for."""

    def __init__(self, points: list[str], after: _Round | None = None) -> None:
        self.points, self.over, self.after = points, threading.Event(), after
        self.is_late = False  # it was waited for in vain
        self.is_unasked = False

    @property
    def name(self) -> str:
        return readable(self.points[0])

    @property
    def is_over(self) -> bool:
        return self.over.is_set()

    def ends(self, until: float) -> bool:
        """By then, on the monotonic clock. One that was waited for before is given a moment."""
        seconds = until - time.monotonic()
        if self._hangs:
            seconds = min(seconds, AGAIN_SECONDS)
        self.is_late = not self.over.wait(max(0.0, seconds))
        return not self.is_late

    @property
    def _hangs(self) -> bool:
        return self.is_late or (self.after is not None and self.after.is_late)
