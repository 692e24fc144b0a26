"""A copy of an embedded database that is whole, also while servers work on it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from spotguard.domain.errors import Refused
from spotguard.store.database import Database


def back_up(database: Database, target: Path) -> int:
    """Writes a copy of one moment to `target`, for nobody else to read; gives its bytes.

    A plain copy of the file lacks what is in the write-ahead log (SQLite, "Write-Ahead Logging", section 8). `Refused`:
    the file is there already, the copy does not come about, or the database is a served one.
    """
    if database.engine.dialect.name != "sqlite":
        raise Refused(
            "this database is not a file: back it up with mariadb-dump --single-transaction or mariadb-backup"
        )
    if target.exists():
        raise Refused(f"{target} is there already: a backup overwrites nothing")
    unfinished = target.with_name(target.name + ".unfinished")
    _make(unfinished, target)
    try:
        _copy(database, unfinished)
    except sqlite3.Error as error:
        raise Refused(f"no backup was made at {target}: {error}") from error
    else:
        os.link(unfinished, target)  # unlike a rename it overwrites nothing that has come meanwhile
    finally:
        unfinished.unlink()
    return target.stat().st_size


def _make(unfinished: Path, target: Path) -> None:
    """Empty, for nobody else to read. `OSError` names the file that was asked for."""
    try:
        unfinished.unlink(missing_ok=True)
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error


def _copy(database: Database, file: Path) -> None:
    with closing(sqlite3.connect(file)) as copy:
        with database.engine.connect() as source:
            connection = source.connection.driver_connection
            if not isinstance(connection, sqlite3.Connection):
                raise TypeError("SQLite's driver is another one")
            connection.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE").close()  # the copy is one file
        (verdict,) = copy.execute("PRAGMA integrity_check").fetchone()
    if verdict != "ok":
        raise Refused(f"the copy is not whole: {verdict}")
