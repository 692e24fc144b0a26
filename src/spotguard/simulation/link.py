"""The agents' line to the server: full requests through the application of this process, counted, and cut at will."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp

from spotguard.api.direct import DirectLink
from spotguard.domain.errors import ServerAway
from spotguard.ports.server import Reply

_SERVER_ERROR = 500


class SimulatedLink:
    """Implements `ports.server.ServerLink`. `away` makes the server unreachable; `calls` counts by last path part."""

    def __init__(self, app: ASGIApp) -> None:
        self._direct = DirectLink(app)
        self.away = False
        self.calls: Counter[str] = Counter()
        self.failures: list[str] = []  # answers that say that the server has a bug

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
        self.calls[path.partition("?")[0].rpartition("/")[2]] += 1
        reply = self._direct.call(method, path, token=token, body=body, timeout_seconds=timeout_seconds)
        if reply.status == _SERVER_ERROR:  # not 503, which says that the database is away
            self.failures.append(f"{method} {path}: {reply.body.get('detail') or reply.status}")
        if reply.status >= _SERVER_ERROR:
            raise ServerAway(f"{method} {path}: {reply.status}")
        return reply
