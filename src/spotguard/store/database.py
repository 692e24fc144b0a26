"""The database: SQLite embedded, MySQL or MariaDB in production; transactions that are repeated as a whole.

Nothing outside this file begins or ends a transaction.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
import stamina
from sqlalchemy import event, exc
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool, StaticPool

from spotguard.domain.errors import InvalidInput

T = TypeVar("T")

_TRIES = 8
_BUSY_SECONDS = 30
# IMMEDIATE: the write lock is taken at the beginning, since a reader that turns writer may be refused however long
# it waits
_BEGIN_WRITING, _BEGIN_READING = "BEGIN IMMEDIATE", "BEGIN"
_STATEMENTS = (
    1000  # prepared ones that a SQLite connection keeps; a coordinator alone uses more than the usual 128
)
_SQLITE_LOST = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
# 1213 deadlock (on Galera: certification lost, also at COMMIT), 1205 lock wait, 1020 changed since the snapshot,
# 1047 node not ready, the others: connection refused or lost
_MYSQL_LOST = {1020, 1047, 1205, 1213, 2002, 2003, 2006, 2013}
_SQLITE_AWAY = _SQLITE_LOST | {
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
}
# 1021 disk full, 1040 too many connections, 1053 shutting down, 1290 read only, 0 and 2014 a connection broken in
# the middle of a packet
_MYSQL_AWAY = _MYSQL_LOST | {0, 1021, 1040, 1053, 1290, 2014}
_MYSQL_SESSION = (
    "SET SESSION time_zone = '+00:00', innodb_lock_wait_timeout = 10, "
    "sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"
)


_LASTS = "lasts"


def must_last(tx: Connection) -> None:
    """Somebody acts on what this transaction writes and nobody can take it back: a power cut must not undo it.

    SQLite as we open it may lose the last seconds of its log then (`synchronous=NORMAL`, sqlite.org/pragma.html);
    InnoDB loses nothing as it comes (`innodb_flush_log_at_trx_commit=1`).
    """
    tx.info[_LASTS] = True


def sync_file(path: Path) -> None:
    """Returns when what was written to it is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# A writer that waited for a row must see what it waited for: with REPEATABLE READ it would go on deciding by the
# snapshot that its first statement took, before the wait (caps, "is a move open?").
_MYSQL_WRITING = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"


