"""The clock: the only source of the time."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Aware UTC. `now()` never goes backwards within one process."""

    def now(self) -> datetime: ...


class SteadyClock(Clock, Protocol):
    """A machine's clock that also tells what has elapsed, whoever sets its time meanwhile."""

    def steady(self) -> datetime:
        """Never set, and the same to all processes until the machine boots. It says what lies between two moments,
        never what time it is.
        """

    def steady_at(self, told: datetime) -> datetime:
        """What `steady()` is when the machine's time, as it is set now, is `told`."""
