"""`GET /` and everything behind it that is no API: the dashboard, as `make web` has built it (see web/)."""

from __future__ import annotations

import gzip
import mimetypes
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from spotguard.api.problems import Problem, ProblemRoute
from spotguard.domain.errors import NotFound

BUILT = Path(__file__).parent / "built"
PAGES = (
    "/",
    "/sign-in",
    "/agents/{id}",
    "/switches",
    "/switches/{id}",
    "/savings",
    "/backtest",
    "/pools",
    "/health",
    "/tokens",
)
_FOR_EVER = "public, max-age=31536000, immutable"  # their names hold their contents' hashes
_WORTH_PACKING = 1024
# The nonce is for the style sheets that the components write; scripts have none: only our own files run.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; connect-src 'self'; "
    "img-src 'self' data:; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True)
class Asset:
    """A file as it is sent. `packed`: the same by gzip; None when that gains nothing."""

    content: bytes
    packed: bytes | None
    media_type: str

    def response(self, accepted: str) -> Response:
        headers = {"Cache-Control": _FOR_EVER, "X-Content-Type-Options": "nosniff", "Vary": "Accept-Encoding"}
        if self.packed is not None and "gzip" in accepted:
            headers["Content-Encoding"] = "gzip"
            return Response(self.packed, headers=headers, media_type=self.media_type)
        return Response(self.content, headers=headers, media_type=self.media_type)


def routes(notice: str, folder: Path = BUILT) -> Iterator[ProblemRoute]:
    """`notice`: what a reader has to know before he believes a figure; empty in production."""

    async def page(_request: Request) -> Response:
        return _page(notice, folder)

    async def asset(request: Request) -> Response:
        found = _assets(folder).get(request.path_params["name"])
        if found is None:
            raise NotFound("there is no such file")
        return found.response(request.headers.get("accept-encoding", ""))

    async def icon(_request: Request) -> Response:
        name = next((name for name in _assets(folder) if name.startswith("icon-")), None)
        if name is None:
            raise NotFound("there is no such file")
        return RedirectResponse(f"/assets/{name}", headers={"Cache-Control": "no-store"})

    for path in PAGES:
        yield ProblemRoute(path, page)
    yield ProblemRoute("/assets/{name}", asset)
    yield ProblemRoute("/favicon.ico", icon)  # browsers ask for it beside what is no page of ours


def or_page(unknown: ASGIApp, notice: str, folder: Path = BUILT) -> ASGIApp:
    """`unknown`, but a browser that asks for a page that is not there gets the dashboard, which says so."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if _browses(scope) and (folder / "index.html").is_file():
            await _page(notice, folder, status=404)(scope, receive, send)
            return
        await unknown(scope, receive, send)

    return answer


def _browses(scope: Scope) -> bool:
    """Programs that name no kind, or any, want the problem document."""
    if scope["type"] != "http" or scope["method"] != "GET" or scope["path"].startswith(("/api/", "/assets/")):
        return False
    return "text/html" in Headers(scope=scope).get("accept", "")


def _page(notice: str, folder: Path, status: int = 200) -> Response:
    nonce = secrets.token_urlsafe(18)
    html = _index(folder).replace("{nonce}", nonce).replace("{notice}", escape(notice, quote=True))
    headers = {
        "Content-Security-Policy": _POLICY.format(nonce=nonce),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    return Response(html, status, headers=headers, media_type="text/html; charset=utf-8")


@cache
def _index(folder: Path) -> str:
    try:
        return (folder / "index.html").read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise Problem(
            503, "the dashboard has not been built here: make web; the API works without it"
        ) from error


@cache
def _assets(folder: Path) -> dict[str, Asset]:
    """By name, all of them: what is not here cannot be asked for."""
    return {path.name: _asset(path) for path in sorted((folder / "assets").glob("*")) if path.is_file()}


def _asset(path: Path) -> Asset:
    content = path.read_bytes()
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    packed = gzip.compress(content, mtime=0) if len(content) > _WORTH_PACKING else None
    return Asset(content, packed if packed and len(packed) < len(content) else None, kind)
