"""Migrations: revisions frozen in `versions/`, run without an alembic.ini, wherever the package is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection

from spotguard.domain.errors import Refused
from spotguard.store.tables import metadata

_WAIT_SECONDS = 60
_NAMED = 3  # so much of what is missing a refusal tells by name; `spotguard db check` tells all


def configuration() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def upgrade(connection: Connection) -> None:
    """To the newest revision; several processes that start at once do it one after the other.

    `Refused`: a newer version of SpotGuard has been at work, and this one does not know its schema; or an unreleased
    one, whose schema nothing brings up to this; or the database is somebody else's.
    """
    if connection.dialect.name == "sqlite":
        _bring_up(connection)  # inside BEGIN IMMEDIATE: the others wait
        return
    # DDL commits by itself on MySQL: a named lock keeps the others out
    name: dict[str, Any] = {"name": "spotguard_upgrade", "seconds": _WAIT_SECONDS}
    if connection.scalar(text("SELECT GET_LOCK(:name, :seconds)"), name) != 1:
        raise Refused("another process is upgrading this database: wait until it is done")
    try:
        _bring_up(connection)
    finally:
        connection.execute(text("SELECT RELEASE_LOCK(:name)"), name)


def _bring_up(connection: Connection) -> None:
    config = configuration()
    config.attributes["connection"] = connection
    require_known(connection)
    _require_ours(connection)
    command.upgrade(config, "head")
    require_whole(connection)
    connection.commit()


def require_known(connection: Connection) -> None:
    """`Refused` for a revision of which this version knows nothing: there is no way back from it."""
    at = revision_of(connection)
    known = {script.revision for script in ScriptDirectory.from_config(configuration()).walk_revisions()}
    if at is not None and at not in known:
        raise Refused(
            f"a newer version of SpotGuard has upgraded this database: it is at revision {at}, and this version knows "
            f"{newest_revision()}. Run the newer version, or put back the backup that was made before the upgrade"
        )


def require_whole(connection: Connection) -> None:
    """`Refused` when a table or a column is missing at the newest revision: nothing would add it, and statements would
    fail. The first revision grows until it is released. What else differs is told by `store.schema` alone.
    """
    lacking = _lacking(connection)
    if lacking:
        more = f" and {len(lacking) - _NAMED} more" if len(lacking) > _NAMED else ""
        raise Refused(
            f"this database lacks {', '.join(lacking[:_NAMED])}{more}, and no upgrade adds that: an unreleased version "
            "of SpotGuard has made it, or somebody has changed it. Run that version, put back a backup, or name a new "
            "database"
        )


def _lacking(connection: Connection) -> list[str]:
    """Tables, and columns of those that are there."""
    there = inspect(connection).get_multi_columns()
    names = {table: {column["name"] for column in columns} for (_, table), columns in there.items()}
    found = []
    for table in metadata.sorted_tables:
        if table.name not in names:
            found.append(f"the table {table.name}")
        else:
            found += [str(column) for column in table.c if column.name not in names[table.name]]
    return found


def _require_ours(connection: Connection) -> None:
    """A first upgrade that was cut off has left tables of ours alone."""
    if revision_of(connection) is not None:
        return
    strange = sorted({*inspect(connection).get_table_names()} - {*metadata.tables, "alembic_version"})
    if strange:
        raise Refused(f"this database is another program's: it has the table {strange[0]}. Name a new one")


def revision_of(connection: Connection) -> str | None:
    """The revision that this database is at; None before the first."""
    return MigrationContext.configure(connection).get_current_revision()


def newest_revision() -> str | None:
    return ScriptDirectory.from_config(configuration()).get_current_head()
