"""Time: aware UTC everywhere; who needs the time is given a `Clock`, never asks the machine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from spotguard.domain.errors import InvalidInput

EARLIEST = datetime(2006, 8, 24, tzinfo=UTC)  # EC2's first public day: nothing of ours is older
LATEST = datetime(2100, 1, 1, tzinfo=UTC)


def utc(moment: datetime) -> datetime:
    """The same instant in UTC; a naive or absurd time is refused (`InvalidInput`)."""
    if moment.tzinfo is None:
        raise InvalidInput(f"time without a zone: {moment.isoformat()}")
    if not EARLIEST <= moment <= LATEST:
        raise InvalidInput(f"time out of range: {moment.isoformat()}")
    return moment.astimezone(UTC)


def parse_time(text: str) -> datetime:
    """An RFC 3339 time with a zone (`Z` or an offset), in UTC; anything else is `InvalidInput`."""
    try:
        return utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError) as error:
        raise InvalidInput(f"not an RFC 3339 time: {text[:40]!r}") from error


def rfc3339(moment: datetime) -> str:
    """UTC with microseconds, as the API gives every time."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def hours(count: float) -> timedelta:
    return timedelta(hours=count)
