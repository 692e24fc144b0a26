"""The shipped commands as processes: `spotguard server`, and `spotguard agent` as its command becomes it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from spotguard.bench.lab.supervisor import Running, Start

SPOTGUARD = (sys.executable, "-P", "-c", "from spotguard.cli.entry import main; main()")
AGENT = (sys.executable, "-P", "-m", "spotguard.cli.agent_process")


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
