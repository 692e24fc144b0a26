"""A database that loses races and connections, and a coordinator's view of it at whose commits the process may die."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any, TypeVar

from sqlalchemy.engine import Connection, Engine

from spotguard.simulation.trouble import Trouble
from spotguard.store.database import Database

T = TypeVar("T")

_idle: list[Engine] = []
_TRIGGERS = "SELECT name FROM sqlite_temp_master WHERE type = 'trigger'"


def _lost() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("the simulated database gave no answer")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return error


class TroubledDatabase(Database):
    """In memory and for one thread, which never begins a transaction within another.

    Shares of the writing transactions are refused (deadlock), or applied while the connection is lost.
    """

    deadlock = 0.0
    lost_commit = 0.0
    dice = Random(0)
    _connection: Connection | None = None
    driver: Any = None  # the sqlite3.Connection, once one has been opened

    def clear(self) -> None:
        self.deadlock = self.lost_commit = 0.0

    def upgrade(self) -> None:
        """What the migrations come to, copied: they are run once in a process."""
        self._opened()
        for (name,) in self.driver.execute(_TRIGGERS).fetchall():
            self.driver.execute(f"DROP TRIGGER temp.{name}")
        _migrated().backup(self.driver)

    @classmethod
    def fresh(cls, dice: Random) -> TroubledDatabase:
        """On the engine of one that was disposed of, if there is one: it knows the statements already."""
        db = cls(_idle.pop() if _idle else Database.open("sqlite://").engine)
        db.dice = dice
        db.upgrade()
        return db

    def dispose(self) -> None:
        """What it held is overwritten by the next that is made."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
            _idle.append(self.engine)

    def _written(self, work: Callable[[Connection], T]) -> T:
        if self.dice.random() < self.deadlock:
            raise _lost()
        done = super()._written(work)
        if self.dice.random() < self.lost_commit:
            raise _lost()
        return done

    def _on_kept(self, begin: str, work: Callable[[Connection], T]) -> T:
        """Begun and ended beside SQLAlchemy, whose pool and transactions cost more than most of the work."""
        tx = self._connection or self._opened()
        self.driver.execute(begin)
        try:
            done = work(tx)
        except BaseException:  # a death of the process too: nothing of its transaction may stay
            self.driver.execute("ROLLBACK")
            raise
        self.driver.execute("COMMIT")
        return done

    def _opened(self) -> Connection:
        self._connection = tx = self.engine.connect()
        tx.begin()
        self.driver = tx.connection.driver_connection
        return tx


@cache
def _migrated() -> sqlite3.Connection:
    template = Database.open("sqlite://")
    template.upgrade()
    with template.engine.connect() as connection:
        migrated: Any = connection.connection.driver_connection
        copy = sqlite3.connect(":memory:", check_same_thread=False)
        migrated.backup(copy)
    template.dispose()
    return copy


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