class Database:
    """Runs work in transactions.

    `work` may run several times: it touches nothing but its connection. When the connection breaks while
    COMMIT is on its way, the work is repeated although it may have been applied: statements are conditional
    or keyed, so that twice is once.
    """

    def __init__(self, engine: Engine, sync: Callable[[Path], None] = sync_file) -> None:
        self.engine = engine
        embedded = engine.dialect.name == "sqlite"
        is_file = embedded and not isinstance(engine.pool, StaticPool)
        self._log = Path(f"{engine.url.database}-wal") if is_file else None
        self._sync = sync
        # SQLite has one writer. A queue in this process is fair and wakes at once; its busy handler polls.
        lock: AbstractContextManager[Any] = threading.RLock() if embedded else nullcontext()
        self._one_writer = lock
        # In memory there is one connection, hence one transaction, for all threads.
        self._one_reader = lock if isinstance(engine.pool, StaticPool) else nullcontext()
        # SQLite: each thread keeps one connection for reading and writing. Another's commit empties a connection's
        # page cache, and taking one from the pool costs as much as a small statement.
        self._kept = threading.local() if embedded else None

    @classmethod
    def open(cls, url: str, *, echo: bool = False, sync: Callable[[Path], None] = sync_file) -> Database:
        """`sqlite:///file`, `sqlite://` (in memory), `mysql+pymysql://user:password@host/name`.

        `sync` is called with SQLite's log after a transaction that `must_last`, before anybody hears of it.
        """
        try:
            parsed = make_url(url)
        except (
            exc.ArgumentError,
            ValueError,
        ) as error:  # ValueError: what stands where the port should is none
            raise InvalidInput(
                "not a database URL (sqlite:///FILE or mysql+pymysql://USER:PASSWORD@HOST/NAME)"
            ) from error
        backend = parsed.get_backend_name()
        if backend == "sqlite":
            return cls(_sqlite_engine(parsed, echo=echo), sync)
        if backend in {"mysql", "mariadb"}:
            return cls(_mysql_engine(parsed, echo=echo))
        raise InvalidInput(f"database {backend!r} is not supported: SQLite, MySQL or MariaDB")

    @property
    def told_url(self) -> str:
        """As people may read it: without a password."""
        url = self.engine.url.difference_update_query(("charset", "passwd", "password"))
        return url.render_as_string(hide_password=True)

    def write(self, work: Callable[[Connection], T]) -> T:
        """One transaction, all or nothing; run again as a whole when it lost a race or the connection."""
        with self._one_writer:
            return _repeated(lambda: self._written(work))

    def read(self, work: Callable[[Connection], T]) -> T:
        """One consistent view in which nothing can be written."""
        with self._one_reader:
            return _repeated(lambda: self._read(work))

    def upgrade(self) -> None:
        """Brings the schema to the newest revision."""
        from spotguard.store.migrations import upgrade  # noqa: PLC0415 -- Alembic takes 0.2 s to load

        with self._one_writer, self.engine.connect() as connection:
            if self._kept is not None:
                event.listen(connection, "begin", _begin_sqlite)
            upgrade(connection)

    def dispose(self) -> None:
        self.engine.dispose()

    def _written(self, work: Callable[[Connection], T]) -> T:
        if self._kept is None:
            with self.engine.begin() as tx:
                tx.exec_driver_sql(_MYSQL_WRITING)
                return work(tx)
        if self._log is None:
            return self._on_kept(_BEGIN_WRITING, work)
        lasts = False

        def noted(tx: Connection) -> T:
            nonlocal lasts
            done = work(tx)
            lasts = tx.info.pop(_LASTS, False)
            return done

        done = self._on_kept(_BEGIN_WRITING, noted)
        # a file system that cannot share memory has no such log, and SQLite syncs the database itself
        if lasts and self._log.exists():
            self._sync(self._log)
        return done

    def _read(self, work: Callable[[Connection], T]) -> T:
        if self._kept is None:
            with self.engine.connect() as tx:
                tx.exec_driver_sql("START TRANSACTION READ ONLY")
                return work(tx)
        return self._on_kept(_BEGIN_READING, lambda tx: _only_reading(tx, work))

    def _on_kept(self, begin: str, work: Callable[[Connection], T]) -> T:
        """SQLite: on this thread's own connection; on another one for work inside work.

        In memory all threads share one: a kept one would be rolled back, whoever uses it, when its thread ends.
        """
        tx: Connection | None = getattr(self._kept, "connection", None)
        if isinstance(self.engine.pool, StaticPool) or (tx is not None and tx.in_transaction()):
            with self.engine.connect() as other:
                return _transaction(other, begin, work)
        if tx is None or tx.closed or tx.invalidated:
            tx = self.engine.connect()
            setattr(self._kept, "connection", tx)  # noqa: B010 -- Optional only for the other databases
        return _transaction(tx, begin, work)


def _transaction(tx: Connection, begin: str, work: Callable[[Connection], T]) -> T:
    with tx.begin():
        _begin_sqlite(tx, begin)
        return work(tx)


def _only_reading(tx: Connection, work: Callable[[Connection], T]) -> T:
    """Rolled back and refused when it wrote. PRAGMA query_only would prepare every statement anew."""
    connection: Any = tx.connection.driver_connection
    before = connection.total_changes
    found = work(tx)
    if connection.total_changes != before:
        raise exc.InvalidRequestError("this transaction only reads: what it wrote is rolled back")
    return found


