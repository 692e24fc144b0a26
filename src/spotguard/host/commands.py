"""The user's own commands: each has its time, and of what it says the end is kept, however much it says."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from spotguard.host.killing import has_ended, how_it_ended, left, words_of

KEPT_BYTES = 2000
_AFTER_SECONDS = 1.0  # for the last words of a command that has ended


@dataclass(frozen=True)
class Ran:
    """How a command ended: its exit status, None when it did not end in time, was not to be killed, or not begun."""

    status: int | None
    output: str  # the end of what it said, on both streams

    @property
    def succeeded(self) -> bool:
        return self.status == 0


def run(command: Sequence[str], seconds: float, environment: Mapping[str, str] | None = None) -> Ran:
    """Run a list of arguments, no shell; with everything that it has started it is killed when its time is over."""
    ran = None
    try:
        running = Running(command, seconds, environment)
    except OSError as error:
        return Ran(None, str(error))
    while ran is None:
        ran = running.ended(seconds)
    return ran


class Running:
    """A command that was started; `OSError` when it cannot be, as beside a former one that nothing could end. Somebody
    has to ask for its end, or `kill` it.
    """

    def __init__(
        self, command: Sequence[str], seconds: float, environment: Mapping[str, str] | None = None
    ) -> None:
        self._words = words_of(command, environment)
        left.require_none(self._words)
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        self._seconds, self._until = seconds, time.monotonic() + seconds
        if self._process.stdout is None:  # it was asked for
            raise AssertionError
        self._tail = _Tail(self._process.stdout)

    def ended(self, wait_seconds: float) -> Ran | None:
        """How it ended, by itself or because its time was over; None while it runs. Waits no longer than told."""
        left = self._until - time.monotonic()
        try:
            status = self._process.wait(max(0.0, min(wait_seconds, left)))
        except subprocess.TimeoutExpired:
            if wait_seconds < left:
                return None
            said = f"{self._tail.text(0)}\nno end within {self._seconds:g} s".strip()
            return Ran(None, said + how_it_ended(ended=self.kill()))
        said = self._tail.text()
        self.kill()
        return Ran(status, said)

    def kill(self) -> bool:
        """It and everything that it has started. False: it goes on, as long as a disk does not answer."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return has_ended(self._process, self._words)


class _Tail:
    """Reads a pipe to its end in a thread of its own and keeps the last bytes."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._kept = b""
        self._thread = threading.Thread(target=self._read, args=(pipe,), daemon=True)
        self._thread.start()

    def _read(self, pipe: IO[bytes]) -> None:
        with pipe:
            while said := os.read(pipe.fileno(), 65536):
                self._kept = (self._kept + said)[-KEPT_BYTES:]

    def text(self, wait_seconds: float = _AFTER_SECONDS) -> str:
        """A grandchild may hold the pipe open: it is not waited for longer."""
        self._thread.join(wait_seconds)
        return self._kept.decode("utf-8", "replace").strip()
