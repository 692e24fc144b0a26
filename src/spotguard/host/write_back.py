"""What the kernel still holds of a state, brought to its disks: before a pass looks at it, and when a gate is closed.

What was stored through a mapping of memory is in the page cache without a new time: a page has it once, when it becomes
dirty (mmap(2), "Timestamps changes for file-backed mappings").
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from pathlib import Path

from spotguard.host.clock import since_boot
from spotguard.host.mounts import Mounts
from spotguard.telemetry import get_logger

_log = get_logger("write_back")


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
                _sync_file_system(folder)
        except OSError as error:
            self._failed = error


def write_back_all() -> None:
    """Of every file system of this machine, as sync(2) does, but of no share: one that hangs would hold up a handover.

    A disk that takes nothing any more is told in the log: it is no reason to keep a closed gate's release back.
    """
    for point in Mounts().of_this_machine():
        try:
            _sync_file_system(Path(point))
        except OSError as error:
            _log.warning("not_written_back", at=point, error=str(error))


def _sync_file_system(folder: Path) -> None:
    """syncfs(2), which Python's `os` lacks."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.syncfs(handle) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))
    finally:
        os.close(handle)
