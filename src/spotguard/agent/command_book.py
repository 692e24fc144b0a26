"""Which commands were begun and how they ended: on the disk before the first side effect (invariant 5)."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from spotguard.agent.desk import Desk
from spotguard.agent.files import Document
from spotguard.agent.orders import Command
from spotguard.domain.commands import CommandStatus, CommandType
from spotguard.domain.ids import CommandId

MOST_REMEMBERED = 200


@dataclass(frozen=True)
class Answer:
    """How a command ended here."""

    status: CommandStatus
    message: str
    result: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """One command; no answer: begun, and to be carried on."""

    command: Command
    answer: Answer | None = None


class CommandBook:
    """Remembers the newest commands; one delivered again returns what was written down."""

    NAME = "commands"
    KIND = "result"

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._document = Document(desk.ports.disk, self.NAME)
        self._entries: dict[CommandId, Entry] = {}
        self._lock = threading.Lock()

    def load(self) -> None:
        entries = self._document.read_as_or(list[Entry], [])
        self._entries = {entry.command.id: entry for entry in entries}

    def find(self, command_id: CommandId) -> Entry | None:
        return self._entries.get(command_id)

    def open(self) -> list[Command]:
        """Begun and not answered, oldest first."""
        return [entry.command for entry in self._entries.values() if entry.answer is None]

    def of_type(self, wanted: CommandType) -> list[Command]:
        """Those that were ever begun here and are remembered, newest first."""
        known = [e.command for e in self._entries.values() if e.command.command_type == wanted]
        return known[::-1]

    def begin(self, command: Command) -> None:
        """Durable when this returns. A later delivery only brings a later end of its time."""
        with self._lock:
            known = self._entries.get(command.id)
            if known is None:
                self._keep(Entry(command))
            elif known.answer is None and known.command != command:
                self._keep(replace(known, command=command))

    def answer(
        self, command: Command, status: CommandStatus, message: str, result: Mapping[str, Any] | None = None
    ) -> None:
        """The first answer stands. It is told to the server until that has it."""
        with self._lock:
            known = self._entries.get(command.id)
            if known is None or known.answer is None:
                answer = Answer(status, message[:2000], dict(result or {}))
                self._report(command.id, answer)  # first: what is recorded is on its way
                self._keep(Entry(command, answer))

    def tell(self, command_id: CommandId) -> None:
        """Put the recorded answer into the outbox again."""
        entry = self._entries.get(command_id)
        if entry is not None and entry.answer is not None:
            self._report(command_id, entry.answer)

    def _report(self, command_id: CommandId, answer: Answer) -> None:
        body = {"status": answer.status.value, "message": answer.message, "result": answer.result}
        self._desk.report(f"result:{command_id}", self.KIND, f"commands/{command_id}/result", body)

    def _keep(self, entry: Entry) -> None:
        entries = {**self._entries, entry.command.id: entry}
        answered = [i for i, e in entries.items() if e.answer is not None]
        for command_id in answered[: max(0, len(entries) - MOST_REMEMBERED)]:
            del entries[command_id]
        self._document.write(list(entries.values()))
        self._entries = entries
