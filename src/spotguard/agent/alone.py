"""When a holder under notice hands over although nobody has ordered a move, and to whom (ruling B9, B4a)."""

from __future__ import annotations

from datetime import datetime, timedelta

from spotguard.agent.desk import Desk
from spotguard.agent.signals import Signals
from spotguard.domain.switches import MoveKind, Trigger
from spotguard.execution.move_state import MoveState
from spotguard.ports.workload import SyncTarget
from spotguard.telemetry import get_logger

log = get_logger("agent")


class Alone:
    """Times are by the steady clock: nobody sets it in the two minutes of a notice."""

    def __init__(self, desk: Desk, signals: Signals) -> None:
        self._desk, self._signals = desk, signals

    def moment(self) -> datetime | None:
        """When it has to begin; None while it has not to.

        With a ticket soon after the notice was heard, which leaves the server its turn first; without one as late as
        the workload's stop allows.
        """
        notice = self._signals.notice
        if notice is None or self._desk.primacy.held is None or self._desk.hands_off:
            return None
        limits = self._desk.settings.limits
        latest = notice.deadline - timedelta(seconds=self._desk.primacy.flush_seconds + limits.margin)
        if self._ticketed_standby() is None:
            return latest
        return min(latest, notice.heard_at + timedelta(seconds=limits.server_first))

    def turn(self) -> datetime | None:
        """When that is by the clock of the duties."""
        moment, clock = self.moment(), self._desk.ports.clock
        return None if moment is None else clock.now() + (moment - clock.steady())

    def can_wait(self, longest: timedelta) -> bool:
        """Whether no gate has to close for a notice, and no ticket to be delivered, within `longest`."""
        moment, handed = self.moment(), self._desk.primacy.handed
        is_due = moment is not None and moment - self._desk.ports.clock.steady() < longest
        return not is_due and (handed is None or handed.delivered)

    def move(self, now: datetime) -> MoveState | None:
        """The move that is to begin now, if one is: close, push, let go."""
        moment, notice, epoch = self.moment(), self._signals.notice, self._desk.primacy.held
        if moment is None or notice is None or epoch is None or self._desk.ports.clock.steady() < moment:
            return None
        log.warning("handing over alone", instance=self._desk.instance_id, epoch=epoch)
        return MoveState(
            own=self._desk.instance_id,
            epoch=epoch,
            kind=MoveKind.SYNCED,
            trigger=Trigger.EMERGENCY,
            begun_at=now,
            close_by=notice.deadline,
            target=self._ticketed_standby() or self._newest_standby(),
        )

    def _ticketed_standby(self) -> SyncTarget | None:
        """To whom this holder may hand over by itself."""
        slip = self._desk.primacy.ticket
        heirs = (
            s.target
            for s in self._desk.standbys()
            if slip and s.target.instance_id == slip.ticket.to_instance
        )
        return next(heirs, None)

    def _newest_standby(self) -> SyncTarget | None:
        standbys = [s.target for s in self._desk.standbys() if s.target.instance_id != self._desk.instance_id]
        return standbys[-1] if standbys else None
