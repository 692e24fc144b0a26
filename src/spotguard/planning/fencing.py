"""Whether a primary that hangs is ended so that another may serve (ruling B4): only where its user wants it, and only
when everybody who could still hear it has lost it for as long as its user said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from spotguard.domain.agents import KillLevel


@dataclass(frozen=True)
class StandbyEar:
    """A standby: when the server heard it last, and of when its newest complete pass is; None: none has come."""

    heard_at: datetime | None
    pass_at: datetime | None


@dataclass(frozen=True)
class FenceFacts:
    """`fence_after` None: its user has not asked for it. `impaired_since`: EC2's status checks; None: they pass."""

    now: datetime
    fence_after: timedelta | None
    enabled: bool
    kill: KillLevel
    frozen: bool  # many fell silent together: it may be us (ruling B10a)
    is_moving: bool
    heard_at: datetime | None
    impaired_since: datetime | None
    standbys: tuple[StandbyEar, ...]


HEARD_WITHIN = timedelta(minutes=2)
"""A standby that is silent itself bears witness to nothing."""


def why_not(facts: FenceFacts) -> str | None:
    """The first reason to leave it alone; None: end it."""
    return next((sentence for sentence, holds in _RULES if holds(facts)), None)


def _lasts(since: datetime | None, facts: FenceFacts) -> bool:
    return since is not None and facts.fence_after is not None and facts.now - since >= facts.fence_after


def _has_lost_it(ear: StandbyEar, facts: FenceFacts) -> bool:
    lives = ear.heard_at is not None and facts.now - ear.heard_at <= HEARD_WITHIN
    return lives and _lasts(ear.pass_at, facts)


_RULES: tuple[tuple[str, Callable[[FenceFacts], bool]], ...] = (
    ("its user has not asked for it", lambda facts: facts.fence_after is None),
    ("its user has disabled it", lambda facts: not facts.enabled),
    ("the kill switch stops everything", lambda facts: facts.kill is KillLevel.ALL),
    ("many fell silent together: it may be the server that is cut off", lambda facts: facts.frozen),
    ("a move is under way", lambda facts: facts.is_moving),
    ("the server has heard it within that time", lambda facts: not _lasts(facts.heard_at, facts)),
    (
        "EC2's status checks have not failed for that long",
        lambda facts: not _lasts(facts.impaired_since, facts),
    ),
    ("no standby is left to say that it has lost it", lambda facts: not facts.standbys),
    (
        "a standby is silent itself, or has had a pass within that time",
        lambda facts: not all(_has_lost_it(ear, facts) for ear in facts.standbys),
    ),
)
