"""The coordinator in production: a pass at least every ten seconds, at once when woken, until it is told to stop."""

from __future__ import annotations

import threading

from sqlalchemy.exc import SQLAlchemyError

from spotguard.coordinator.context import log
from spotguard.coordinator.coordinator import Coordinator
from spotguard.store import leases

AT_ONCE_SECONDS = 0.05  # wake-ups of one transaction come together


class Runner:
    """Several may run; a lease row per coordinator says which are alive, and proves nothing."""

    def __init__(self, coordinator: Coordinator, woken: threading.Event | None = None) -> None:
        self.coordinator = coordinator
        self.woken = woken or threading.Event()
        self._stop = threading.Event()

    def run(self) -> None:
        """Until `stop`. Whatever a pass raises is logged once, and the next pass comes."""
        try:
            while not self._stop.is_set():
                self.woken.clear()
                pause = self._pass()
                if self.woken.wait(pause):
                    self._stop.wait(AT_ONCE_SECONDS)
        finally:
            self._release()

    def stop(self) -> None:
        self._stop.set()
        self.woken.set()

    def _pass(self) -> float:
        ctx = self.coordinator.ctx
        try:
            now = ctx.clock.now()
            ctx.db.write(lambda tx: leases.hold(tx, now, ctx.settings.name))
            report = self.coordinator.run_pass()
        except Exception:  # noqa: BLE001 - the database may be away: the next pass finds it again
            log.exception("a pass failed")
            return ctx.settings.pass_seconds
        return max(0.0, (report.next_due - ctx.clock.now()).total_seconds())

    def _release(self) -> None:
        ctx = self.coordinator.ctx
        now = ctx.clock.now()
        try:
            ctx.db.write(lambda tx: leases.release(tx, now, ctx.settings.name))
        except SQLAlchemyError:  # the lease runs out by itself
            log.warning("the lease could not be released", name=ctx.settings.name)
