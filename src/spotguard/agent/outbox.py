"""Reports that must not be lost: on the disk before anybody relies on them, sent in order, what is urgent first, until
acknowledged.

A 2xx acknowledges. Any other answer below 500 is final: the report goes to the dead letters with the reason and the
rest goes on; except 401 (enrol anew), 408 and 429 (later). What the server must know is set aside instead, and has
its turn again; so is what fails again and again while the server answers otherwise. The server applies a report once,
however often it arrives.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from spotguard.agent.files import Journal
from spotguard.ports.disk import Disk
from spotguard.ports.server import Reply

MOST_ACKNOWLEDGED = 200  # lines of done reports before the journal is rewritten


@dataclass(frozen=True)
class Report:
    """One report. The same `id` pending twice is one report; `path` is relative to the agent's own. `urgent`: it is
    sent before all others.
    """

    id: str
    kind: str
    path: str
    body: Mapping[str, Any]
    at: datetime
    urgent: bool = False


def pending_in(lines: Iterable[Any]) -> dict[str, Report]:
    """What a journal's lines leave to be told, by id, in order."""
    pending: dict[str, Report] = {}
    for line in lines:
        if "put" in line:
            report = msgspec.convert(line["put"], Report)
            pending[report.id] = report
        else:
            pending.pop(line.get("gone"), None)
    return pending


class Outbox:
    """The journal of reports that the server owes an acknowledgement for."""

    NAME = "outbox"
    DEAD_LETTERS = "dead-letters"

    def __init__(self, disk: Disk, ring: Callable[[], None]) -> None:
        self._journal = Journal(disk, self.NAME)
        self._dead = Journal(disk, self.DEAD_LETTERS)
        self._ring = ring
        self._lock = threading.Lock()
        self._pending: dict[str, Report] = {}
        self._acknowledged = 0
        self._aside: set[str] = set()

    def load(self) -> int:
        """Read the disk; the number of damaged lines that were left out."""
        with self._lock:
            self._pending = pending_in(self._journal.read())
            with suppress(OSError):  # on a disk that takes nothing: its gate has to be closed all the same
                self._tidy()
            return self._journal.damaged

    def put(self, report: Report) -> None:
        """Durable when this returns. What is urgent is sent also where it cannot be written down."""
        with self._lock:
            if report.id in self._pending:
                return
            if report.urgent:
                self._pending[report.id] = report
                self._ring()
            self._journal.append({"put": report})
            self._pending[report.id] = report
        self._ring()

    def first(self) -> Report | None:
        with self._lock:
            waiting = (report for report in self._pending.values() if report.id not in self._aside)
            return min(waiting, key=lambda report: not report.urgent, default=None)

    def __len__(self) -> int:
        """How many wait for their first answer."""
        with self._lock:
            return len(self._pending.keys() - self._aside)

    def set_aside(self, report: Report) -> None:
        """Refused, or in the others' way, and kept all the same until `take_up`; the others go on."""
        with self._lock:
            self._aside.add(report.id)

    def take_up(self) -> None:
        """What was set aside has its turn again."""
        with self._lock:
            self._aside.clear()

    def acknowledged(self, report: Report) -> None:
        with self._lock:
            # first: a disk that takes nothing must not have it told for ever
            self._pending.pop(report.id, None)
            self._journal.append({"gone": report.id})
            self._acknowledged += 1
            if self._acknowledged >= MOST_ACKNOWLEDGED:
                self._tidy()

    def refused(self, report: Report, reply: Reply) -> None:
        """The server will never take it: kept beside, so that a person can see what was said."""
        with self._lock:
            self._dead.append({"report": report, "status": reply.status, "answer": dict(reply.body)})
        self.acknowledged(report)

    def dead_letters(self) -> list[Any]:
        return self._dead.read()

    def _tidy(self) -> None:
        self._journal.rewrite([{"put": report} for report in self._pending.values()])
        self._acknowledged = 0
