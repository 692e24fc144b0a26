"""A database that loses races and connections, and a coordinator's view of it at whose commits the process may die."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.util import LRUCache

from spotguard.simulation.trouble import Effect, Trouble
from spotguard.store.database import Database

T = TypeVar("T")

NO_DICE = Random(0)  # of a database whose transactions all go through
_compiled = LRUCache[Any, Any](2000)  # of all that are fresh: they have one dialect


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
    dice = NO_DICE
    _connection: Connection | None = None
    driver: Any = None  # the sqlite3.Connection, once one has been opened

    def clear(self) -> None:
        self.deadlock = self.lost_commit = 0.0

    @classmethod
    def fresh(cls, dice: Random = NO_DICE) -> TroubledDatabase:
        """Migrated and empty. Migrations are run, and statements compiled, once in a process."""
        first = _migrated().engine
        engine = sa.Engine(
            first.pool.recreate(),
            first.dialect,
            first.url,
            hide_parameters=True,
            execution_options={"compiled_cache": _compiled},
        )
        db = cls(engine)
        db.dice = dice
        with first.connect() as migrated:
            _driver(migrated).backup(_driver(db._opened()))
        return db

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
        self.driver = _driver(tx)
        return tx


@cache
def _migrated() -> Database:
    template = Database.open("sqlite://")
    template.upgrade()
    return template


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection


class MortalDatabase(Database):
    """The same database, as a process that may die at its commits sees it."""

    def __init__(self, inner: Database, trouble: Trouble) -> None:
        self.__dict__.update(inner.__dict__)
        self._inner, self._trouble = inner, trouble

    def write(self, work: Callable[[Connection], T]) -> T:
        done: T = self._trouble.around(Effect.WORD, self._inner.write, work)
        return done

    def read(self, work: Callable[[Connection], T]) -> T:
        return self._inner.read(work)
