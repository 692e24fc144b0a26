"""The agents' line to the server inside one process: the same requests through the same ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import msgspec

from spotguard.domain.errors import ServerAway
from spotguard.ports.server import Reply

Message = MutableMapping[str, Any]
App = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]

_SERVER_ERROR = 500


class InProcessLink:
    """Implements `ports.server.ServerLink` on an ASGI application. `away` makes the server unreachable."""

    def __init__(self, app: App, loop: asyncio.AbstractEventLoop) -> None:
        self._app, self._loop = app, loop
        self.away = False
        self.calls: dict[str, int] = {}

    def call(
        self,
        method: str,
        path: str,
        *,
        token: str,
        body: Mapping[str, Any] | None = None,
        timeout_seconds: float = 10,
    ) -> Reply:
        if self.away:
            raise ServerAway("the network is cut")
        path, _, query = path.partition("?")
        kind = path.rpartition("/")[2]
        self.calls[kind] = self.calls.get(kind, 0) + 1
        exchange = _Exchange(b"" if body is None else msgspec.json.encode(body))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [
                (b"host", b"localhost"),
                (b"authorization", f"Bearer {token}".encode()),
                (b"content-type", b"application/json"),
                (b"content-length", str(len(exchange.sent)).encode()),
            ],
            "client": ("127.0.0.1", 0),
            "server": ("127.0.0.1", 8000),
        }
        self._loop.run_until_complete(self._app(scope, exchange.receive, exchange.send))
        if exchange.status >= _SERVER_ERROR:
            raise ServerAway(f"{method} {path}: {exchange.status} {exchange.answer[:200]!r}")
        return Reply(exchange.status, msgspec.json.decode(exchange.answer) if exchange.answer else {})


class _Exchange:
    """One request and its answer."""

    def __init__(self, body: bytes) -> None:
        self.sent = body
        self.answer = b""
        self.status = 0
        self._given = False

    async def receive(self) -> Message:
        if self._given:
            return {"type": "http.disconnect"}
        self._given = True
        return {"type": "http.request", "body": self.sent, "more_body": False}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body":
            self.answer += message.get("body", b"")