class LostRace(Exception):
    """A row is not what this transaction has read of it: run again it reads what somebody else has written since."""


def is_lost_race(error: BaseException) -> bool:
    """Whether the same transaction may succeed when it is run again."""
    if isinstance(error, LostRace):
        return True
    if isinstance(error, exc.TimeoutError):
        return False
    cause = error.orig if isinstance(error, exc.DBAPIError) else error
    if isinstance(cause, sqlite3.OperationalError):
        return (cause.sqlite_errorcode or 0) & 0xFF in _SQLITE_LOST
    codes = cause.args[:1] if isinstance(error, exc.DBAPIError) and cause is not None else ()
    return bool(codes) and codes[0] in _MYSQL_LOST


def is_away(error: BaseException) -> bool:
    """Whether the database itself cannot serve now: not reached, not ready, full, locked by others; later it may."""
    if isinstance(error, exc.TimeoutError):
        return True
    if not isinstance(error, exc.DBAPIError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        return (getattr(error.orig, "sqlite_errorcode", 0) or 0) & 0xFF in _SQLITE_AWAY
    codes = error.orig.args[:1] if error.orig is not None else ()
    return error.connection_invalidated or (bool(codes) and codes[0] in _MYSQL_AWAY)


def cause_of(error: BaseException) -> str:
    """What the driver says, as one line."""
    return " ".join(str(getattr(error, "orig", error)).split())


def _repeated(attempt: Callable[[], T]) -> T:
    try:
        return attempt()
    except (exc.DBAPIError, sqlite3.OperationalError, LostRace) as error:
        if not is_lost_race(error):
            raise
    # The usual case pays nothing for the machinery of retrying.
    return stamina.retry(
        on=is_retryable, attempts=_TRIES - 1, timeout=None, wait_initial=0.02, wait_max=2.0, wait_jitter=0.1
    )(attempt)()


def is_retryable(error: Exception) -> bool:
    return is_lost_race(error)


def _sqlite_engine(url: URL, *, echo: bool) -> Engine:
    in_memory = url.database in {None, "", ":memory:"}
    engine = sa.create_engine(
        url,
        echo=echo,
        hide_parameters=True,
        query_cache_size=2000,
        poolclass=StaticPool if in_memory else QueuePool,
        # No transaction control by the driver: BEGIN is ours. Not as an event of the engine: that would cost every
        # statement a look at its listeners.
        connect_args={
            "isolation_level": None,
            "check_same_thread": False,
            "timeout": _BUSY_SECONDS,
            "cached_statements": _STATEMENTS,
        },
        **({} if in_memory else {"pool_size": 20, "max_overflow": 40}),
    )
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    # Of two processes that turn a new file to WAL at once SQLite refuses one, without waiting for the other.
    stamina.retry(on=_is_busy, attempts=_TRIES, timeout=None, wait_initial=0.02, wait_max=1.0)(
        connection.execute
    )("PRAGMA journal_mode=WAL").close()
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON", "cache_size=-65536"):
        connection.execute(f"PRAGMA {pragma}").close()


def _is_busy(error: Exception) -> bool:
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode == sqlite3.SQLITE_BUSY


def _begin_sqlite(tx: Connection, begin: str = _BEGIN_WRITING) -> None:
    connection: Any = tx.connection.driver_connection
    connection.execute(begin).close()


def _mysql_engine(url: URL, *, echo: bool) -> Engine:
    if (
        "+" not in url.drivername
    ):  # the usual driver of these needs a compiler, and is not among our dependencies
        url = url.set(drivername=f"{url.drivername}+pymysql")
    return sa.create_engine(
        url.update_query_dict({"charset": "utf8mb4"}),
        echo=echo,
        hide_parameters=True,
        query_cache_size=2000,
        pool_size=20,
        max_overflow=40,
        pool_recycle=1800,
        connect_args={"init_command": _MYSQL_SESSION, "connect_timeout": 10},
    )
