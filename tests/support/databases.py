"""Databases for tests: import the fixtures that you need into your folder's conftest.py.

`database` runs a test twice, on SQLite and on MariaDB; `sqlite_database` and `mariadb_database` on one of them. All
are migrated and empty.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from spotguard.simulation.troubled_database import TroubledDatabase
from spotguard.store.database import Database
from spotguard.store.tables import metadata
from tests.support.mariadb import create_database, running_server, why_absent


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[str]:
    if (reason := why_absent()) is not None:
        pytest.skip(reason)
    with running_server() as url:
        yield url


@pytest.fixture(scope="session")
def migrated_mariadb(mariadb_server: str) -> Iterator[Database]:
    database = Database.open(create_database(mariadb_server, "spotguard"))
    database.upgrade()
    yield database
    database.dispose()


@pytest.fixture
def mariadb_database(migrated_mariadb: Database) -> Database:
    empty(migrated_mariadb)
    return migrated_mariadb


@pytest.fixture
def sqlite_database() -> Database:
    return TroubledDatabase.fresh()


ON_MARIADB = pytest.param("mariadb", marks=pytest.mark.long)  # its server starts, and answers, more slowly


@pytest.fixture(params=["sqlite", ON_MARIADB])
def database(request: pytest.FixtureRequest) -> Database:
    return request.getfixturevalue(f"{request.param}_database")


def empty(database: Database) -> None:
    """No rows in any table; the schema stays."""

    def work(tx: sa.Connection) -> None:
        for table in reversed(metadata.sorted_tables):
            tx.execute(sa.delete(table))

    database.write(work)
