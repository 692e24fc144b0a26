"""The database that a command works on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from spotguard.config import load_settings, prepare_database_folder
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


@contextmanager
def opened(url: str | None, *, upgraded: bool = True) -> Iterator[Database]:
    """The configured database, closed at the end; `Refused` when it needs `spotguard db upgrade` first."""
    from spotguard.store.database import Database
    from spotguard.store.migrations import newest_revision, revision_of

    settings = load_settings(database_url=url)
    prepare_database_folder(settings.database_url)
    database = Database.open(settings.database_url)
    try:
        if upgraded and database.read(revision_of) != newest_revision():
            raise Refused("the database does not have the newest schema: run spotguard db upgrade")
        yield database
    finally:
        database.dispose()
