"""The new half of a move, as a job of the moves duty: open the gate for the granted epoch, and say when it serves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from spotguard.agent.command_book import CommandBook
from spotguard.agent.desk import Desk
from spotguard.agent.orders import Command, PromoteOrder, promote_order
from spotguard.agent.switch_reports import timing
from spotguard.domain.commands import CommandStatus, CommandType
from spotguard.domain.errors import GateFailed, Refused
from spotguard.domain.instances import GateState
from spotguard.domain.switches import Step
from spotguard.telemetry import get_logger

AGAIN_SECONDS = 2.0

log = get_logger("agent")


class Promotion:
    """Carries `promote` commands out. A gate that does not open is tried until it does: the epoch is ours."""

    def __init__(self, desk: Desk, book: CommandBook, opened: Callable[[], None]) -> None:
        self._desk, self._book, self._opened = desk, book, opened
        self._complaint = ""

    def check(self, command: Command) -> None:
        order = promote_order(command)
        if self._desk.rehearses:
            raise Refused("a clone in quarantine never serves")
        if order.epoch <= self._desk.primacy.released:
            raise Refused(f"epoch {order.epoch} was released here: never again")

    def run(self, now: datetime) -> datetime | None:
        again: datetime | None = None
        for command in self._book.open():
            if command.command_type == CommandType.PROMOTE and not self._carry_on(command, now):
                again = now + timedelta(seconds=AGAIN_SECONDS)
        return again

    def _carry_on(self, command: Command, now: datetime) -> bool:
        """True when it is answered."""
        order, primacy = promote_order(command), self._desk.primacy
        if not primacy.told(order.epoch):
            self._book.answer(command, CommandStatus.REFUSED, f"epoch {order.epoch} is over here")
            return True
        try:
            if primacy.ensure_open():
                self._opened()
        except GateFailed as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                log.error("gate", instance=self._desk.instance_id, because=str(error))  # noqa: TRY400
            return False
        if primacy.gate_state() is not GateState.OPEN or not primacy.healthy():
            return False  # also who has forgotten whether it handed over: it waits for what the server says of that
        self._tell(command, order, now)
        return True

    def _tell(self, command: Command, order: PromoteOrder, now: datetime) -> None:
        if order.switch_id is not None:
            body = {"switch_id": order.switch_id, "timing": timing({Step.OPENED: now})}
            self._desk.report(f"switch:{order.switch_id}:opened", "switch", "switch-report", body)
        self._book.answer(command, CommandStatus.COMPLETED, "serving", {"epoch": order.epoch})
        self._desk.bells.ring("traffic")
        log.info("serving", instance=self._desk.instance_id, epoch=order.epoch)
