"""A clone of a restore point in quarantine, as a job of the moves duty: the workload starts for a probe, and stops."""

from __future__ import annotations

from datetime import datetime, timedelta

from spotguard.agent.command_book import CommandBook
from spotguard.agent.desk import Desk
from spotguard.agent.orders import Command, drill_order
from spotguard.domain.commands import CommandStatus, CommandType
from spotguard.domain.errors import GateFailed, Refused
from spotguard.telemetry import get_logger

AGAIN_SECONDS = 2.0

log = get_logger("agent")


class Rehearsal:
    """Carries `drill` commands out, on an instance whose launch says that it is a clone for this very drill."""

    def __init__(self, desk: Desk, book: CommandBook) -> None:
        self._desk, self._book = desk, book
        self._complaint = "its gate has opened, and its probe has not succeeded"

    def check(self, command: Command) -> None:
        note, order = self._desk.note, drill_order(command)
        if note is None or note.drill_id != order.drill_id:
            raise Refused("this instance was not launched for this drill: its gate stays as it is")
        if self._desk.primacy.held is not None:
            raise Refused("this instance holds an epoch: it rehearses nothing")

    def run(self, now: datetime) -> datetime | None:
        wanted = [c for c in self._book.open() if c.command_type == CommandType.DRILL]
        waiting = [command for command in wanted if not self._carry_on(command, now)]
        return now + timedelta(seconds=AGAIN_SECONDS) if waiting else None

    def _carry_on(self, command: Command, now: datetime) -> bool:
        """True when it is answered."""
        if command.is_over(self._desk.server_now(now)):
            self._close()
            self._book.answer(command, CommandStatus.FAILED, f"not healthy in time: {self._complaint}")
            return True
        primacy = self._desk.primacy
        try:
            primacy.rehearse()
        except GateFailed as error:
            self._complaint = str(error)
            return False
        if not primacy.healthy():
            return False
        self._close()
        self._book.answer(command, CommandStatus.COMPLETED, "the workload started and its probe succeeded")
        return True

    def _close(self) -> None:
        """A gate that does not close is told and no more: the machine is ended next."""
        try:
            self._desk.primacy.end_rehearsal()
        except GateFailed as error:
            log.warning("gate", instance=self._desk.instance_id, because=str(error))
