"""The database that a command works on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spotguard.cli.output import Failed, warn
from spotguard.config import database_file, load_settings, prepare_database_folder
from spotguard.domain.clock import rfc3339
from spotguard.domain.errors import Refused

if TYPE_CHECKING:
    from spotguard.store.database import Database

DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        metavar="URL",
        help="sqlite:///FILE or mysql+pymysql://USER:PASSWORD@HOST/NAME; rather in SPOTGUARD_DATABASE_URL "
        "when it holds a password, since others can see a command line.",
    ),
]


NAMED_BY = "--database-url or SPOTGUARD_DATABASE_URL"


def not_there(file: Path) -> str:
    """A mistyped name, more often than a database that is still to be made."""
    return (
        f"there is no database at {file}: name your server's own with {NAMED_BY}, or make one with "
        "spotguard db upgrade"
    )


def warn_of_disuse(database: Database, now: datetime) -> None:
    """What is done in a database that no coordinator looks into changes nothing: another one may be meant."""
    from spotguard.store.leases import of_coordinators
    from spotguard.store.tenants import list_clients

    missing = []
    if not database.read(list_clients):
        missing.append("has no tenant")
    if not any(lease.until > now for lease in database.read(of_coordinators)):
        missing.append("is looked into by no coordinator that is alive")
    if missing:
        warn(
            f"{database.told_url} {' and '.join(missing)}: if your server uses another database, name that one with "
            f"{NAMED_BY}; in this one it takes effect once a server runs on it"
        )


def told_time(database: Database, here: datetime) -> datetime:
    """By what a database is judged: this machine's clock, or a demo's own, and then it says so."""
    from spotguard.store.demos import demo_time

    its_own = database.read(demo_time)
    if its_own is None:
        return here
    warn(
        f"This is a demo's database: its EC2 is played, and it is judged as of {rfc3339(its_own)}, the last moment "
        "that it recorded of its own time."
    )
    return its_own


def time_in(database: Database) -> datetime:
    """When a row is written or looked for: now, or the last moment of a demo's own time."""
    from spotguard.store.demos import demo_time

    return database.read(demo_time) or datetime.now(UTC)


@contextmanager
def opened(url: str | None, *, upgraded: bool = True, makes: bool = False) -> Iterator[Database]:
    """The configured database, closed at the end; `Refused` when it needs `spotguard db upgrade` first, or is
    past its help.

    `makes`: a file that is not there is made; else a mistyped name makes none.
    """
    from sqlalchemy.exc import DBAPIError

    from spotguard.store.database import Database, is_away

    settings = load_settings(database_url=url)
    prepare_database_folder(settings.database_url)
    file = database_file(settings.database_url)
    if file is not None and not makes and not file.exists():
        raise Refused(not_there(file))
    database = Database.open(settings.database_url)
    try:
        if upgraded:
            _require_upgraded(database)
        yield database
    except DBAPIError as error:
        if file is None or not is_away(error):
            raise
        raise Failed(f"{file}: {error.orig}") from error  # SQLite says what is wrong, but not with which file
    finally:
        database.dispose()


def _require_upgraded(database: Database) -> None:
    from spotguard.store.migrations import newest_revision, require_known, require_whole, revision_of

    database.read(require_known)
    if database.read(revision_of) != newest_revision():
        raise Refused("the database does not have the newest schema: run spotguard db upgrade")
    database.read(require_whole)
