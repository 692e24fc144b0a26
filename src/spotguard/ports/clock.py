"""The clock: the only source of the time."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Aware UTC. `now()` never goes backwards within one process."""

    def now(self) -> datetime: ...
