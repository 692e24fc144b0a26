"""Duty `outbox`: send what the server owes an acknowledgement for, in order, each until it is acknowledged."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from spotguard.agent.backoff import Backoff
from spotguard.agent.desk import OK, Desk, NotEnrolled
from spotguard.agent.outbox import Report
from spotguard.domain.errors import ServerAway
from spotguard.ports.server import Reply
from spotguard.telemetry import get_logger

MOST_AT_ONCE = 50  # then the other duties have their turn
LATER = frozenset({408, 429})

log = get_logger("agent")

Hearer = Callable[[Report, Reply], None]


class Posting:
    """Empties the outbox. `hearers` learn from the answers, by kind of report; losing an answer is harmless."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._backoff = Backoff()
        self.hearers: dict[str, Hearer] = {}

    def run(self, now: datetime) -> datetime | None:
        for _ in range(MOST_AT_ONCE):
            report = self._desk.outbox.first()
            if report is None:
                return None
            try:
                reply = self._desk.call("POST", report.path, report.body)
            except (ServerAway, NotEnrolled):
                return self._backoff.failed(now)
            if reply.status in LATER:
                return self._backoff.failed(now)
            self._backoff.worked()
            self._settle(report, reply)
        return now + timedelta(seconds=0)

    def _settle(self, report: Report, reply: Reply) -> None:
        if reply.status in OK:
            hear = self.hearers.get(report.kind)
            if hear is not None:
                hear(report, reply)
            self._desk.outbox.acknowledged(report)
            return
        self._desk.outbox.refused(report, reply)
        log.error(
            "report refused",
            report=report.id,
            status=reply.status,
            because=str(reply.body.get("detail", ""))[:300],
        )
