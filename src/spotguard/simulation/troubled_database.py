"""A database that loses races and connections, and a coordinator's view of it at whose commits the process may die."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from random import Random
from typing import TypeVar

from sqlalchemy.engine import Connection

from spotguard.simulation.trouble import Trouble
from spotguard.store.database import Database

T = TypeVar("T")


def _lost() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("the simulated database gave no answer")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return error


class TroubledDatabase(Database):
    """Shares of the writing transactions that are refused (deadlock), or applied while the connection is lost."""

    deadlock = 0.0
    lost_commit = 0.0
    dice = Random(0)

    def clear(self) -> None:
        self.deadlock = self.lost_commit = 0.0

    def _written(self, work: Callable[[Connection], T]) -> T:
        if self.dice.random() < self.deadlock:
            raise _lost()
        done = super()._written(work)
        if self.dice.random() < self.lost_commit:
            raise _lost()
        return done


class MortalDatabase(Database):
    """The same database, as a process that may die at its commits sees it."""

    def __init__(self, inner: Database, trouble: Trouble) -> None:
        self.__dict__.update(inner.__dict__)
        self._inner, self._trouble = inner, trouble

    def write(self, work: Callable[[Connection], T]) -> T:
        done: T = self._trouble.around(self._inner.write, work)
        return done

    def read(self, work: Callable[[Connection], T]) -> T:
        return self._inner.read(work)
