"""Times from outside: RFC 3339, not in the future, not absurdly old."""

from __future__ import annotations

from datetime import datetime, timedelta

from spotguard.api.problems import invalid
from spotguard.domain.clock import parse_time
from spotguard.domain.errors import InvalidInput

CLOCK_SKEW = timedelta(minutes=5)
OLDEST_REPORT = timedelta(days=90)  # an agent keeps its reports while the server is away


def moment(text: str, pointer: str) -> datetime:
    try:
        return parse_time(text)
    except InvalidInput as error:
        raise invalid(pointer, str(error)) from error


def past_moment(text: str, now: datetime, pointer: str, *, oldest: timedelta = OLDEST_REPORT) -> datetime:
    """A time that has been, give or take a skewed clock."""
    at = moment(text, pointer)
    if at > now + CLOCK_SKEW:
        raise invalid(pointer, "this time lies in the future: check the clock of the instance")
    if at < now - oldest:
        raise invalid(pointer, f"this time lies more than {oldest.days} days back")
    return at
