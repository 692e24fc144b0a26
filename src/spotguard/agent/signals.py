"""Duty `signals`: ask the metadata service every second whether EC2 takes this instance back; tell the server at once.

A signal is on the disk before it is acted on, and once there it is never told anew. Of a termination notice the
moves duty learns too: it closes the gate in time, with the server's help or alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from spotguard.agent.desk import Desk
from spotguard.agent.files import Document
from spotguard.agent.outbox import Report
from spotguard.domain.clock import rfc3339
from spotguard.domain.errors import MetadataUnavailable
from spotguard.domain.signals import NOTICE_SECONDS, SignalAction, SignalType
from spotguard.ports.server import Reply
from spotguard.telemetry import get_logger

log = get_logger("agent")


@dataclass(frozen=True)
class Notice:
    """EC2 will take this instance at `deadline`, by our own clock."""

    deadline: datetime
    heard_at: datetime


@dataclass(frozen=True)
class Heard:
    """What stands on the disk."""

    seen: tuple[str, ...] = ()
    notice: Notice | None = None
    hands_off: bool = False  # the server's answer to the notice: record it, do nothing (ruling B8)


class Signals:
    """Polls, journals, reports."""

    NAME = "signals"
    KIND = "signal"

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._document = Document(desk.ports.disk, self.NAME)
        self._heard = Heard()
        self._deaf = False

    def load(self) -> None:
        self._heard = self._document.read_as_or(Heard, Heard())

    @property
    def notice(self) -> Notice | None:
        """The termination notice that still has to be acted on."""
        return None if self._heard.hands_off else self._heard.notice

    def run(self, now: datetime) -> datetime | None:
        again = now + timedelta(seconds=self._desk.intervals.signal_poll_seconds)
        metadata = self._desk.ports.metadata
        try:
            notice = metadata.interruption_notice()
            rebalance = metadata.rebalance_recommendation()
        except MetadataUnavailable as error:
            if not self._deaf:
                log.warning("metadata", because=str(error))
            self._deaf = True
            return again
        self._deaf = False
        if notice is not None:
            sent = min(now, notice.action_time - timedelta(seconds=NOTICE_SECONDS))
            self._hear(SignalType.TERMINATION, sent, notice.action_time)
        if rebalance is not None:
            self._hear(SignalType.REBALANCE, rebalance.notice_time, None)
        return again

    def _hear(self, signal: SignalType, at: datetime, deadline: datetime | None) -> None:
        key = f"{signal}:{rfc3339(deadline or at)}"
        if key in self._heard.seen:
            return
        notice = self._heard.notice if deadline is None else Notice(self._desk.own_time(deadline), at)
        body = {"signal_type": signal.value, "signal_time": rfc3339(at)}
        if deadline is not None:
            body["action_time"] = rfc3339(deadline)
        self._desk.report(f"signal:{key}", self.KIND, "interruption-signal", body)
        self._keep(Heard((*self._heard.seen, key), notice))
        log.warning("signal", instance=self._desk.instance_id, signal=signal.value, deadline=deadline)
        self._desk.bells.ring("moves")

    def answered(self, report: Report, reply: Reply) -> None:
        """The server has recorded it: what it has prepared comes as a command."""
        action = reply.body.get("action")
        is_termination = report.body.get("signal_type") == SignalType.TERMINATION
        if is_termination and action == SignalAction.NONE:
            self._keep(Heard(self._heard.seen, self._heard.notice, hands_off=True))
        self._desk.bells.ring("commands")

    def _keep(self, heard: Heard) -> None:
        self._document.write(heard)
        self._heard = heard
