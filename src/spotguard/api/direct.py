"""Calling the application in this thread, without a server or an event loop: for simulation and tests.

The application must have been made with `offload.inline`: then nothing in a request ever waits, and its coroutine
runs to its end at the first step.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spotguard.ports.server import Reply


@dataclass(frozen=True)
class Answer:
    """What the application sent."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.content) if self.content else {}


class DirectLink:
    """A `ports.server.ServerLink` into an application of this process."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def call(
        self,
        method: str,
        path: str,
        *,
        token: str,
        body: Mapping[str, Any] | None = None,
        timeout_seconds: float = 10,
    ) -> Reply:
        content = b"" if body is None else msgspec.json.encode(body)
        answer = self.send(method, path, content, token=token)
        return Reply(answer.status, answer.json())

    def send(
        self,
        method: str,
        path: str,
        content: bytes = b"",
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Any bytes to any path; `token` as bearer."""
        sent: list[Message] = []
        received = [{"type": "http.request", "body": content, "more_body": False}]

        async def receive() -> Message:
            return received.pop() if received else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        _run(self._request(_scope(method, path, content, token, headers or {}), receive, send))
        start = sent[0]
        told = {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}
        return Answer(start["status"], told, b"".join(m.get("body", b"") for m in sent[1:]))

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def _scope(
    method: str, path: str, content: bytes, token: str | None, headers: Mapping[str, str]
) -> dict[str, Any]:
    raw, _, query = path.partition("?")
    lines = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    if content and "content-type" not in {name.lower() for name in headers}:
        lines.append((b"content-type", b"application/json"))
    if token is not None:
        lines.append((b"authorization", b"Bearer " + token.encode()))
    lines.append((b"content-length", str(len(content)).encode()))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(raw),
        "raw_path": raw.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": lines,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }


def _run(application: Coroutine[Any, Any, None]) -> None:
    try:
        application.send(None)
    except StopIteration:
        return
    application.close()
    raise RuntimeError(
        "the application waits for something: make it with offload.inline, and do not long-poll"
    )
