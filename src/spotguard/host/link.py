"""`ports.server.ServerLink` over HTTP."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx2
import msgspec

from spotguard import __version__
from spotguard.domain.errors import ServerAway
from spotguard.ports.server import Reply

LARGEST_BODY = 1024 * 1024  # of an answer; the server's own limit for a request is a quarter of it
CONNECT_SECONDS = 5.0
_REFUSED = 400
_SERVER_ERROR = 500
_REDIRECT = range(300, 400)


class HttpLink:
    """One connection pool to one server. TLS is verified; a redirect is not followed: it is not our server's answer."""

    def __init__(self, server_url: str, *, verify: ssl.SSLContext | bool = True) -> None:
        self._client = httpx2.Client(
            base_url=server_url,
            verify=verify,
            follow_redirects=False,
            headers={"user-agent": f"spotguard-agent/{__version__}", "accept-encoding": "identity"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        token: str,
        body: Mapping[str, Any] | None = None,
        timeout_seconds: float = 10,
    ) -> Reply:
        headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
        content = None
        if body is not None:
            headers["content-type"] = "application/json"
            content = msgspec.json.encode(body)
        begun = time.monotonic()
        timeout = httpx2.Timeout(timeout_seconds, connect=min(CONNECT_SECONDS, timeout_seconds))
        try:
            with self._client.stream(
                method, path, headers=headers, content=content, timeout=timeout
            ) as answer:
                return _reply(answer.status_code, _capped(answer, begun + timeout_seconds))
        except httpx2.HTTPError as error:
            raise ServerAway(f"{method} {path}: {error or type(error).__name__}") from error


def _capped(answer: httpx2.Response, until: float) -> bytes:
    """The client's own time is for each read: of one that drips, none is ever too late."""
    content = bytearray()
    for chunk in answer.iter_bytes():
        if time.monotonic() > until:
            raise ServerAway("its answer takes longer than it may")
        content += chunk
        if len(content) > LARGEST_BODY:
            raise ServerAway(f"an answer of more than {LARGEST_BODY} bytes is not our server's")
    return bytes(content)


def _reply(status: int, content: bytes) -> Reply:
    if status >= _SERVER_ERROR or status in _REDIRECT:
        raise ServerAway(f"the server answered {status}")
    try:
        body = msgspec.json.decode(content) if content else {}
    except (msgspec.DecodeError, RecursionError) as error:
        raise ServerAway(f"the server answered {status} with something that is not JSON") from error
    if status >= _REFUSED and not (isinstance(body, dict) and isinstance(body.get("detail"), str)):
        raise ServerAway(f"the server answered {status} without a reason: a proxy's word, not our server's")
    return Reply(status, body if isinstance(body, dict) else {"body": body})
