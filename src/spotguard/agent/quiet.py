"""The workload frozen for an image, and always thawed again: what is frozen is on the disk before it is, and thawed
at the latest when the process is told to end.

Nothing is written while a file system may be frozen but by hooks that promise not to freeze this agent's own folder.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from spotguard.agent.backoff import Backoff
from spotguard.agent.files import Document
from spotguard.domain.errors import QuiesceFailed
from spotguard.ports.checked_lines import Damaged
from spotguard.ports.clock import Clock
from spotguard.ports.disk import Disk
from spotguard.ports.workload import Quiesce
from spotguard.telemetry import get_logger

HOLD_SECONDS = 60.0  # for a server that makes the image: its call comes within a pass of the coordinator

log = get_logger("agent")


class Quiet:
    """Implements `ports.workload.Quiesce`; as a job of the moves duty it thaws what has been frozen long enough."""

    NAME = "frozen"

    def __init__(self, disk: Disk, hooks: Quiesce | None, clock: Clock) -> None:
        self._document = Document(disk, self.NAME)
        self._hooks, self._clock = hooks, clock
        self._until: datetime | None = None
        self._backoff = Backoff()

    def recover(self) -> None:
        """After a start: whatever was frozen, its freezer is gone."""
        if self._is_noted():
            self._until = self._clock.now()
            self.thaw()

    def _is_noted(self) -> bool:
        """Damaged counts: to thaw what is not frozen is harmless."""
        try:
            return self._document.read() is not None
        except Damaged:
            return True

    def freeze(self) -> None:
        """`QuiesceFailed`, and thawed again, when the hook fails. Frozen already: held anew."""
        if self._hooks is None:
            return
        now = self._clock.now()
        was_frozen, self._until = self._until is not None, now + timedelta(seconds=HOLD_SECONDS)
        if was_frozen:
            return
        self._document.write({"since": now})
        try:
            self._hooks.freeze()
        except QuiesceFailed:
            self.thaw()
            raise

    def thaw(self) -> None:
        """One that fails is logged and tried again by `run` until it succeeds."""
        if self._until is None:
            return
        self._until = self._clock.now()
        try:
            if self._hooks is not None:
                self._hooks.thaw()
        except QuiesceFailed as error:
            self._until = self._backoff.failed(self._until)
            log.error("not thawed", because=str(error))  # noqa: TRY400 - the cause is the message
            return
        self._backoff.worked()
        self._document.remove()
        self._until = None

    def run(self, now: datetime) -> datetime | None:
        if self._until is not None and now >= self._until:
            self.thaw()
        return self._until
