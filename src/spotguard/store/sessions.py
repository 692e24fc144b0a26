"""Sessions: a browser that showed the tenant's token once. Whoever rotates the token ends every session of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from spotguard.domain.ids import ClientId
from spotguard.store.secrets import hash_token, new_token
from spotguard.store.tables import clients, sessions

_OF_SECRET = (
    sa.select(sessions, clients.c.name)
    .join(clients, sa.and_(clients.c.id == sessions.c.client_id, clients.c.api_token == sessions.c.api_token))
    .where(sessions.c.secret_hash == sa.bindparam("hash"), sessions.c.expires_at > sa.bindparam("now"))
)


def begin(
    tx: Connection, now: datetime, client_id: ClientId, token_hash: str, *, valid_seconds: float
) -> str:
    """The secret for the browser's cookie; only its hash is kept. What of this tenant's has expired is forgotten."""
    expired = sa.and_(sessions.c.client_id == client_id, sessions.c.expires_at <= now)
    tx.execute(sa.delete(sessions).where(expired))
    secret = new_token("sgs")
    row = {
        "secret_hash": hash_token(secret),
        "client_id": client_id,
        "api_token": token_hash,
        "created_at": now,
        "expires_at": now + timedelta(seconds=valid_seconds),
    }
    tx.execute(sa.insert(sessions), row)
    return secret


def of_secret(tx: Connection, now: datetime, secret_hash: str) -> Row[Any] | None:
    """The session with its client's `name`, while it stands."""
    return tx.execute(_OF_SECRET, {"hash": secret_hash, "now": now}).first()


def carry_over(tx: Connection, secret_hash: str, token_hash: str) -> None:
    """The session goes on under the tenant's new token: of the browser that rotated it."""
    tx.execute(sa.update(sessions).where(sessions.c.secret_hash == secret_hash).values(api_token=token_hash))


def end(tx: Connection, secret_hash: str) -> None:
    """Again is harmless."""
    tx.execute(sa.delete(sessions).where(sessions.c.secret_hash == secret_hash))
