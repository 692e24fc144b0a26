"""Duty `moves`: whatever is under way between instances, each job one step further."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol


class Job(Protocol):
    """Something with an end. `run` goes on as far as it goes without waiting and says when it wants another turn."""

    def run(self, now: datetime) -> datetime | None: ...


class Moves:
    """Runs its jobs in order, so that no two ever touch gate or volumes at once."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = tuple(jobs)

    def run(self, now: datetime) -> datetime | None:
        wishes = [job.run(now) for job in self._jobs]
        return min((wish for wish in wishes if wish is not None), default=None)
