"""Duty `outbox`: send what the server owes an acknowledgement for, in order, each until it is acknowledged.

A termination notice is urgent: of its two minutes none waits for another report, or for a long pause.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from spotguard.agent.backoff import Backoff
from spotguard.agent.desk import OK, Desk, NotEnrolled
from spotguard.agent.outbox import Report
from spotguard.domain.errors import ServerAway
from spotguard.domain.switches import TIMING_NAME, Step
from spotguard.ports.server import Reply
from spotguard.telemetry import get_logger

MOST_AT_ONCE = 50  # then the other duties have their turn
AGAIN_SECONDS = 60.0  # for a release that was refused
IN_THE_WAY = timedelta(
    minutes=1
)  # so long a report may fail beside heartbeats that are heard before others go on
PASSED_OVER = timedelta(seconds=10)  # then it has its turn again
URGENT_AGAIN = timedelta(seconds=2)  # the longest pause before what is urgent is tried again
LATER = frozenset({408, 429})

log = get_logger("agent")

Hearer = Callable[[Report, Reply], None]


class Posting:
    """Empties the outbox. `hearers` learn from the answers, by kind of report; losing an answer is harmless."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._backoff = Backoff()
        self._again_at: datetime | None = None
        self._fails_since: dict[str, datetime] = {}  # by report
        self.hearers: dict[str, Hearer] = {}

    def run(self, now: datetime) -> datetime | None:
        if self._again_at is not None and now >= self._again_at:
            self._desk.outbox.take_up()
            self._again_at = None
        for _ in range(MOST_AT_ONCE):
            report = self._desk.outbox.first()
            if report is None:
                return self._again_at
            try:
                reply = self._desk.call("POST", report.path, report.body)
            except (ServerAway, NotEnrolled):
                reply = None
            if reply is None or reply.status in LATER:
                if not self._passes_over(report, now):
                    again = self._backoff.failed(now)
                    return min(again, now + URGENT_AGAIN) if report.urgent else again
                continue
            self._backoff.worked()
            self._fails_since.pop(report.id, None)
            self._settle(report, reply, now)
        return now + timedelta(seconds=0)

    def _passes_over(self, report: Report, now: datetime) -> bool:
        """The server takes it for later, or fails over it, and answers heartbeats: the others, and what heartbeats tell
        only after them, do not wait for it.
        """
        since, heard_at = self._fails_since.setdefault(report.id, now), self._desk.heard_at
        if heard_at is None or heard_at <= since or now - since < IN_THE_WAY:
            return False
        self._desk.outbox.set_aside(report)
        self._again_at = now + PASSED_OVER
        log.error("report passed over", report=report.id, fails_since=since)
        return True

    def _settle(self, report: Report, reply: Reply, now: datetime) -> None:
        if reply.status in OK:
            hear = self.hearers.get(report.kind)
            if hear is not None:
                hear(report, reply)
            self._desk.outbox.acknowledged(report)
            return
        if self._must_be_known(report):
            self._desk.outbox.set_aside(report)
            self._again_at = now + timedelta(seconds=AGAIN_SECONDS)
        else:
            self._desk.outbox.refused(report, reply)
        log.error(
            "report refused",
            report=report.id,
            status=reply.status,
            because=str(reply.body.get("detail", ""))[:300],
        )

    def _must_be_known(self, report: Report) -> bool:
        """It lets go of an epoch, and no heartbeat has told so either: nobody would ever serve again."""
        lets_go = TIMING_NAME[Step.RELEASED] in (report.body.get("timing") or {})
        return lets_go and self._desk.released_heard < self._desk.primacy.released
