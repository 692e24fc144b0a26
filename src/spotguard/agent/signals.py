"""Duty `signals`: ask the metadata service every second whether EC2 takes this instance back; tell the server at once.

A signal is on the disk before it is told, and once there it is never told anew. Of a termination notice the moves duty
learns before: it closes the gate in time, with the server's help or alone, also where nothing can be written any more.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from spotguard.agent.desk import Desk
from spotguard.agent.files import Document
from spotguard.agent.outbox import Report
from spotguard.domain.clock import rfc3339
from spotguard.domain.errors import MetadataUnavailable
from spotguard.domain.signals import NOTICE_SECONDS, SignalAction, SignalType
from spotguard.ports.server import Reply
from spotguard.telemetry import get_logger

LATELY = timedelta(seconds=10)  # a look at the metadata since which a notice can only just have come
WITHDRAWN_AFTER = timedelta(minutes=5)  # of the deadline of a notice that the metadata shows no more
SURELY_LEFT = timedelta(seconds=60)  # of the two minutes, to whoever looked lately

log = get_logger("agent")


@dataclass(frozen=True)
class Notice:
    """EC2 will take this instance at `deadline`. Both by our steady clock."""

    deadline: datetime
    heard_at: datetime


@dataclass(frozen=True)
class Heard:
    """What stands on the disk."""

    seen: tuple[str, ...] = ()
    notice: Notice | None = None
    epoch: int | None = None  # that was held here when the notice came
    asked: str | None = None  # the report of the notice
    hands_off: bool = False  # the server's answer to it: record it, do nothing (ruling B8)


def no_later_than_a_notice(deadline: datetime, steady: datetime) -> datetime:
    """What is further away than a notice is long was told by a clock that is wrong, or is of another boot."""
    return min(deadline, steady + timedelta(seconds=NOTICE_SECONDS))


class Signals:
    """Polls, journals, reports."""

    NAME = "signals"
    KIND = "signal"

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._document = Document(desk.ports.disk, self.NAME)
        self._heard = Heard()
        self._changing = threading.Lock()  # the signals' thread hears, the reports' thread is answered
        self._deaf = False
        self._looked_at: datetime | None = None  # when this process last had an answer, by the steady clock

    def load(self) -> None:
        heard = self._document.read_as_or(Heard, Heard())
        if heard.notice is not None:
            now = self._desk.ports.clock.steady()
            deadline = no_later_than_a_notice(heard.notice.deadline, now)
            heard = replace(heard, notice=Notice(deadline, min(heard.notice.heard_at, now)))
        self._heard = heard

    @property
    def notice(self) -> Notice | None:
        """The termination notice that still has to be acted on.

        What the server said of it, it said of the epoch that was held then: who was granted one since hands that over.
        """
        epoch = self._heard.epoch
        is_left = self._heard.hands_off and epoch is not None and epoch == self._desk.primacy.held
        return None if is_left else self._heard.notice

    @property
    def is_doomed(self) -> bool:
        """AWS is about to take this instance, whoever may act on it."""
        return self._heard.notice is not None

    @property
    def forgets_at(self) -> datetime | None:
        """From when on a notice that the metadata shows no more was not carried out, by our steady clock."""
        return None if self._heard.notice is None else self._heard.notice.deadline + WITHDRAWN_AFTER

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
            self._hear_notice(notice.action_time, now)
        else:
            self._forget_what_passed()
        if rebalance is not None:
            self._hear(SignalType.REBALANCE, rebalance.notice_time, None)
        self._looked_at = self._desk.ports.clock.steady()
        return again

    def _hear_notice(self, action_time: datetime, now: datetime) -> None:
        sent = min(self._desk.server_now(now), action_time - timedelta(seconds=NOTICE_SECONDS))
        steady = self._desk.ports.clock.steady()
        if self._looked_at is None:
            self._correct(action_time, steady)
        self._hear(
            SignalType.TERMINATION, sent, Notice(self._deadline(action_time, steady), steady), action_time
        )

    def _correct(self, action_time: datetime, steady: datetime) -> None:
        """What another process has written may be of another boot, of which the steady clock knows nothing."""
        kept, earliest = self._heard.notice, min(self._possible(action_time, steady), default=None)
        if kept is not None and earliest is not None and earliest < kept.deadline:
            with self._changing:
                self._keep(replace(self._heard, notice=replace(kept, deadline=earliest)))
            self._desk.bells.ring("moves")

    def _forget_what_passed(self) -> None:
        """EC2 did not take this instance: it may serve on, and stand by."""
        at = self.forgets_at
        if at is not None and self._desk.ports.clock.steady() >= at:
            with self._changing:
                self._keep(Heard(self._heard.seen))
            log.warning("the notice was not carried out", instance=self._desk.instance_id)

    def _deadline(self, action_time: datetime, steady: datetime) -> datetime:
        """By our steady clock. AWS tells it by its own, and neither our clock nor the server's need agree with that: of
        what the two make of it now the earlier counts that leaves as much time as a notice can.
        """
        by_the_server = no_later_than_a_notice(self._desk.steady_time(action_time), steady)
        return min(self._possible(action_time, steady), default=by_the_server)

    def _possible(self, action_time: datetime, steady: datetime) -> list[datetime]:
        least = steady
        if self._looked_at is not None and steady - self._looked_at <= LATELY:
            least = steady + SURELY_LEFT
        told = (self._desk.ports.clock.steady_at(action_time), self._desk.steady_time(action_time))
        return [at for at in told if least <= at <= no_later_than_a_notice(at, steady)]

    def _hear(
        self, signal: SignalType, at: datetime, notice: Notice | None, action_time: datetime | None = None
    ) -> None:
        key = f"{signal}:{rfc3339(action_time or at)}"
        if key in self._heard.seen:
            return
        body = {"signal_type": signal.value, "signal_time": rfc3339(at)}
        if action_time is not None:
            body["action_time"] = rfc3339(action_time)
        report_id, urgent = f"signal:{key}", signal is SignalType.TERMINATION
        log.warning("signal", instance=self._desk.instance_id, signal=signal.value, deadline=action_time)
        if notice is not None:
            with self._changing:
                seen = (*self._heard.seen, key)
                self._heard = Heard(seen, notice, self._desk.primacy.held, report_id)
            self._desk.bells.ring("moves")
        self._desk.report(report_id, self.KIND, "interruption-signal", body, urgent=urgent)
        with self._changing:
            seen = (*(known for known in self._heard.seen if known != key), key)
            self._keep(replace(self._heard, seen=seen))

    def answered(self, report: Report, reply: Reply) -> None:
        """The server has recorded it: what it has prepared comes as a command."""
        primacy = self._desk.primacy
        serves_unheard = primacy.handed is not None and primacy.held is not None  # it took over by a ticket
        if reply.body.get("action") == SignalAction.NONE and not serves_unheard:
            with self._changing:
                if report.id == self._heard.asked:  # what is said of another notice binds this one to nothing
                    self._keep(replace(self._heard, hands_off=True))
        self._desk.bells.ring("commands")

    def _keep(self, heard: Heard) -> None:
        """What cannot be written is heard again by the next process."""
        self._heard = heard
        self._document.write(heard, at_any_rate=True)
