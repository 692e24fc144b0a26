"""Errors as `application/problem+json` (RFC 9457): what happened, and what to do."""

from __future__ import annotations

import http
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from spotguard.api.wording import sentence_of
from spotguard.domain.errors import IllegalMove, InvalidInput, NotFound, Refused
from spotguard.store.database import cause_of, is_away
from spotguard.telemetry import get_logger

MEDIA_TYPE = "application/problem+json"
_log = get_logger("api")


class Problem(HTTPException):
    """An answer that is an error. `errors` are `(JSON pointer, sentence)` for a body or query that is wrong."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Iterable[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status_code=status, detail=detail, headers=dict(headers or {}))
        self.errors = tuple(errors)

    def response(self) -> Response:
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": http.HTTPStatus(self.status_code).phrase,
            "status": self.status_code,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = [{"pointer": pointer, "detail": detail} for pointer, detail in self.errors]
        return Response(msgspec.json.encode(body), self.status_code, self.headers, MEDIA_TYPE)


def unauthorized(detail: str) -> Problem:
    return Problem(401, detail, headers={"WWW-Authenticate": "Bearer"})


def forbidden(detail: str) -> Problem:
    return Problem(403, detail)


def invalid(pointer: str, detail: str) -> Problem:
    return Problem(422, "the request is well-formed but not valid", errors=[(pointer, detail)])


def too_busy(detail: str, retry_after_seconds: int) -> Problem:
    return Problem(429, detail, headers={"Retry-After": str(retry_after_seconds)})


def database_away() -> Problem:
    return Problem(
        503,
        "the database cannot serve now: try again; of what should change something, look first whether it was applied",
        headers={"Retry-After": "5"},
    )


_STATUS: dict[type[Exception], int] = {InvalidInput: 422, NotFound: 404, Refused: 409}


def problem_of(error: Exception) -> Problem:
    """What an error of the domain means over HTTP."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        return Problem(error.status_code, error.detail, headers=error.headers)
    if isinstance(error, IllegalMove):
        return Problem(409, f"somebody else was first; look again: {error}")
    for kind, status in _STATUS.items():
        if isinstance(error, kind):
            return Problem(status, str(error))
    if is_away(error):
        return database_away()
    return Problem(500, "the server failed; look whether this request was applied before you repeat it")


def _pointer(location: tuple[int | str, ...], body: Any = None) -> str:
    """`("body", "pools", 0)` → `/pools/0`; a parameter stands behind its place: `/query/limit`."""
    place, *path = location or ("body",)
    if place == "body":
        path = _members(path, body)
    tail = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
    return tail if place == "body" else f"/{place}{tail}"


def _members(path: list[int | str], body: Any) -> list[int | str]:
    """Without the tags of unions, which Pydantic puts among the members: `traffic`, `dns`, `zoneId`."""
    kept: list[int | str] = []
    for number, part in enumerate(path):
        if isinstance(body, Mapping) and part not in body and number < len(path) - 1:
            continue
        kept.append(part)
        inside = isinstance(body, Mapping) or (isinstance(body, list) and isinstance(part, int))
        body = body[part] if inside and (not isinstance(body, Mapping) or part in body) else None
    return kept


async def _answer(_request: Request, error: Exception) -> Response:
    return problem_of(error).response()


async def _answer_invalid(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    # Pydantic's errors also hold the input; it is not sent back: it may be NaN, huge, or a secret.
    found = [(_pointer(tuple(one["loc"]), error.body), sentence_of(one)) for one in error.errors()[:50]]
    return Problem(422, "the request is well-formed but not valid", errors=found).response()


async def _answer_database(request: Request, error: Exception) -> Response:
    if not is_away(error):
        raise error
    tell_away(request.method, request.url.path, error)
    return database_away().response()


def tell_away(method: str, route: str, error: Exception) -> None:
    """One line, without a trace: it says nothing that the cause does not."""
    _log.error("the database cannot serve", method=method, route=route, cause=cause_of(error))


async def _answer_failure(request: Request, error: Exception) -> Response:
    _log.error("request failed", method=request.method, path=request.url.path, error=type(error).__name__)
    return problem_of(RuntimeError()).response()


class ProblemRoute(Route):
    """A plain route whose every error is a problem document."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if self.methods and scope["method"] not in self.methods:
                raise Problem(
                    405,
                    f"use {' or '.join(sorted(self.methods))}",
                    headers={"Allow": ", ".join(self.methods)},
                )
            await self.app(scope, receive, send)
        except ClientDisconnect:
            return  # nobody is there to be told
        except Exception as error:  # noqa: BLE001 -- the last door: everything becomes an answer
            problem = problem_of(error)
            if problem.status_code == http.HTTPStatus.SERVICE_UNAVAILABLE and is_away(error):
                tell_away(scope["method"], self.path, error)
            elif problem.status_code == http.HTTPStatus.INTERNAL_SERVER_ERROR:
                _log.error("request failed", method=scope["method"], route=self.path, exc_info=error)
            await problem.response()(scope, receive, send)


def install(app: FastAPI) -> None:
    """Every error of this application is a problem document."""
    for kind in (InvalidInput, NotFound, Refused, IllegalMove, HTTPException):
        app.add_exception_handler(kind, _answer)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(SQLAlchemyError, _answer_database)
    app.add_exception_handler(Exception, _answer_failure)
