"""Pages: a token says where the next one begins. It is opaque, and means nothing to another list."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import TypeVar

from spotguard.cloud.simulated.wire.errors import WireError

Item = TypeVar("Item")


def page_of(
    items: Sequence[Item], wanted: int | str | None, token: str | None, most: int
) -> tuple[Sequence[Item], str | None]:
    """This page and the token of the next, None when there is none."""
    start = _start(token)
    end = start + min(int(wanted or most), most)
    return items[start:end], _token(end) if end < len(items) else None


def _token(start: int) -> str:
    return base64.urlsafe_b64encode(f"from {start}".encode()).decode()


def _start(token: str | None) -> int:
    if not token:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token).decode().removeprefix("from "))
    except (binascii.Error, ValueError) as error:
        raise WireError("InvalidNextToken", "the token is not one of ours") from error
