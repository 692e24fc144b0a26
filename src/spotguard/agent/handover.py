"""The old half of a move, as a job of the moves duty: begun by a `switch` command, or alone when a notice runs out.

All that happens to a move happens in the moves duty's own turn; the other duties leave notes (`post`). What was done
is on the disk before it is told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from spotguard.agent.alone import Alone
from spotguard.agent.command_book import CommandBook
from spotguard.agent.desk import MOST_SAID, OK, Desk, NotEnrolled
from spotguard.agent.files import Document
from spotguard.agent.launches import DiskIntentions
from spotguard.agent.orders import Command, SwitchOrder, move_of, switch_order, target_of
from spotguard.agent.outbox import Report
from spotguard.agent.quiet import Quiet
from spotguard.agent.signals import Signals, no_later_than_a_notice
from spotguard.agent.switch_reports import poll_body, report_body
from spotguard.domain.commands import CommandStatus, CommandType
from spotguard.domain.errors import InvalidInput, Refused, ServerAway
from spotguard.domain.switches import Step, SwitchStatus
from spotguard.execution.move_state import (
    MoveEnd,
    MoveState,
    decode,
    encode,
    learn,
    merge_released,
    unreported,
)
from spotguard.execution.old_half import Advance, OldHalf
from spotguard.ports.checked_lines import Damaged
from spotguard.ports.server import Reply
from spotguard.telemetry import get_logger

UNWOUND_WITHIN = timedelta(minutes=2)

log = get_logger("agent")


class Handover:
    """At most one move at a time; its newest state stays on the disk after its end."""

    NAME = "move"
    KIND = "switch"

    def __init__(self, desk: Desk, book: CommandBook, signals: Signals, quiet: Quiet, alone: Alone) -> None:
        self._desk, self._book, self._signals, self._alone = desk, book, signals, alone
        self._document = Document(desk.ports.disk, self.NAME)
        self._state: MoveState | None = None
        self.is_lost = False  # what stood on the disk of the newest move cannot be read
        self._is_written = True  # what is known of it
        self._replies: deque[tuple[str, Mapping[str, Any]]] = deque(maxlen=100)
        self._polled_at: datetime | None = None
        self._unwinding_since: datetime | None = None
        ports = desk.ports
        self._half = OldHalf(
            holding=desk.primacy,
            sync=ports.sync,
            quiet=quiet,
            cloud=ports.cloud,
            intentions=DiskIntentions(ports.disk),
            clock=ports.clock,
            keep=self._keep,
            server_answers=self._server_answers,
            limits=desk.settings.limits,
            state_missing=desk.state_missing,
        )

    def load(self) -> None:
        """A state that cannot be read is none."""
        try:
            stored = self._document.read()
            self._state = None if stored is None else self._as_of_now(decode(stored.encode()))
        except (Damaged, InvalidInput) as error:
            self.is_lost = True
            log.error("move unreadable", because=str(error))  # noqa: TRY400 - the cause is the message

    def _as_of_now(self, state: MoveState) -> MoveState:
        if state.close_by is None:
            return state
        close_by = no_later_than_a_notice(state.close_by, self._desk.ports.clock.steady())
        return replace(state, close_by=close_by)

    @property
    def is_open(self) -> bool:
        return self._state is not None and self._state.ended is None

    # what the other duties tell

    def check(self, command: Command) -> None:
        """Refuse a `switch` that is stale."""
        order = switch_order(command)
        state = self._state
        mine = state is not None and state.switch_id == order.switch_id
        if not mine and order.epoch != self._desk.primacy.held and not self._handed_over_alone(order.epoch):
            held = self._desk.primacy.held
            raise Refused(f"it is for epoch {order.epoch}; this instance holds {held or 'none'}")

    def heard(self, report: Report, reply: Reply) -> None:
        """The server's answer to a report of a move."""
        switch_id = report.body.get("switch_id")
        if isinstance(switch_id, str):
            self._replies.append((switch_id, reply.body))
            self._desk.bells.ring("moves")

    # the moves duty's turn

    def run(self, now: datetime) -> datetime | None:
        try:
            self._begin_what_is_due(now)
        except OSError as error:
            if self._signals.notice is None:
                raise
            _not_written(error)
            if not self.is_open:
                self._begin_alone(now)
        state = self._state
        if state is None or state.ended is not None:
            return self._alone.turn()
        self._listen(now)
        advance = self._advance()
        if advance.state.ended is None and self._poll(now):
            advance = self._advance()
        self._complain(advance)
        if advance.again_seconds is None:
            return self.run(now) if self._next_command() else self._alone.turn()
        return self._desk.ports.clock.now() + timedelta(seconds=advance.again_seconds)

    def _complain(self, advance: Advance) -> None:
        """One that is given up and does not let the gate open again is told (presence): nobody serves."""
        now, state = self._desk.ports.clock.now(), advance.state
        if state.ended is not None or not (state.unwinding and state.gate_is_shut):
            self._unwinding_since = self._desk.move_stuck = None
            return
        self._unwinding_since = self._unwinding_since or now
        if now - self._unwinding_since >= UNWOUND_WITHIN:
            said = f"a move was given up, and is not taken back: {advance.because}"
            self._desk.move_stuck = said[:MOST_SAID]

    def _begin_what_is_due(self, now: datetime) -> None:
        if self._state is not None and self._state.ended is not None:
            self._tell(Advance(self._state, None, "ended before"))  # unless that was done before a crash
        command = self._next_command()
        if command is not None and self._is_stale(command, now):
            self._book.answer(command, CommandStatus.REFUSED, "it expired before it could be begun")
            command = None
        if command is not None and self.is_open:
            self._yield_to(command)
        if not self.is_open:
            if command is not None:
                self._begin(command, now)
            else:
                self._begin_alone(now)

    def _is_stale(self, command: Command, now: datetime) -> bool:
        """The server has given it up. What was done alone meanwhile is told all the same."""
        alone = self._state is not None and self._state.switch_id is None
        return not alone and command.is_over(self._desk.server_now(now))

    def _next_command(self) -> Command | None:
        """A `switch` that was journalled and is not this move's."""
        known = self._state.command_id if self._state else None
        for command in reversed(self._book.open()):
            if command.command_type == CommandType.SWITCH and command.id != known:
                return command
        return None

    def _begin(self, command: Command, now: datetime) -> None:
        order = self._order(command)
        fresh = move_of(command, order, self._desk.instance_id, now)
        former = self._state
        if former is not None and self._handed_over_alone(order.epoch):
            fresh = merge_released(fresh, former)
        elif order.epoch != self._desk.primacy.held:
            self._book.answer(command, CommandStatus.REFUSED, f"epoch {order.epoch} is over here")
            return
        self._keep(self._by_its_notice(fresh))
        self._polled_at = None
        if fresh.ended is not None:
            self._tell(Advance(fresh, None, "handed over before the command came"))

    def _order(self, command: Command) -> SwitchOrder:
        """Its time by our steady clock: that of the notice which we have read ourselves, if there is one."""
        order, notice = switch_order(command), self._signals.notice
        if order.close_by is None:
            return order
        told = notice.deadline if notice else self._desk.steady_time(order.close_by)
        return replace(order, close_by=no_later_than_a_notice(told, self._desk.ports.clock.steady()))

    def _yield_to(self, command: Command) -> None:
        """The server moves one thing at a time: a newer command means that the present move is given up there."""
        state = self._state
        if state is None:
            return
        if state.switch_id is None:  # begun alone: the command is for the same hand-over
            order = self._order(command)
            known = move_of(command, order, state.own, state.begun_at)
            if known.epoch == state.epoch:
                self._keep(replace(merge_released(known, state), close_by=known.close_by or state.close_by))
                return
        self._keep(state.unwind("the server has ordered another move"))

    def _begin_alone(self, now: datetime) -> None:
        move = self._alone.move(now)
        if move is not None:
            self._keep(move)

    def _handed_over_alone(self, epoch: int) -> bool:
        state = self._state
        return (
            state is not None
            and state.switch_id is None
            and state.epoch == epoch
            and state.ended is MoveEnd.RELEASED
        )

    def _listen(self, now: datetime) -> None:
        state = self._state
        while self._replies:
            switch_id, body = self._replies.popleft()
            if state is not None and state.switch_id == switch_id:
                state = self._learn(state, body, now)
        state = None if state is None else self._by_its_notice(state)
        if state is not None and state != self._state:
            self._keep(state)

    def _by_its_notice(self, state: MoveState) -> MoveState:
        notice = self._signals.notice
        if notice is None:
            return state
        return replace(state, close_by=min(state.close_by or notice.deadline, notice.deadline))

    def _learn(self, state: MoveState, body: Mapping[str, Any], now: datetime) -> MoveState:
        steps = [Step(name) for name in body.get("recorded") or () if name in set(Step)]
        status = body.get("status")
        try:
            target = target_of(body)
        except InvalidInput:
            target = None
        return learn(
            state,
            now,
            recorded=steps,
            target=target,
            status=SwitchStatus(str(status)) if status in set(SwitchStatus) else None,
            acts_itself=self._desk.ports.cloud is not None and not state.server_acts,
        )

    def _poll(self, now: datetime) -> bool:
        """Ask what the others have done; True when there is something new."""
        state = self._state
        if state is None or state.switch_id is None or len(self._desk.outbox):
            return False
        wait = timedelta(seconds=self._desk.settings.limits.look_again)
        if self._polled_at is not None and now - self._polled_at < wait:
            return False
        self._polled_at = now
        before = self._state
        if self._ask(state) is None:
            return False
        self._listen(now)
        return self._state != before

    def _ask(self, state: MoveState) -> Mapping[str, Any] | None:
        """What the server says of the move now, for `_listen` too; None when it does not answer."""
        if state.switch_id is None:
            return None
        try:
            reply = self._desk.call("POST", "switch-report", poll_body(state))
        except (ServerAway, NotEnrolled):
            return None
        if reply.status == HTTPStatus.NOT_FOUND:
            self._replies.append((state.switch_id, {"status": SwitchStatus.UNWOUND.value}))
        if reply.status not in OK:
            return None
        self._replies.append((state.switch_id, reply.body))
        return reply.body

    def _server_answers(self) -> bool:
        state = self._state
        told = None if state is None else self._ask(state)
        return told is not None and told.get("status") == SwitchStatus.PREPARING

    def _advance(self) -> Advance:
        state = self._state
        if state is None:
            raise InvalidInput("there is no move to carry on")
        half = replace(self._half, cloud=None) if state.server_acts else self._half
        advance = half.advance(state)
        if advance.state != self._state:
            self._keep(advance.state)
        self._tell(advance)
        return advance

    def _tell(self, advance: Advance) -> None:
        """Journal the reports of what was done, then the command's answer; nothing of what is not written itself."""
        state = advance.state
        if not self._is_written:
            self._keep(state)
        if not self._is_written:
            return
        news = unreported(state)
        if news and state.switch_id is not None:
            names = ",".join(sorted(step.value for step in news))
            body = report_body(state, news, self._desk)
            self._desk.report(f"switch:{state.switch_id}:{names}", self.KIND, "switch-report", body)
            state = replace(state, reported=state.reported | frozenset(news))
            self._keep(state)
        if state.ended is not None:
            self._answer(state)

    def _answer(self, state: MoveState) -> None:
        entry = self._book.find(state.command_id) if state.command_id else None
        if entry is not None and entry.answer is None:
            released = state.ended is MoveEnd.RELEASED
            self._book.answer(
                entry.command,
                CommandStatus.COMPLETED if released else CommandStatus.FAILED,
                "released" if released else state.unwinding or "unwound",
                {
                    "switch_id": state.switch_id,
                    "steps": [step.value for step in state.done],
                    "refused": list(state.refused),
                    "refused_ondemand": list(state.refused_ondemand),
                },
            )
            self._desk.bells.ring("presence")

    def _keep(self, state: MoveState) -> None:
        """On the disk, and before it that the gate is closed. Under a notice what cannot be written is gone on with,
        but for volumes that are to be moved: they stay where they are.
        """
        try:
            self._desk.primacy.settle()
            self._document.write(encode(state).decode())
        except OSError as error:
            if state.close_by is None or state.volumes:
                raise
            if self._is_written:
                _not_written(error)
            self._is_written = False
        else:
            self._is_written = True
        self._state = state


def _not_written(error: OSError) -> None:
    log.error("move not written", because=str(error))
