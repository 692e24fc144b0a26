"""`/session`: signing in by token, who is signed in, signing out."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response
from sqlalchemy.engine import Connection

from spotguard.api import credentials
from spotguard.api.client.desk import CALLED_BY_SENDER, api_of, router
from spotguard.api.problems import forbidden, unauthorized
from spotguard.store import sessions
from spotguard.store.secrets import hash_token
from spotguard.wire.client_session import SessionState, SignIn

routes = router()


@routes.post("/session", status_code=201, openapi_extra={"security": []})
async def sign_in(request: Request, response: Response, said: SignIn) -> SessionState:
    """A session for the tenant of this token, as a cookie that scripts cannot read and other sites cannot send.

    The one that this browser had before ends: its cookie is gone, and no page of it may go on.
    """
    _require_same_site(request)
    api, now = api_of(request), api_of(request).clock.now()
    token_hash, lasts = hash_token(said.token.strip()), api.settings.session_seconds
    by_its_clock = lasts * api.settings.clock_rate
    before = credentials.session_in(request.headers.get("cookie", ""))

    def work(tx: Connection) -> tuple[str, Any]:
        client_id = credentials.client(tx, now, token_hash)
        if before is not None:
            sessions.end(tx, before)
        secret = sessions.begin(tx, now, client_id, token_hash, valid_seconds=by_its_clock)
        return secret, sessions.of_secret(tx, now, hash_token(secret))

    secret, row = await api.write(work)
    response.set_cookie(
        credentials.COOKIE,
        secret,
        max_age=int(lasts),
        path="/",
        secure=api.settings.is_public_https or request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return _state(row)


@routes.get("/session")
async def session(request: Request) -> SessionState:
    """401 for everyone but a browser with a session that stands."""
    api, now = api_of(request), api_of(request).clock.now()
    shown = credentials.shown_by(request)
    row = await api.read(lambda tx: sessions.of_secret(tx, now, shown.hash))
    if row is None or not shown.is_session:
        raise unauthorized("there is no session: sign in")
    return _state(row)


@routes.delete("/session", status_code=204)
async def sign_out(request: Request) -> Response:
    """It opens nothing any more, wherever its cookie was copied to."""
    shown = credentials.shown_by(request)
    if not shown.is_session:
        raise unauthorized("there is no session to end")
    await api_of(request).write(lambda tx: sessions.end(tx, shown.hash))
    response = Response(status_code=204)
    response.delete_cookie(credentials.COOKIE, path="/", httponly=True, samesite="strict")
    return response


def _require_same_site(request: Request) -> None:
    """No other site signs anybody in here.

    Fetch Metadata tells it where browsers send it, which is not over plain HTTP. Everywhere a browser names the
    Origin of a POST, and asks first (which nobody answers here) before another site's page sends what is called JSON.
    """
    is_called_json = request.scope[CALLED_BY_SENDER].partition(";")[0].strip() == "application/json"
    if request.headers.get("sec-fetch-site", "none") not in {"same-origin", "none"} or (
        "origin" in request.headers and not is_called_json
    ):
        raise forbidden("another site may not sign you in")


def _state(row: Any) -> SessionState:
    return SessionState(
        client_id=row.client_id,
        name=row.name,
        csrf_token=credentials.csrf_of(row.secret_hash),
        expires_at=row.expires_at,
    )
