"""The databases that a story may run on."""

from tests.support.databases import (
    database,
    mariadb_database,
    mariadb_server,
    migrated_mariadb,
    sqlite_database,
)

__all__ = ["database", "mariadb_database", "mariadb_server", "migrated_mariadb", "sqlite_database"]
