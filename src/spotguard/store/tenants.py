"""Clients: the tenants, and the hash of each one's token."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from spotguard.domain.agents import Executor
from spotguard.domain.errors import InvalidInput, NotFound, Refused
from spotguard.domain.ids import AgentId, ClientId
from spotguard.store.secrets import hash_token, new_id, new_token
from spotguard.store.tables import agents, clients

TOKEN_PREFIX = "sgc"  # noqa: S105 -- what a client's token begins with, not a token
_LONGEST_NAME = 255

_OF_TOKEN = sa.select(clients).where(clients.c.api_token == sa.bindparam("hash"))


def create_client(
    tx: Connection,
    now: datetime,
    name: str,
    email: str | None = None,
    executor: Executor = Executor.AGENT,
) -> tuple[ClientId, str]:
    """The new tenant and its token, which is not kept and cannot be shown again. `Refused` for a name in use.

    Commands name tenants by it. Two that are made in the same instant on a cluster may both get through: then commands
    ask for the id (`client_named`).
    """
    name = name.strip()
    if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
        raise InvalidInput(f"a client's name has 1 to {_LONGEST_NAME} printable characters")
    if email is not None and (len(email) > _LONGEST_NAME or "@" not in email or not email.isprintable()):
        raise InvalidInput("not an e-mail address")
    namesake = tx.scalars(sa.select(clients.c.id).where(clients.c.name == name)).first()
    if namesake is not None:
        raise Refused(f"there is a client {name!r} already ({namesake}): choose another name")
    client_id, token = ClientId(new_id()), new_token(TOKEN_PREFIX)
    tx.execute(
        sa.insert(clients),
        {
            "id": client_id,
            "name": name,
            "email": email,
            "api_token": hash_token(token),
            "executor": executor.value,
            "created_at": now,
            "updated_at": now,
        },
    )
    return client_id, token


def rotate_token(tx: Connection, now: datetime, client_id: ClientId) -> str:
    """A new token; from the commit on the former one opens nothing. Agents keep theirs."""
    token = new_token(TOKEN_PREFIX)
    changed = tx.execute(
        sa.update(clients)
        .where(clients.c.id == client_id)
        .values(api_token=hash_token(token), updated_at=now)
    )
    if changed.rowcount != 1:
        raise NotFound(f"no client {client_id}")
    return token


def list_clients(tx: Connection) -> Sequence[Row[Any]]:
    """Every tenant, oldest first, without its token's hash: for the operator of the installation."""
    shown = [column for column in clients.c if column.name != "api_token"]
    return tx.execute(sa.select(*shown).order_by(clients.c.created_at, clients.c.id)).all()


def client_of_token(tx: Connection, token_hash: str) -> Row[Any] | None:
    """The tenant that this hash lets in."""
    return tx.execute(_OF_TOKEN, {"hash": token_hash}).one_or_none()


def get(tx: Connection, client_id: ClientId) -> Row[Any]:
    """The tenant's row, whose credential the caller has seen."""
    return tx.execute(sa.select(clients).where(clients.c.id == client_id)).one()


def client_named(tx: Connection, name_or_id: str) -> ClientId:
    """The one client of this id or name; `NotFound` if there is none, `InvalidInput` if the name is not unique."""
    found = tx.scalars(sa.select(clients.c.id).where(clients.c.id == name_or_id)).all()
    found = found or tx.scalars(sa.select(clients.c.id).where(clients.c.name == name_or_id)).all()
    if not found:
        raise NotFound(f"no client {name_or_id!r}: see spotguard client list")
    if len(found) > 1:
        raise InvalidInput(f"{len(found)} clients are named {name_or_id!r}: give the id ({', '.join(found)})")
    return ClientId(found[0])


def agent_named(
    tx: Connection, name_or_id: str, client_id: ClientId | None = None
) -> tuple[ClientId, AgentId]:
    """The one agent of this id or logical id, of one client or of all: for the operator of the installation."""
    found = sa.select(agents.c.client_id, agents.c.id).where(
        sa.or_(agents.c.id == name_or_id, agents.c.logical_agent_id == name_or_id)
    )
    if client_id is not None:
        found = found.where(agents.c.client_id == client_id)
    rows = tx.execute(found).all()
    if not rows:
        raise NotFound(f"no agent {name_or_id!r}")
    if len(rows) > 1:
        raise InvalidInput(f"{len(rows)} clients have an agent {name_or_id!r}: add --client")
    return ClientId(rows[0].client_id), AgentId(rows[0].id)
