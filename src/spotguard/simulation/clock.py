"""A clock that only the simulation moves."""

from __future__ import annotations

from datetime import datetime

from spotguard.domain.clock import utc


class VirtualClock:
    """Implements `ports.clock.SteadyClock`; never goes backwards."""

    def __init__(self, start: datetime) -> None:
        self._now = utc(start)

    def now(self) -> datetime:
        return self._now

    def steady(self) -> datetime:
        return self._now

    def steady_at(self, told: datetime) -> datetime:
        return told

    def move_to(self, moment: datetime) -> None:
        self._now = max(self._now, moment)
