"""How far this machine's clock is ahead of the server's: times from outside are told by that one, or by AWS's.

What the agent measures itself (waits, limits, ages) stays by its own clock, which never goes back; a time that comes
in from outside is turned into it, or compared with the server's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from spotguard.domain.clock import parse_time
from spotguard.domain.errors import InvalidInput

NONE = timedelta(0)


def told_in(answer: Mapping[str, Any]) -> datetime | None:
    """The server's time of this answer; None when it does not say one that reads."""
    told = answer.get("server_time")
    try:
        return parse_time(told) if isinstance(told, str) else None
    except InvalidInput:
        return None


def ahead(asked: datetime, told: datetime, answered: datetime) -> timedelta:
    """Of the times that are possible the one nearest to none: the server told its own between the two of ours."""
    least, most = asked - told, answered - told
    if least <= NONE <= most:
        return NONE
    return least if least > NONE else most
