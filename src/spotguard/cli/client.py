"""`spotguard client`: the tenants of this installation, their tokens, and where their instances live."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spotguard.cli.databases import DatabaseUrl, opened, time_in
from spotguard.cli.output import Failed, Json, options_mended, print_json, say, say_table
from spotguard.domain.agents import Executor
from spotguard.domain.clock import rfc3339
from spotguard.domain.errors import BadSetting

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from spotguard.domain.ids import ClientId
    from spotguard.store.accounts import CloudAccount

Region = Annotated[
    str | None,
    typer.Option(help="Where its instances live, such as ap-south-1: this server calls EC2 there."),
]
RoleArn = Annotated[
    str | None,
    typer.Option(help="The role to take in its account; without one the server's own credentials are used."),
]

app = typer.Typer(no_args_is_help=True, help="Make tenants and their tokens.")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What people call the tenant.")],
    *,
    email: Annotated[str | None, typer.Option(help="Whom to write to.")] = None,
    executor: Annotated[
        Executor, typer.Option(help="Who calls AWS for this tenant's moves: its agents, or this server.")
    ] = Executor.AGENT,
    region: Region = None,
    role_arn: RoleArn = None,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Make a tenant; its token is shown once and not kept."""
    from spotguard.store.accounts import set_account
    from spotguard.store.tenants import create_client

    if region is None and role_arn is not None:
        raise BadSetting("a role is taken in a region: add --region")

    def make(tx: Connection, now: datetime) -> tuple[ClientId, str, CloudAccount | None]:
        client_id, token = create_client(tx, now, name, email, executor)
        return client_id, token, None if region is None else set_account(tx, now, client_id, region, role_arn)

    _require_reader()
    with opened(database_url) as database, options_mended():
        client_id, token, told = database.write(partial(make, now=time_in(database)))
    with _token_is_seen(client_id):
        if json:
            print_json({"client_id": client_id, "token": token, **({} if told is None else vars(told))})
            return
        _say_token(client_id, token)
        if told is not None:
            _say_account(told)


@app.command()
def account(
    client: Annotated[str, typer.Argument(metavar="NAME-OR-ID", help="The tenant.")],
    *,
    region: Region = None,
    role_arn: RoleArn = None,
    own_credentials: Annotated[
        bool, typer.Option("--own-credentials", help="Take no role: the server's own credentials.")
    ] = False,
    executor: Annotated[
        Executor | None, typer.Option(help="Who calls AWS for moves from now on: its agents, or this server.")
    ] = None,
    forget: Annotated[
        bool,
        typer.Option(
            "--forget",
            help="This server calls EC2 for it no more. An account named later has another external id.",
        ),
    ] = False,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Show or change where a tenant's instances live. Running servers notice within seconds."""
    from spotguard.store import accounts
    from spotguard.store.tenants import client_named

    if (own_credentials and role_arn) or (forget and (region or role_arn or own_credentials)):
        raise BadSetting("these options exclude each other: a role, --own-credentials, --forget")

    def change(tx: Connection, now: datetime) -> tuple[ClientId, Executor, CloudAccount | None]:
        client_id = client_named(tx, client)
        known = accounts.account_of(tx, client_id)
        if executor is not None:
            accounts.set_executor(tx, now, client_id, executor)
        if forget:
            accounts.forget_account(tx, client_id)
        elif region or role_arn or own_credentials:
            place = region or (None if known is None else known.region)
            if place is None:
                raise BadSetting("this client has no account yet: add --region")
            kept = None if known is None or own_credentials else known.role_arn
            accounts.set_account(tx, now, client_id, place, role_arn or kept)
        return client_id, accounts.executor_of(tx, client_id), accounts.account_of(tx, client_id)

    with opened(database_url) as database, options_mended():
        client_id, acts, told = database.write(partial(change, now=time_in(database)))
    if json:
        print_json(
            {"client_id": client_id, "executor": acts, "account": None if told is None else vars(told)}
        )
        return
    say(f"client {client_id}")
    say(f"executor {acts}")
    _say_account(told)


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

    _require_reader()
    with opened(database_url) as database:
        client_id = database.read(lambda tx: client_named(tx, client))
        now = time_in(database)
        token = database.write(lambda tx: rotate(tx, now, client_id))
    with _token_is_seen(client_id):
        _show_token(client_id, token, json=json)


def _require_reader() -> None:
    if sys.stdout is None:
        raise Failed("stdout is closed: the token is shown there, once; nothing was done")


@contextmanager
def _token_is_seen(client_id: str) -> Iterator[None]:
    """It is in the database by now; whoever could not read it needs another one."""
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        raise Failed(
            f"client {client_id} has a token that could not be shown ({error.strerror}): "
            f"spotguard client rotate-token {client_id} gives another"
        ) from error


def _show_token(client_id: str, token: str, *, json: bool) -> None:
    if json:
        print_json({"client_id": client_id, "token": token})
    else:
        _say_token(client_id, token)


def _say_token(client_id: str, token: str) -> None:
    say(f"client {client_id}")
    say(f"token  {token}")
    say("This token is not kept and cannot be shown again.")


def _say_account(told: CloudAccount | None) -> None:
    if told is None:
        say("no account: this server does not call EC2 for it; --region names one (docs/production.md)")
        return
    say(f"region {told.region}")
    say(f"role {told.role_arn or 'none: the server uses its own credentials'}")
    say(f"external id {told.external_id}")
    if told.role_arn is not None:
        say("The role's trust policy has to demand this external id (condition sts:ExternalId).")


def _shown(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("id", "name", "email", "executor", "created_at")}
