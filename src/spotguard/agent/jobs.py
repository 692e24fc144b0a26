"""Duty `moves`: whatever is under way between instances, each job one step further."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol


class Job(Protocol):
    """Something with an end. `run` goes on as far as it goes without waiting and says when it wants another turn."""

    def run(self, now: datetime) -> datetime | None: ...


class Jobs:
    """Runs its jobs in order, so that no two of them ever touch gate or volumes at once."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = tuple(jobs)

    def run(self, now: datetime) -> datetime | None:
        """One that fails keeps no other from its turn: a ticket is delivered whatever its move has come to. The first
        failure passes through at the end.
        """
        wishes: list[datetime | None] = []
        failures: list[Exception] = []
        for job in self._jobs:
            try:
                wishes.append(job.run(now))
            except Exception as error:  # noqa: BLE001 - told by whoever runs the duty
                failures.append(error)
        if failures:
            raise failures[0]
        return min((wish for wish in wishes if wish is not None), default=None)
