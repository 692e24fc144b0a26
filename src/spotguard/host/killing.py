"""What SIGKILL does not end at once: a process that waits for a disk ends when that answers, and not before.

It is waited for so long, and then left alone: whoever looks next finds that it has ended. Until then nothing is started
beside it by the same words: every look at a disk that stalls would leave one more.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

KILLED_SECONDS = 10.0  # a process with much memory needs some of them

Words = tuple[object, ...]


class Left:
    """Processes that were killed and go on. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: list[tuple[Words, subprocess.Popen[Any]]] = []

    def add(self, process: subprocess.Popen[Any], words: Words = ()) -> None:
        with self._lock:
            if all(known is not process for _, known in self._known):
                self._known.append((words, process))

    def require_none(self, words: Words) -> None:
        """`OSError` while one of these words goes on."""
        with self._lock:
            self._known = [one for one in self._known if one[1].poll() is None]
            found = [process.pid for known, process in self._known if known == words]
        if found:
            raise OSError(f"not begun beside a former one that was killed and goes on: process {found[0]}")


left = Left()


def words_of(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Words:
    """By which one run is as another."""
    return (*command, *sorted((environment or {}).items()))


def has_ended(process: subprocess.Popen[Any], words: Words = (), seconds: float = KILLED_SECONDS) -> bool:
    """One that was killed. False: it goes on, and is left."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
        return True
    left.add(process, words)
    return False


def how_it_ended(*, ended: bool) -> str:
    """After the end of its time."""
    return "" if ended else ", and it could not be killed"


def run_within(
    command: Sequence[str], seconds: float, words: Words, **how: Any
) -> subprocess.CompletedProcess[Any]:
    """As `subprocess.run`, but what was killed is waited for no longer. `subprocess.TimeoutExpired`, `OSError`."""
    left.require_none(words)
    process: subprocess.Popen[Any] = subprocess.Popen(list(command), stdin=subprocess.DEVNULL, **how)
    try:
        said, complained = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        has_ended(process, words)
        raise
    finally:
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
    return subprocess.CompletedProcess(list(command), process.returncode, said, complained)
