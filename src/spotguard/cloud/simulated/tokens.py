"""Client tokens: ask twice, get once (EC2 API Reference, "Ensuring idempotency")."""

from __future__ import annotations

from typing import Generic, TypeVar

from spotguard.domain.errors import NeedsPerson, TokenMismatch
from spotguard.domain.ids import ClientToken

LONGEST_TOKEN = 64
Made = TypeVar("Made")


class Tokens(Generic[Made]):
    """What each token made. The scope is the zone for what names one, and the region otherwise.

    Only a call that made something is remembered: a refused one may be repeated with its token.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[ClientToken, str], tuple[object, Made]] = {}

    def earlier(self, token: ClientToken, scope: str, parameters: object) -> Made | None:
        """What the same call made before; `TokenMismatch` when the call was another one."""
        if not token or len(token) > LONGEST_TOKEN or not token.isascii():
            raise NeedsPerson("InvalidParameterValue", "a client token has 1 to 64 ASCII characters")
        known = self._made.get((token, scope))
        if known is None:
            return None
        if known[0] != parameters:
            raise TokenMismatch("IdempotentParameterMismatch", f"{token} was used with other parameters")
        return known[1]

    def remember(self, token: ClientToken, scope: str, parameters: object, made: Made) -> None:
        self._made[token, scope] = (parameters, made)
