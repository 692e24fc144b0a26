"""A replay in a process of its own: whoever serves requests loses no time, and one that is given up ends at once.

`python -m spotguard.backtest.apart` reads a question as JSON and writes the answer, or why there is none.
"""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import msgspec

from spotguard.domain.errors import Refused
from spotguard.ports.replay import Replayed, ReplayQuestion

CPU_SECONDS = 20  # a month of a hundred pools takes a tenth of it
WALL_SECONDS = 60.0
NICER = 5
LOOK_SECONDS = 0.05
_MODULE = "spotguard.backtest.apart"


class Told(msgspec.Struct):
    """What comes back: an answer, or a refusal."""

    answer: Replayed | None = None
    refused: str | None = None


class Apart:
    """A `Replayer`. Each answer costs the start of one Python process; it never outlives its question."""

    def __init__(self, wall_seconds: float = WALL_SECONDS) -> None:
        self._wall_seconds = wall_seconds

    def __call__(self, question: ReplayQuestion, is_given_up: Callable[[], bool]) -> Replayed:
        with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as answered:
            asked.write(msgspec.json.encode(question))
            asked.seek(0)
            child = subprocess.Popen([sys.executable, "-m", _MODULE], stdin=asked, stdout=answered)
            try:
                self._wait(child, is_given_up)
            finally:
                child.kill()
                child.wait()
            answered.seek(0)
            raw = answered.read()
        if child.returncode != 0:
            raise Refused(
                "the replay took too long or failed: ask for fewer days; the server's log says more"
            )
        told = msgspec.json.decode(raw, type=Told)
        if told.answer is None:
            raise Refused(told.refused or "there is no answer")
        return told.answer

    def _wait(self, child: subprocess.Popen[bytes], is_given_up: Callable[[], bool]) -> None:
        end = time.monotonic() + self._wall_seconds
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(LOOK_SECONDS)
                return
            if is_given_up():
                raise Refused("nobody waits for this replay any more")
            if time.monotonic() > end:
                raise Refused("the replay took too long: ask for fewer days")


def main() -> None:
    os.nice(NICER)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    from spotguard.backtest.replays import replayed  # noqa: PLC0415 -- the server has no need of the simulator

    question = msgspec.json.decode(sys.stdin.buffer.read(), type=ReplayQuestion)
    try:
        told = Told(answer=replayed(question))
    except Refused as error:
        told = Told(refused=str(error))
    sys.stdout.buffer.write(msgspec.json.encode(told))


if __name__ == "__main__":
    main()
