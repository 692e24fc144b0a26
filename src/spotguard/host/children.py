"""A helper process that answers lines with lines, until it is ended, killed or lost."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import time
from collections.abc import Callable, Sequence

from spotguard.host.killing import KILLED_SECONDS, has_ended

END_SECONDS = 2.0  # from the end of its input until it is killed
_CHUNK = 64 * 1024
_START: Callable[..., subprocess.Popen[bytes]] = subprocess.Popen


class Lost(Exception):
    """No whole answer came: whether the question was acted on, nobody knows."""


class Child:
    """One process; one question at a time. `OSError` when it cannot be started."""

    def __init__(
        self, command: Sequence[str], start: Callable[..., subprocess.Popen[bytes]] = _START
    ) -> None:
        # a session of its own: Ctrl-C is the parent's, which ends it in order
        self._process = start(
            list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise OSError("a child without pipes")
        self._input, self._output = self._process.stdin, self._process.stdout
        os.set_blocking(self._input.fileno(), False)

    @property
    def lives(self) -> bool:
        return self._process.poll() is None

    def ask(self, line: bytes, seconds: float) -> bytes:
        """The line that it answers within this time; else `Lost`, and it is of no use any more."""
        until = time.monotonic() + seconds
        to, out = self._input.fileno(), self._output.fileno()
        received = bytearray()
        while not received.endswith(b"\n"):
            left = until - time.monotonic()
            if left <= 0:
                raise Lost(f"no answer within {seconds:g} s")
            readable, writable, _ = select.select([out], [to] if line else [], [], left)
            if writable:
                line = line[self._write(to, line) :]
            if readable:
                chunk = os.read(out, _CHUNK)
                if not chunk:
                    raise Lost("it ended without an answer")
                received += chunk
        return bytes(received)

    def end(self) -> None:
        """In order: no more questions; killed if it does not go."""
        self._close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self, seconds: float = KILLED_SECONDS) -> None:
        """What goes on after that time is left alone."""
        self._process.kill()
        self._close()
        has_ended(self._process, seconds=seconds)

    @staticmethod
    def _write(to: int, line: bytes) -> int:
        try:
            return os.write(to, line)
        except BrokenPipeError as error:
            raise Lost("it ended before the question") from error

    def _close(self) -> None:
        for pipe in (self._input, self._output):
            with contextlib.suppress(OSError):  # what it did not read is lost with it
                pipe.close()
