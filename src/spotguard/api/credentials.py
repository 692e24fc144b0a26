"""Who calls: scope comes from the credential alone (invariant 15)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row
from starlette.requests import Request

from spotguard.api.problems import forbidden, unauthorized
from spotguard.domain.errors import NotFound
from spotguard.domain.ids import ClientId
from spotguard.store import agents, enrolment, sessions, tenants
from spotguard.store.secrets import hash_token
from spotguard.store.tables import agents as agents_table

_LONGEST = 512
COOKIE, CSRF_HEADER = "spotguard_session", "X-CSRF-Token"
_HARMLESS = {"GET", "HEAD"}


@dataclass(frozen=True)
class Shown:
    """The hash of what a caller has shown: a bearer token, or a browser's session."""

    hash: str
    is_session: bool


def shown_by(request: Request) -> Shown:
    """A bearer token goes before a session. With a session whatever changes something needs its CSRF token too.

    A page that shows one with what it reads is answered only while the cookie is still of the session that it was
    loaded under: another tab may have signed this browser in as another tenant.
    """
    session = None if "authorization" in request.headers else session_in(request.headers.get("cookie", ""))
    if session is None:
        return Shown(token_hash_of(request), is_session=False)
    told = request.headers.get(CSRF_HEADER, "")
    if not compare_digest(told.encode(), csrf_of(session).encode()):
        _require_harmless(request.method, told)
    return Shown(session, is_session=True)


def _require_harmless(method: str, told: str) -> None:
    if method not in _HARMLESS:
        raise forbidden(f"with a session's cookie a change needs its {CSRF_HEADER}: sign in again")
    if told:
        raise unauthorized("this browser has another session now: sign in again")


def session_in(header: str) -> str | None:
    """The hash of the session's secret in a Cookie header (RFC 6265); None when there is none."""
    for pair in header.split(";"):
        name, _, secret = pair.strip().partition("=")
        if name == COOKIE and 0 < len(secret) <= _LONGEST:
            return hash_token(secret)
    return None


def csrf_of(session: str) -> str:
    """From the hash of a session's secret: only a page that may read our answers knows it."""
    return hash_token(f"csrf of {session}")


def tenant(tx: Connection, now: datetime, shown: Shown) -> ClientId:
    """Whose calls these are."""
    if not shown.is_session:
        return client(tx, now, shown.hash)
    row = sessions.of_secret(tx, now, shown.hash)
    if row is None:
        raise unauthorized("this session is over: sign in again")
    return ClientId(row.client_id)


def token_hash_of(request: Request) -> str:
    """The hash of the bearer token; the token itself goes no further."""
    token_hash = hash_in(request.headers.get("authorization", ""))
    if token_hash is None:
        raise unauthorized("send Authorization: Bearer <token>")
    return token_hash


def hash_in(header: str) -> str | None:
    """Of the bearer token in an Authorization header (RFC 6750); None when there is none."""
    scheme, _, token = header.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > _LONGEST:
        return None
    return hash_token(token)


def agent(tx: Connection, now: datetime, token_hash: str, agent_id: str) -> Any:
    """The row of `agents.caller_of_token` for a token that belongs to this agent."""
    row = agents.caller_of_token(tx, now, token_hash)
    if row is None:
        raise _not(
            tx, now, token_hash, "this call is an instance's: use the token that its registration gave"
        )
    if row.agent_id != agent_id:
        same_tenant = sa.select(agents_table.c.id).where(
            agents_table.c.id == agent_id, agents_table.c.client_id == row.client_id
        )
        if tx.execute(same_tenant).first() is None:
            raise NotFound("no such agent")
        raise forbidden("this token belongs to another agent")
    return row


def client(tx: Connection, now: datetime, token_hash: str) -> ClientId:
    row = tenants.client_of_token(tx, token_hash)
    if row is None:
        raise _not(tx, now, token_hash, "this call is the tenant's: use the client's token")
    return ClientId(row.id)


def enroller(tx: Connection, now: datetime, token_hash: str) -> tuple[ClientId, Row[Any] | None]:
    """The tenant, and the enrolment if it was one."""
    row = tenants.client_of_token(tx, token_hash)
    if row is not None:
        return ClientId(row.id), None
    enrolled_by = enrolment.of_token(tx, token_hash)
    if enrolled_by is None:
        raise _not(tx, now, token_hash, "register with the client's token or the launch's enrolment token")
    return ClientId(enrolled_by.client_id), enrolled_by


def require_any(tx: Connection, now: datetime, token_hash: str) -> None:
    """401 for a token that opens nothing."""
    if not opens_anything(tx, now, token_hash):
        raise unauthorized("this token is not valid, or no longer")


def opens_anything(tx: Connection, now: datetime, token_hash: str) -> bool:
    """Whether it is a tenant's, an agent's, an enrolment's or a session's."""
    return (
        tenants.client_of_token(tx, token_hash) is not None
        or agents.caller_of_token(tx, now, token_hash) is not None
        or enrolment.of_token(tx, token_hash) is not None
        or sessions.of_secret(tx, now, token_hash) is not None
    )


def _not(tx: Connection, now: datetime, token_hash: str, instead: str) -> Exception:
    """403 for a credential of another kind, 401 for none."""
    if opens_anything(tx, now, token_hash):
        return forbidden(instead)
    return unauthorized("this token is not valid, or no longer")
