"""`spotguard model outcomes`: what a tenant's launches and instances showed, as training data."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spotguard.cli.databases import DatabaseUrl, opened, time_in
from spotguard.cli.output import Json, print_json, say
from spotguard.domain.errors import BadSetting, NotFound

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from spotguard.domain.ids import ClientId
    from spotguard.market.outcomes import Look, Run


def outcomes(
    client: Annotated[
        str, typer.Option(metavar="NAME-OR-ID", help="Whose; no other tenant's are looked at.")
    ],
    out: Annotated[Path, typer.Option(help="the CSV to write, in the columns of availability files")],
    *,
    region: Annotated[str | None, typer.Option(help="Needed where this tenant has several.")] = None,
    days: Annotated[int, typer.Option(min=1, max=400, help="How far back.")] = 90,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Write what one tenant's launches, refusals, interruptions and instances showed of pools, for `spotguard train`.

    One file is one region of one account: the letters of zones are others in other accounts.
    """
    from spotguard.market.outcomes import states, write
    from spotguard.store import outcomes as rows
    from spotguard.store.tenants import client_named

    def read(tx: Connection, now: datetime) -> tuple[str, tuple[list[Look], list[Run]]]:
        client_id = client_named(tx, client)
        place = region or _only(tx, client_id)
        return place, rows.of_client(tx, now, client_id, place, now - timedelta(days=days))

    with opened(database_url) as database:
        place, found = database.read(partial(read, now=time_in(database)))
    with out.open("w", encoding="utf-8", newline="") as file:
        told = write(file, states(*found))
    if json:
        print_json({"region": place, "file": str(out), **told})
        return
    say(f"{told['rows']} rows of {place} in {out}, {told['down']} of them down")


def _only(tx: Connection, client_id: ClientId) -> str:
    from spotguard.store.outcomes import regions

    found = regions(tx, client_id)
    if not found:
        raise NotFound("this tenant has seen nothing of any spot pool yet")
    if len(found) > 1:
        raise BadSetting(f"this tenant has been in {', '.join(found)}: say which with --region")
    return found[0]
