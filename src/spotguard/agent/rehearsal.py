"""A clone of a restore point in quarantine, as a job of the moves duty: the workload starts for a probe, and stops."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from spotguard.agent.command_book import CommandBook
from spotguard.agent.desk import Desk
from spotguard.agent.orders import Command, drill_order
from spotguard.domain.commands import CommandStatus, CommandType
from spotguard.domain.errors import GateFailed, Refused
from spotguard.ports.state import StateSeen
from spotguard.telemetry import get_logger

AGAIN_SECONDS = 2.0

log = get_logger("agent")


class Rehearsal:
    """Carries `drill` commands out, on an instance whose launch says that it is a clone for this very drill."""

    def __init__(self, desk: Desk, book: CommandBook) -> None:
        self._desk, self._book = desk, book
        self._complaint = "its gate has opened, and its probe has not succeeded"
        self._before: StateSeen | None = None  # its first start may make a state where it finds none

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
        self._before = self._before or self._desk.state_seen()
        try:
            primacy.rehearse()
        except GateFailed as error:
            self._complaint = str(error)
            return False
        if not primacy.healthy():
            return False
        seen = self._desk.state_seen()
        told = self._told(seen)
        self._close()
        if (lack := _lack(self._before, seen)) is not None:
            self._book.answer(command, CommandStatus.FAILED, lack)
        else:
            has_probe = self._desk.settings.has_probe
            how = "its probe succeeded" if has_probe else "it runs: no probe is configured"
            self._book.answer(command, CommandStatus.COMPLETED, f"the workload started, and {how}", told)
        return True

    def _told(self, seen: StateSeen | None) -> dict[str, Any]:
        """What was looked at, while the workload runs: some mount their state when they start."""
        return {
            "has_probe": self._desk.settings.has_probe,
            "state_path": None if seen is None else seen.path,
            "mounted_at": None if seen is None else seen.mounted_at,
            "state_on_root": self._desk.state_on_root(),
            "state_volumes": self._desk.state_volumes(),
        }

    def _close(self) -> None:
        """A gate that does not close is told and no more: the machine is ended next."""
        try:
            self._desk.primacy.end_rehearsal()
        except GateFailed as error:
            log.warning("gate", instance=self._desk.instance_id, because=str(error))


def _lack(before: StateSeen | None, after: StateSeen | None) -> str | None:
    """Why what ran was not the state of the restore point; None: nothing says so. `before`: it started."""
    if after is None:
        return None
    is_mount = after.path == after.mounted_at
    where = after.path if is_mount else f"{after.path}, below the mount point {after.mounted_at}"
    if after.is_empty:
        return f"the workload runs without its state: nothing is in {where}"
    if before is not None and before.is_empty and before.mounted_at == after.mounted_at:
        return f"the workload started without its state: nothing was in {where}, and what is there now it has made"
    return None
