"""The coordinator in production: a pass at least every ten seconds, at once when woken, until it is told to stop."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from spotguard.coordinator.context import log
from spotguard.coordinator.coordinator import Coordinator
from spotguard.domain.agents import OFFLINE_AFTER
from spotguard.planning.presence import Listening
from spotguard.store import events, leases
from spotguard.store.database import cause_of, is_away

MOST_TOLD = 200  # events of one pass; the rest follow with the next
DAWDLES = timedelta(seconds=5)  # of a busy machine between two passes, which is no absence
AWAY = timedelta(minutes=1)  # so long nobody coordinated: agents come again within that
WAITS_AGAIN_AFTER = timedelta(minutes=10)
AT_ONCE_SECONDS = 0.05  # wake-ups of one transaction come together


class Runner:
    """Several may run; a lease row per coordinator says which are alive, and proves nothing."""

    def __init__(self, coordinator: Coordinator, woken: threading.Event | None = None) -> None:
        self.coordinator = coordinator
        self.woken = woken or threading.Event()
        self._stop = threading.Event()
        self._told: int | None = None  # the newest event that the log has
        self._listening: Listening | None = None  # by the ends of passes; None: before the first

    def run(self) -> None:
        """Until `stop`. Whatever a pass raises is logged once, and the next pass comes."""
        settings = self.coordinator.ctx.settings
        log.info("coordinating", name=settings.name, pass_seconds=settings.pass_seconds)
        try:
            while not self._stop.is_set():
                self.woken.clear()
                pause = self._pass()
                if self.woken.wait(pause):
                    self._stop.wait(AT_ONCE_SECONDS)
        finally:
            self._release()
            log.info("stopped", name=settings.name)

    def stop(self) -> None:
        self._stop.set()
        self.woken.set()

    def _pass(self) -> float:
        ctx = self.coordinator.ctx
        try:
            now = ctx.clock.now()
            self._listen(now)
            ctx.db.write(lambda tx: leases.hold(tx, now, ctx.settings.name))
            report = self.coordinator.run_pass()
            self._tell()
            ended = ctx.clock.now()
            self._present(None if ended - now > OFFLINE_AFTER else ended)
        except Exception as error:  # noqa: BLE001 - the database may be away: the next pass finds it again
            if is_away(error):
                log.error("no pass: the database cannot serve", cause=cause_of(error))
            else:
                log.exception("a pass failed")
            self._present(None)
            return ctx.settings.pass_seconds
        return max(0.0, (report.next_due - ctx.clock.now()).total_seconds())

    def _listen(self, now: datetime) -> None:
        """Whether this process has just come, or has been frozen, suspended or without its database: then whoever was
        not heard meanwhile had nobody to speak to.
        """
        ctx = self.coordinator.ctx
        longest = timedelta(seconds=ctx.settings.pass_seconds) + DAWDLES
        before = self._listening
        self._listening = Listening.begun(now) if before is None else before.at(now, longest)
        ctx.listens_since = self._listening.since
        if self._listening.since == now and self._may_wait(now, has_just_come=before is None):
            ctx.waits_since = now

    def _may_wait(self, now: datetime, *, has_just_come: bool) -> bool:
        """Never for ever: passes that take long are no absences one after the other, and who comes in the place of a
        coordinator that has just died was not away.
        """
        ctx = self.coordinator.ctx
        if has_just_come:
            return not ctx.db.read(lambda tx: leases.were_held(tx, now - AWAY))
        return ctx.waits_since is None or now - ctx.waits_since > WAITS_AGAIN_AFTER

    def _present(self, at: datetime | None) -> None:
        """None: nobody could be heard."""
        if self._listening is not None:
            self._listening = replace(self._listening, present_at=at)

    def _tell(self) -> None:
        """What happened since the last pass, whoever did it, each with its reason: as the events have it."""
        db = self.coordinator.ctx.db
        if self._told is None:
            self._told = db.read(lambda tx: events.newest_id(tx, None))
            return
        last = self._told
        for row in db.read(lambda tx: events.of_everybody_after(tx, last, MOST_TOLD)):
            self._told = row.id
            log.info(row.kind, client=row.client_id, agent=row.agent_id, because=row.message)

    def _release(self) -> None:
        ctx = self.coordinator.ctx
        now = ctx.clock.now()
        try:
            ctx.db.write(lambda tx: leases.release(tx, now, ctx.settings.name))
        except SQLAlchemyError:  # the lease runs out by itself
            log.warning("the lease could not be released", name=ctx.settings.name)
