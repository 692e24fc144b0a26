"""A pass that is on its way to a target: runs of rsync, one after the other."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO

import msgspec

from spotguard.host.clock import since_boot
from spotguard.host.inbox import Mark
from spotguard.host.killing import has_ended
from spotguard.host.known_folders import KnownFolders
from spotguard.host.second_look import SecondLook
from spotguard.host.sheet import content_of, sheet
from spotguard.host.transport import RsyncTransport, failed

_GONE = 24  # rsync: files vanished while they were read
_SENT = re.compile(rb"^Total bytes sent: (\d+)$", re.MULTILINE)


@dataclass
class _Run:
    process: subprocess.Popen[bytes]
    said: IO[bytes]
    told: IO[bytes]

    def close(self) -> None:
        self.said.close()
        self.told.close()


@dataclass
class UnderWay:
    """No run is waited for longer than a moment."""

    id: str
    position: int
    size_bytes: int
    agent: str | None  # whose state it is
    begun: float  # seconds since this machine's boot
    began_ns: int  # by the clock that files' times have
    clock_ns: int  # what that clock shows beyond the monotonic one
    boot: str  # in which it is
    stages: list[str]
    # of the files, since the passes began that it is linked to; then what it lacks yet: each `listed`
    changed: bytes
    may_write: bool  # the workload, or somebody else
    folders: KnownFolders  # when it began
    second_look: SecondLook
    sent_bytes: int = 0
    _run: _Run | None = field(default=None, init=False)

    def start(self, transport: RsyncTransport, arguments: Sequence[str], given: IO[bytes]) -> None:
        """The run of its first stage."""
        said, told = sheet(), sheet()
        try:
            self._run = _Run(transport.start(arguments, said, told, given), said, told)
        finally:
            if self._run is None:
                said.close()
                told.close()

    def may_start(self, until: float) -> bool:
        """Whether no run goes on, or it ended in time: then its stage is over. `SyncFailed` when it failed."""
        run = self._run
        if run is None:
            return True
        try:
            code = run.process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        if code not in (0, _GONE):
            raise failed(code, content_of(run.said))
        self.may_write = self.may_write or code == _GONE
        sent = _SENT.search(content_of(run.told))
        self.sent_bytes += int(sent[1]) if sent else 0
        run.close()
        self._run = None
        self.stages.pop(0)
        return True

    def kept_folders(self) -> KnownFolders:
        """That were the same whenever it was looked at them: what the pass has of others may be of either."""
        return self.folders.without(self.second_look.strayed)

    def given(self) -> bytes:
        """The standard input for the run of its first stage: a mark, or names."""
        if self.stages[0] in ("begun", "whole"):
            taken = since_boot() - self.begun
            return msgspec.json.encode(Mark(self.position, self.size_bytes, taken, self.agent))
        return self.changed if self.stages[0] == "changed" else b""

    def end(self) -> None:
        if self._run is None:
            return
        if self._run.process.poll() is None:
            self._run.process.kill()
            has_ended(self._run.process)
        self._run.close()
        self._run = None
