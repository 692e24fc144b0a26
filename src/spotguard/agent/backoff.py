"""How long to leave somebody alone who did not answer: 1 s, doubling up to a minute at most."""

from __future__ import annotations

from datetime import datetime, timedelta

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 60.0


class Backoff:
    """Counts failures in a row. Jitter is the runner's: here the same failures give the same times."""

    def __init__(self, longest_seconds: float = LONGEST_SECONDS) -> None:
        self._longest_seconds = longest_seconds
        self.failures = 0

    def failed(self, now: datetime) -> datetime:
        """When to try again."""
        wait = min(self._longest_seconds, FIRST_SECONDS * 2.0 ** min(self.failures, 6))
        self.failures += 1
        return now + timedelta(seconds=wait)

    def worked(self) -> None:
        self.failures = 0
