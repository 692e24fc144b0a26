"""What the kernel still holds of a state, brought to its disks: before a pass looks at it, and when a gate is closed.

What was stored through a mapping of memory is in the page cache without a new time: a page has it once, when it becomes
dirty (mmap(2), "Timestamps changes for file-backed mappings").
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from spotguard.domain.errors import GateFailed
from spotguard.host.clock import since_boot
from spotguard.host.mounts import Mounts
from spotguard.telemetry import get_logger

# a stalled EBS volume gives no error (AWS's advice: the longest nvme_core.io_timeout), and a notice leaves two minutes
OTHERS_SECONDS = 20.0
# as long as a stop may take: what much memory holds back is written to a slow volume for more than a minute
STATE_SECONDS = 90.0
AGAIN_SECONDS = 1.0  # heartbeats wait for whoever closes the gate, and it is tried again and again

_log = get_logger("write_back")


def sync_file_system(folder: Path) -> None:
    """syncfs(2), which Python's `os` lacks."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.syncfs(handle) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))
    finally:
        os.close(handle)


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
            for folder in {self._state, *Mounts().inside(self._state)}:
                sync_file_system(folder)
        except OSError as error:
            self._failed = error


class ClosingWriteBack:
    """Of every file system of this machine, as sync(2) does, but of no share: one that hangs would hold up a handover.

    A disk that does not answer is told in the log where nothing of the state lies on it. Where something does the gate
    is not closed: whoever took the volume, or a snapshot of it, would lack what memory still holds. A disk that says
    that it takes nothing any more is told as well, and no reason to keep a closed gate's release back.
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
        """The state's own file systems were asked, and have not answered."""
        return any(not one.is_over for one in self._owed)

    def forget(self) -> None:
        """The workload is to run again: what it wrote is on no way elsewhere."""
        self._owed = []

    def run(self) -> None:
        """`GateFailed` while something of the state is not on its disk; to be called again then."""
        points = self._mounts.of_this_machine()
        of_state = set(points.values()) if self._state is None else self._mounts.carrying(self._state)
        own = [point for point, number in points.items() if number in of_state]
        others = [point for point in points if point not in own]
        begun, asked = time.monotonic(), {point: self._ask(point, points[point]) for point in points}
        self._owed = [asked[point] for point in own]
        late = [point for point in own if not asked[point].ends(begun + self._state_seconds)]
        beside = [point for point in others if not asked[point].ends(begun + self._others_seconds)]
        if beside:
            _log.warning("not_written_back", at=beside, error=f"no end within {self._others_seconds:g} s")
        if late:
            raise GateFailed(
                f"the workload was stopped, and what it wrote is not on its disks yet: {', '.join(late)}"
            )

    def _ask(self, point: str, number: str) -> _Round:
        """Only the thread that moves the gate does."""
        known = self._file_systems.setdefault(number, _FileSystem(self._sync))
        return known.ask(Path(point))


class _FileSystem:
    """One thread at most asks it. Who asks while that one hangs is answered by the round after it: the one that is
    under way began before what was written since.
    """

    def __init__(self, sync: Callable[[Path], None]) -> None:
        self._sync, self._lock = sync, threading.Lock()
        self._now: _Round | None = None
        self._next: _Round | None = None

    def ask(self, point: Path) -> _Round:
        with self._lock:
            if self._now is None:
                self._now = asked = _Round(point)
                threading.Thread(target=self._run, args=(asked,), daemon=True).start()
                return asked
            if self._next is None:
                self._next = _Round(point, after=self._now)
            return self._next

    def _run(self, first: _Round) -> None:
        one: _Round | None = first
        while one is not None:
            one.after = None  # it is over
            try:
                self._sync(one.point)
            except OSError as error:
                _log.warning("not_written_back", at=[str(one.point)], error=str(error))
            with self._lock:
                one.over.set()
                one = self._now = self._next
                self._next = None


class _Round:
    """One question to a file system. `after`: the one that it waits for."""

    def __init__(self, point: Path, after: _Round | None = None) -> None:
        self.point, self.over, self.after = point, threading.Event(), after
        self.is_late = False  # it was waited for in vain

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
