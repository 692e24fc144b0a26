"""`spotguard client`: the tenants of this installation and their tokens."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from spotguard.cli.databases import DatabaseUrl, opened
from spotguard.cli.output import Json, print_json, say, say_table
from spotguard.domain.agents import Executor
from spotguard.domain.clock import rfc3339

app = typer.Typer(no_args_is_help=True, help="Make tenants and their tokens.")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What people call the tenant.")],
    *,
    email: Annotated[str | None, typer.Option(help="Whom to write to.")] = None,
    executor: Annotated[
        Executor, typer.Option(help="Who calls AWS for this tenant's moves: its agents, or this server.")
    ] = Executor.AGENT,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Make a tenant; its token is shown once and not kept."""
    from spotguard.store.tenants import create_client

    now = datetime.now(UTC)
    with opened(database_url) as database:
        client_id, token = database.write(lambda tx: create_client(tx, now, name, email, executor))
    _show_token(client_id, token, json=json)


@app.command("list")
def list_all(*, database_url: DatabaseUrl = None, json: Json = False) -> None:
    """List the tenants."""
    from spotguard.store.tenants import list_clients

    with opened(database_url) as database:
        rows = database.read(list_clients)
    if json:
        print_json({"clients": [_shown(row) for row in rows]})
        return
    say_table(
        ("ID", "NAME", "E-MAIL", "EXECUTOR", "CREATED"),
        [(row.id, row.name, row.email or "", row.executor, rfc3339(row.created_at)) for row in rows],
    )


@app.command("rotate-token")
def rotate_token(
    client: Annotated[str, typer.Argument(metavar="NAME-OR-ID", help="The tenant.")],
    *,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Give a tenant a new token; the former one opens nothing from now on. Agents keep theirs."""
    from spotguard.store.tenants import client_named
    from spotguard.store.tenants import rotate_token as rotate

    now = datetime.now(UTC)
    with opened(database_url) as database:
        client_id = database.read(lambda tx: client_named(tx, client))
        token = database.write(lambda tx: rotate(tx, now, client_id))
    _show_token(client_id, token, json=json)


def _show_token(client_id: str, token: str, *, json: bool) -> None:
    if json:
        print_json({"client_id": client_id, "token": token})
        return
    say(f"client {client_id}")
    say(f"token  {token}")
    say("This token is not kept and cannot be shown again.")


def _shown(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("id", "name", "email", "executor", "created_at")}
