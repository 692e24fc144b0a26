"""Who is offline (B16), and when silence is so wide that voluntary action freezes (B10a)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from spotguard.domain.agents import OFFLINE_AFTER
from spotguard.domain.ids import AgentId

FREEZE_FROM_AGENTS = 5
FREEZE_SHARE = 3  # a third
REPLACED_AFTER = timedelta(minutes=5)
"""A standby that is not heard for so long is replaced: longer than a reboot, and shorter than what a storm leaves.

It only stops counting as ready after `OFFLINE_AFTER`: to replace it is to sync all of the state anew.
"""
TOGETHER = timedelta(minutes=5)  # silences that begin within this time count as one


@dataclass(frozen=True)
class Presence:
    """An agent's serving instance: when it was last heard of."""

    agent_id: AgentId
    last_heard_at: datetime | None
    since: datetime  # of its registration or its newest grant: it cannot have been heard of before
    listened_since: datetime | None = None  # nobody could be heard before; None: somebody always listened


def is_heard(presence: Presence, now: datetime) -> bool:
    return now - _heard_at(presence) <= OFFLINE_AFTER


def is_silent(presence: Presence, now: datetime) -> bool:
    """Not heard for long by somebody who listened: a server that was away itself calls nobody silent."""
    listened = presence.listened_since
    has_listened = listened is None or now - listened > OFFLINE_AFTER
    return has_listened and not is_heard(presence, now)


def frozen_because(fleet: Sequence[Presence], now: datetime) -> str | None:
    """One client's agents: None, or why nothing voluntary is done for any of them. Confirmed deaths go on."""
    if len(fleet) < FREEZE_FROM_AGENTS:
        return None
    silences = sorted(_heard_at(p) for p in fleet if is_silent(p, now))
    together = max((_within(silences, first) for first in silences), default=0)
    if together * FREEZE_SHARE < len(fleet):
        return None
    return (
        f"{together} of {len(fleet)} agents fell silent together: voluntary action is frozen, people are told"
    )


def _heard_at(presence: Presence) -> datetime:
    """A standby may have been heard long before its grant: that silence was not a primary's."""
    return max(presence.since, presence.last_heard_at or presence.since)


def _within(silences: Sequence[datetime], first: datetime) -> int:
    return sum(1 for at in silences if first <= at <= first + TOGETHER)
