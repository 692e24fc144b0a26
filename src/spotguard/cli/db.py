"""`spotguard db`: migrations, and the proof that the database is as it should be."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spotguard.cli.databases import DatabaseUrl, opened
from spotguard.cli.output import Failed, Json, print_json, say

app = typer.Typer(no_args_is_help=True, help="Migrate, check and back up the database.")


@app.command()
def upgrade(*, database_url: DatabaseUrl = None, json: Json = False) -> None:
    """Bring the database to the newest schema; on the newest already, nothing happens."""
    from spotguard.store.migrations import revision_of

    with opened(database_url, upgraded=False, makes=True) as database:
        before = database.read(revision_of)
        database.upgrade()
        after = database.read(revision_of)
    if json:
        print_json({"before": before, "after": after})
    elif before == after:
        say(f"The database has the newest schema already (revision {after}).")
    else:
        say(f"The database is at revision {after} (before: {before or 'empty'}).")


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the copy goes; not there yet.")],
    *,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Copy an embedded database as of one moment, also while servers work on it."""
    from spotguard.store.backup import back_up

    with opened(database_url, upgraded=False) as database:
        size = back_up(database, file)
    if json:
        print_json({"file": str(file), "bytes": size})
    else:
        say(f"{file} holds the database as it was, {size} bytes.")


@app.command()
def check(*, database_url: DatabaseUrl = None, json: Json = False) -> None:
    """Prove that the database equals the schema and that counters equal rows."""
    from spotguard.store.audit import counters_equal_rows
    from spotguard.store.schema import differences

    with opened(database_url, upgraded=False) as database:
        schema = database.read(differences)
        counters = [] if schema else database.read(counters_equal_rows)
    wrong = [*schema, *counters]
    if json:
        print_json({"ok": not wrong, "schema": schema, "counters": counters})
    else:
        for sentence in wrong:
            say(sentence)
    if wrong:
        raise Failed(
            f"the database is not as it should be: {len(wrong)} {'difference' if len(wrong) == 1 else 'differences'}"
        )
    if not json:
        say("The database equals the schema; counters equal rows.")
