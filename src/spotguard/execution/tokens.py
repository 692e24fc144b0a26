"""Client tokens of attempts."""

from __future__ import annotations

import hashlib

from spotguard.domain.ids import ClientToken


def token_of(seed: str, purpose: str, attempt: int, place: str) -> ClientToken:
    """A client token: the same wish gives the same 64 ASCII characters; another pool or attempt gives others.

    EC2 scopes tokens by AZ (EC2 idempotency guide), hence the place, and keeps the token of an instance that has
    ended, hence the attempt.
    """
    text = "\n".join((seed, purpose, str(attempt), place))
    return ClientToken("sg-" + hashlib.sha256(text.encode()).hexdigest()[:61])
