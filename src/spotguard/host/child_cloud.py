"""The `Cloud` port through a short-lived process: the agent itself never loads an EC2 library (62 MiB of memory).

The process is started at the first call and ended when it has had nothing to do for a while. One that dies or does
not answer in time is killed; the call is then `Doubtful`, as one that EC2 did not answer.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from spotguard.domain.errors import Doubtful, Throttled
from spotguard.host.children import Child, Lost
from spotguard.ports.cloud_calls import remote, remote_traffic

AWS = (sys.executable, "-P", "-m", "spotguard.cloud.aws.child")
"""-P: nothing is imported from the folder in which the agent happens to run."""


@dataclass(frozen=True)
class ChildLimits:
    """Seconds. An answer takes at most EC2's own (30 s for a fleet), its looks, and a slow start of the process."""

    call: float = 90.0
    idle: float = 20.0  # longer than the pauses between the steps of a move


class ChildCloud:
    """`cloud` and `traffic` are the ports. Threads may share it: a call that finds the process busy starts another."""

    def __init__(
        self, region: Callable[[], str], command: Sequence[str] = AWS, limits: ChildLimits | None = None
    ) -> None:
        """`region` is asked when a process starts, and is the last argument of its command."""
        self.cloud, self.traffic = remote(self._ask), remote_traffic(self._ask)
        self._region, self._command, self._limits = region, tuple(command), limits or ChildLimits()
        self._lock = threading.Lock()
        self._idle: list[Child] = []
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End what is idle. A call under way is not waited for: its process ends when its asker does."""
        with self._lock:
            idle, self._idle = self._idle, []
            if self._timer is not None:
                self._timer.cancel()
        for child in idle:
            child.end()

    def _ask(self, question: bytes) -> bytes:
        child = self._take()
        try:
            answer = child.ask(question, self._limits.call)
        except Lost as error:
            child.kill()
            raise Doubtful("ChildLost", f"the process that calls EC2: {error}") from error
        self._give_back(child)
        return answer

    def _take(self) -> Child:
        with self._lock:
            while self._idle:
                child = self._idle.pop()
                if child.lives:
                    return child
                child.kill()  # it died while idle: nothing had been asked of it
        try:
            return Child([*self._command, self._region()])
        except OSError as error:  # nothing was asked: the same call later
            raise Throttled("ChildNotStarted", str(error)) from error

    def _give_back(self, child: Child) -> None:
        with self._lock:
            self._idle.append(child)
            if self._timer is not None:
                self._timer.cancel()
            self._timer = threading.Timer(self._limits.idle, self.close)
            self._timer.daemon = True
            self._timer.start()
