"""Tokens: made here, shown once, kept only as SHA-256 (ruling S4)."""

from __future__ import annotations

import secrets
from uuid import uuid4

from spotguard.domain import tickets

_TOKEN_BYTES = 32


def new_token(prefix: str) -> str:
    """256 random bits behind a prefix that tells people (and secret scanners) what it is: `sgc_…`."""
    return f"{prefix}_{secrets.token_urlsafe(_TOKEN_BYTES)}"


def hash_token(token: str) -> str:
    """SHA-256 hex, 64 characters. The token is random, so that a slow hash would add nothing."""
    return tickets.hash_token(token)


def new_id() -> str:
    """UUID v4, as the specification names rows."""
    return str(uuid4())
