"""The shipped commands as processes: `spotguard server`, and `spotguard agent` as its command becomes it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from spotguard.bench.lab.supervisor import Running, Start

SPOTGUARD = (sys.executable, "-P", "-c", "from spotguard.cli.entry import main; main()")
AGENT = (sys.executable, "-P", "-m", "spotguard.cli.agent_process")
_LOOK_SECONDS = 0.05


class Program:
    """A process as `supervisor.Running` wants one."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        with log.open("ab") as told:
            self._process = subprocess.Popen(
                words, env=dict(environment), stdin=subprocess.DEVNULL, stdout=told, stderr=told
            )
        self.sentinel = os.pidfd_open(self._process.pid)

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.kill()

    def join(self) -> None:
        self._process.wait()
        if self.sentinel >= 0:
            os.close(self.sentinel)
            self.sentinel = -1


def program(words: Sequence[str], environment: Mapping[str, str], log: Path) -> Start:
    """How it is started, as often as it has to be."""

    def start() -> Running:
        return Program(words, environment, log)

    return start


def end_all_that_names(folder: Path) -> None:
    """Kill every process that has a path in this folder on its command line, until there is none."""
    tick = threading.Event()
    while found := list(_naming(os.fsencode(folder))):
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        tick.wait(_LOOK_SECONDS)


def _naming(folder: bytes) -> Iterator[int]:
    """The dead that nobody has waited for have no command line."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            if process.stat().st_uid == os.geteuid() and folder + b"/" in (process / "cmdline").read_bytes():
                yield int(process.name)
