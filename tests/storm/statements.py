"""What SQLite was asked for while signals came: how many statements each took, and when the first and last came."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from spotguard.store.database import Database

_SIGNAL = "INSERT INTO spot_interruption_events"
_ANSWER = "UPDATE spot_interruption_events SET action="
_ENDS = ("COMMIT", "ROLLBACK")


@dataclass
class Statements:
    """`begun`, `decided`: seconds of (wall clock, processor) at the first signal's BEGIN, the last answer's COMMIT.

    A signal's statements are those of the transaction that records it: from BEGIN to COMMIT, both counted.
    """

    begun: tuple[float, float] | None = None
    decided: tuple[float, float] | None = None
    signals: int = 0
    of_signals: Counter[str] = field(default_factory=Counter)
    _open: list[str] = field(default_factory=list)
    _open_at: tuple[float, float] = (0.0, 0.0)

    def heard(self, statement: str) -> None:
        if statement.startswith("BEGIN"):
            self._open, self._open_at = [], _moment()
        self._open.append(statement)
        if statement.startswith(_ENDS):
            self._closed()

    def _closed(self) -> None:
        told = any(statement.startswith(_SIGNAL) for statement in self._open)
        if told:
            self.begun = self.begun or self._open_at
            self.signals += 1
            self.of_signals.update(_kind(statement) for statement in self._open)
        if any(statement.startswith(_ANSWER) for statement in self._open):
            self.decided = _moment()

    @property
    def per_signal(self) -> float:
        return round(self.of_signals.total() / self.signals, 1) if self.signals else 0.0

    @property
    def seconds(self) -> tuple[float, float]:
        """Of the wall clock, and of the processor."""
        if self.begun is None or self.decided is None:
            return (0.0, 0.0)
        return (self.decided[0] - self.begun[0], self.decided[1] - self.begun[1])


@contextmanager
def listening(db: Database) -> Iterator[Statements]:
    """`db` in memory: it has one connection."""
    found = Statements()
    connection: Any = db.read(lambda tx: tx.connection.driver_connection)
    connection.set_trace_callback(found.heard)
    try:
        yield found
    finally:
        connection.set_trace_callback(None)


def _moment() -> tuple[float, float]:
    return (time.perf_counter(), time.process_time())


def _kind(statement: str) -> str:
    """The verb and the first table: `SELECT agents`."""
    words = statement.split()
    verb = words[0]
    after = {"SELECT": "FROM", "INSERT": "INTO", "UPDATE": "UPDATE", "DELETE": "FROM"}.get(verb)
    return verb if after is None or after not in words else f"{verb} {words[words.index(after) + 1]}"
