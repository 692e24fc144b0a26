"""`spotguard cleanup`: what nothing needs any more, why, what it costs, and what becomes of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spotguard.cli.databases import DatabaseUrl, opened, told_time, warn_of_disuse
from spotguard.cli.output import Json, print_json, say, say_table
from spotguard.config import load_settings
from spotguard.domain.clock import rfc3339
from spotguard.domain.errors import Refused
from spotguard.domain.money import usd_text

if TYPE_CHECKING:
    from spotguard.domain.ids import ClientId
    from spotguard.planning.cleaning import Leftover
    from spotguard.store.database import Database


def cleanup(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell: EC2 is not called and no row is changed.")
    ] = False,
    client: Annotated[str | None, typer.Option(help="Tell of this tenant alone (name or id).")] = None,
    hours: Annotated[int, typer.Option(min=1, max=24 * 90, help="Tell what was done in so many hours.")] = 24,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Tell what would be cleaned up and what was. Without --dry-run, one clean-up is done first, as a coordinator does.

    It stays slow: what was first seen a moment ago is noted now, and ended or deleted by a later clean-up.
    """
    here = datetime.now(UTC)
    with opened(database_url) as database:
        now = told_time(database, here)
        acted = 0
        if now != here and not dry_run:
            raise Refused("nothing was cleaned up: with --dry-run it tells what is left over there")
        if not dry_run:
            from spotguard.compose import clean_up

            acted = clean_up(load_settings(database_url=database_url), database)
        told = _gather(database, now, client, hours)
        told = {"database": database.told_url, "dry_run": dry_run, "acted": acted, **told}
        warn_of_disuse(database, now)
    if json:
        print_json(told)
    else:
        _say(told, hours)


def _gather(database: Database, now: datetime, client: str | None, hours: int) -> dict[str, Any]:
    from spotguard.planning.cleaning import total_per_month
    from spotguard.store import leftover_report, tenants

    def work(tx: Any) -> dict[str, Any]:
        client_id: ClientId | None = None if client is None else tenants.client_named(tx, client)
        found = leftover_report.report(tx, now, client_id)
        events = leftover_report.done(tx, now - timedelta(hours=hours), client_id)
        return {
            "usd_per_month": total_per_month(found),
            "would": [_one(now, one) for one in found],
            "did": [{"at": e.at, "kind": e.kind, "message": e.message, "detail": e.detail} for e in events],
        }

    return database.read(work)


def _one(now: datetime, one: Leftover) -> dict[str, Any]:
    return {**vars(one), "age_seconds": (now - one.since).total_seconds()}


def _say(told: dict[str, Any], hours: int) -> None:
    if not told["would"]:
        say("Nothing is left over.")
    for one in told["would"]:
        cost = (
            "cost not known"
            if one["usd_per_month"] is None
            else f"{usd_text(one['usd_per_month'])} USD a month"
        )
        say(f"{one['kind']} {one['resource_id']}, {one['age_seconds'] / 3600:.1f} h old, {cost}")
        say(f"  ours: {one['ours_because']}")
        say(f"  loose: {one['loose_because']}")
        say(f"  then: {one['plan']}")
    if told["would"]:
        say(f"Together {usd_text(told['usd_per_month'])} USD a month, as far as known.")
    say(f"Done within {hours} h: {len(told['did'])}")
    if told["did"]:
        say_table(["at", "what"], [[rfc3339(e["at"]), e["message"]] for e in told["did"]])
    say(f"Database: {told['database']}")
