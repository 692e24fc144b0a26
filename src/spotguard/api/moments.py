"""Times from outside: RFC 3339, not absurdly old, and not of the future: no clock there need agree with ours."""

from __future__ import annotations

from datetime import datetime, timedelta

from spotguard.api.problems import invalid
from spotguard.domain.clock import parse_time
from spotguard.domain.errors import InvalidInput

CLOCK_SKEW = timedelta(minutes=5)
FASTEST_CLOCK = timedelta(days=1)
OLDEST_REPORT = timedelta(days=90)  # an agent keeps its reports while the server is away


def moment(text: str, pointer: str) -> datetime:
    try:
        return parse_time(text)
    except InvalidInput as error:
        raise invalid(pointer, str(error)) from error


def happened_at(text: str, now: datetime, pointer: str, *, whatever_it_says: bool = False) -> datetime:
    """When something happened, by the clock of whoever tells it; one that is ahead has seen it by now.

    Nothing valid is lost for a wrong clock: only a day ahead or months back is refused, and not even that with
    `whatever_it_says`, for what must be known.
    """
    if whatever_it_says:
        return _nearest(text, now)
    at = moment(text, pointer)
    if at > now + FASTEST_CLOCK:
        raise invalid(pointer, "this time lies in the future: check the clock of the instance")
    _require_recent(at, now, pointer)
    return min(at, now)


def _nearest(text: str, now: datetime) -> datetime:
    try:
        return max(min(parse_time(text), now), now - OLDEST_REPORT)
    except InvalidInput:
        return now


def past_moment(text: str, now: datetime, pointer: str) -> datetime:
    """A time that has been, give or take a skewed clock."""
    at = moment(text, pointer)
    if at > now + CLOCK_SKEW:
        raise invalid(pointer, "this time lies in the future: check the clock of the instance")
    _require_recent(at, now, pointer)
    return at


def _require_recent(at: datetime, now: datetime, pointer: str) -> None:
    if at < now - OLDEST_REPORT:
        raise invalid(pointer, f"this time lies more than {OLDEST_REPORT.days} days back")
