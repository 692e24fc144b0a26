"""Under which epoch the state here is served, by who knows it best: the agent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Term:
    """`held`: the epoch that this instance holds. `runs`: whether the workload does; None where nobody can tell.

    `instance`: which one this is; None before that is known. `has_opened`: the workload, under the epoch that is held.
    `agent`: whose workload it is, by the server's id; None while this instance is not enrolled.
    """

    held: Callable[[], int | None]
    runs: Callable[[], bool | None]
    instance: Callable[[], str | None] = lambda: None
    has_opened: Callable[[], bool] = lambda: True
    agent: Callable[[], str | None] = lambda: None


UNKNOWN_TERM = Term(held=lambda: None, runs=lambda: False)
"""Of a sync without an agent: its memory alone says the epoch."""
