"""Databases for the store's tests, and the people in them."""

from tests.support.databases import (  # noqa: F401 -- fixtures
    database,
    mariadb_database,
    mariadb_server,
    migrated_mariadb,
    sqlite_database,
)
