"""What the standby was missing, as a job of the moves duty: a copy of a dead holder's volume is compared."""

from __future__ import annotations

from datetime import datetime, timedelta

from spotguard.agent.command_book import CommandBook
from spotguard.agent.desk import Desk
from spotguard.agent.orders import Command, compare_order
from spotguard.domain.clock import rfc3339
from spotguard.domain.commands import CommandStatus, CommandType
from spotguard.domain.errors import Refused, SalvageFailed

AGAIN_SECONDS = 5.0
NO_SALVAGE = "this agent knows no folder of the state (state_path): nothing can be compared"


class Salvaging:
    """Carries `compare_state` commands out. Nothing is copied and nothing merged."""

    def __init__(self, desk: Desk, book: CommandBook) -> None:
        self._desk, self._book = desk, book

    def check(self, command: Command) -> None:
        compare_order(command)
        if self._desk.ports.salvage is None:
            raise Refused(NO_SALVAGE)
        if self._desk.primacy.held is None:
            raise Refused("this instance does not serve: there is nothing to compare with")

    def run(self, now: datetime) -> datetime | None:
        wanted = [c for c in self._book.open() if c.command_type == CommandType.COMPARE_STATE]
        waiting = [command for command in wanted if not self._carry_on(command, now)]
        return now + timedelta(seconds=AGAIN_SECONDS) if waiting else None

    def _carry_on(self, command: Command, now: datetime) -> bool:
        """True when it is answered."""
        salvage = self._desk.ports.salvage
        if salvage is None or command.is_over(self._desk.server_now(now)):
            self._book.answer(command, CommandStatus.FAILED, "not compared in its time")
            return True
        try:
            found = salvage.compare(compare_order(command).copy_id)
        except SalvageFailed as error:
            self._book.answer(command, CommandStatus.FAILED, str(error))
            return True
        if found is None:
            return False
        newest = None if found.newest_at is None else rfc3339(found.newest_at)
        told = {"files": found.files, "bytes": found.bytes, "newest_at": newest}
        self._book.answer(command, CommandStatus.COMPLETED, "compared", told)
        return True
