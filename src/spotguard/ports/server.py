"""The agent's line to the control plane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Reply:
    """What the server answered: HTTP status and decoded JSON body."""

    status: int
    body: Mapping[str, Any]


class ServerLink(Protocol):
    """HTTP to the server. `ServerAway` when there is no answer or a 5xx; a 4xx is a `Reply`."""

    def call(
        self,
        method: str,
        path: str,
        *,
        token: str,
        body: Mapping[str, Any] | None = None,
        timeout_seconds: float = 10,
    ) -> Reply: ...
