"""Transactions: all or nothing, repeated as a whole after a lost race, read-only where they read."""

from __future__ import annotations

import sqlite3
import threading

import pymysql
import pytest
import sqlalchemy as sa

from spotguard.domain.errors import InvalidInput
from spotguard.store import tables as t
from spotguard.store.database import Database, is_lost_race
from tests.store.rows import NOW
from tests.support.databases import ON_MARIADB


def lease(name: str) -> dict[str, object]:
    return {"name": name, "holder": "me", "epoch": 0, "until": NOW}


def leases(database: Database) -> list[str]:
    return sorted(database.read(lambda tx: tx.scalars(sa.select(t.leases.c.name)).all()))


def test_a_transaction_that_fails_leaves_nothing(database):
    def work(tx: sa.Connection) -> None:
        tx.execute(sa.insert(t.leases), lease("a"))
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        database.write(work)
    assert leases(database) == []


def test_what_reads_cannot_write(database):
    with pytest.raises(sa.exc.SQLAlchemyError, match=r"only reads|READ ONLY"):
        database.read(lambda tx: tx.execute(sa.insert(t.leases), lease("a")))
    database.write(lambda tx: tx.execute(sa.insert(t.leases), lease("b")))
    assert leases(database) == ["b"]


LOST = [
    sa.exc.OperationalError("", {}, pymysql.err.OperationalError(code, "lost"))
    for code in (1020, 1047, 1205, 1213, 2002, 2003, 2006, 2013)
]


@pytest.mark.parametrize("error", LOST, ids=lambda error: str(error.orig.args[0]))
def test_a_lost_race_repeats_the_whole_transaction(sqlite_database, error):
    tries = []

    def work(tx: sa.Connection) -> int:
        tx.execute(sa.insert(t.leases), lease(f"try {len(tries)}"))
        tries.append(1)
        if len(tries) < 3:
            raise error
        return len(tries)

    assert sqlite_database.write(work) == 3
    assert leases(sqlite_database) == ["try 2"]


def test_it_is_not_repeated_for_ever(sqlite_database):
    tries = []

    def work(tx: sa.Connection) -> None:
        tries.append(1)
        raise LOST[0]

    with pytest.raises(sa.exc.OperationalError):
        sqlite_database.write(work)
    assert len(tries) == 8


def test_a_broken_promise_is_not_repeated(database):
    tries = []

    def work(tx: sa.Connection) -> None:
        tries.append(1)
        tx.execute(sa.insert(t.leases), [lease("a"), lease("a")])

    with pytest.raises(sa.exc.IntegrityError):
        database.write(work)
    assert len(tries) == 1


def test_sqlite_that_is_busy_is_a_lost_race():
    busy = sqlite3.OperationalError("database is locked")
    busy.sqlite_errorcode = sqlite3.SQLITE_BUSY_SNAPSHOT
    assert is_lost_race(sa.exc.OperationalError("", {}, busy))
    broken = sqlite3.OperationalError("no such table")
    broken.sqlite_errorcode = sqlite3.SQLITE_ERROR
    assert not is_lost_race(sa.exc.OperationalError("", {}, broken))


def count_up(tx: sa.Connection) -> None:
    """A read-modify-write, which only a transaction of its own keeps honest."""
    seen = tx.scalar(sa.select(t.leases.c.epoch).where(t.leases.c.name == "counter").with_for_update())
    tx.execute(sa.update(t.leases).where(t.leases.c.name == "counter").values(epoch=seen + 1))


@pytest.mark.parametrize("kind", ["memory", "file", ON_MARIADB])
def test_many_threads_lose_nothing(kind, tmp_path, request):
    if kind == "mariadb":
        database = request.getfixturevalue("mariadb_database")
    else:
        database = Database.open("sqlite://" if kind == "memory" else f"sqlite:///{tmp_path / 'x.db'}")
        database.upgrade()
    database.write(lambda tx: tx.execute(sa.insert(t.leases), lease("counter")))

    def work() -> None:
        for _ in range(25):
            database.write(count_up)
            database.read(lambda tx: tx.scalar(sa.select(t.leases.c.epoch)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert database.read(lambda tx: tx.scalar(sa.select(t.leases.c.epoch))) == 100
    if kind != "mariadb":
        database.dispose()


def test_two_processes_share_a_file(tmp_path):
    url = f"sqlite:///{tmp_path / 'x.db'}"
    one, two = Database.open(url), Database.open(url)  # two engines stand for two processes: no common lock
    one.upgrade()
    one.write(lambda tx: tx.execute(sa.insert(t.leases), lease("counter")))
    threads = [
        threading.Thread(target=lambda db=db: [db.write(count_up) for _ in range(25)]) for db in (one, two)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert two.read(lambda tx: tx.scalar(sa.select(t.leases.c.epoch))) == 50
    one.dispose()
    two.dispose()


def test_a_reader_sees_one_moment(tmp_path):
    database = Database.open(f"sqlite:///{tmp_path / 'x.db'}")
    database.upgrade()

    def work(tx: sa.Connection) -> tuple[int, int]:
        def rows() -> int:
            return tx.scalar(sa.select(sa.func.count()).select_from(t.leases)) or 0

        before = rows()
        writer = threading.Thread(
            target=lambda: database.write(lambda other: other.execute(sa.insert(t.leases), lease("a")))
        )
        writer.start()
        writer.join()
        return before, rows()

    assert database.read(work) == (0, 0)
    assert leases(database) == ["a"]
    database.dispose()


@pytest.mark.parametrize("url", ["", "nonsense", "postgresql://localhost/x", "sqlite:/x"])
def test_another_database_is_refused_by_name(url):
    with pytest.raises(InvalidInput):
        Database.open(url)


def test_no_error_shows_the_values_of_a_statement(database):
    with pytest.raises(sa.exc.IntegrityError) as caught:
        database.write(lambda tx: tx.execute(sa.insert(t.leases), [lease("secret-value")] * 2))
    assert "holder" not in str(caught.value).partition("[SQL")[0]
    assert "'me'" not in str(caught.value)
