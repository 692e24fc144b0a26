"""Who is offline (B16), and when silence is so wide that voluntary action freezes (B10a)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from spotguard.domain.agents import OFFLINE_AFTER
from spotguard.domain.ids import AgentId

FREEZE_FROM_AGENTS = 5
FREEZE_SHARE = 3  # a third
REPLACED_AFTER = timedelta(minutes=5)
"""A standby that is not heard for so long is replaced: longer than a reboot, and shorter than what a storm leaves.

It only stops counting as ready after `OFFLINE_AFTER`: to replace it is to sync all of the state anew.
"""
UNMEASURED_AFTER = timedelta(minutes=3)
"""A standby's agent tells every minute what has arrived: one that is heard, and has not for so long, hangs there."""

DEAF_AFTER = timedelta(minutes=1)
"""An agent whose registration's answer was lost asks again after a second, then after twice as long each time: who has
heard none for so long hears nothing.
"""

TOGETHER = timedelta(minutes=5)  # silences that begin within this time count as one


@dataclass(frozen=True)
class Listening:
    """Since when a process hears agents without a gap, and when it was last known to be there; None: it is away."""

    since: datetime
    present_at: datetime | None

    @staticmethod
    def begun(now: datetime) -> Listening:
        return Listening(now, now)

    def at(self, now: datetime, longest: timedelta) -> Listening:
        """Seen again. Longer than `longest` away, or with a clock that was stepped back, it begins anew."""
        was_there = self.present_at is not None and abs(now - self.present_at) <= longest
        return Listening(self.since if was_there else now, now)


@dataclass(frozen=True)
class Presence:
    """An agent's serving instance: when it was last heard of."""

    agent_id: AgentId
    last_heard_at: datetime | None
    since: datetime  # of its registration or its newest grant: it cannot have been heard of before
    listened_since: datetime | None = None  # nobody could be heard before; None: somebody always listened


class Heard(StrEnum):
    """What is known of the voice of a serving instance."""

    HEARD = "heard"
    SILENT = "silent"
    UNKNOWN = "unknown"  # not heard, by a server that was away itself and listens again


def heard(presence: Presence, now: datetime, *, was_silent: bool) -> Heard:
    """`was_silent`: it was told to be so before; an absence of the server makes nobody heard."""
    if is_heard(presence, now):
        return Heard.HEARD
    return Heard.SILENT if was_silent or is_silent(presence, now) else Heard.UNKNOWN


def is_heard(presence: Presence, now: datetime) -> bool:
    return now - _heard_at(presence) <= OFFLINE_AFTER


def is_silent(presence: Presence, now: datetime) -> bool:
    """Not heard for long by somebody who listened: a server that was away itself calls nobody silent."""
    return still_listening(presence.listened_since, now) is None and not is_heard(presence, now)


def still_listening(since: datetime | None, now: datetime) -> datetime | None:
    """Until when a server that was away itself calls nobody silent; None: it has listened for long enough."""
    return None if since is None or now - since > OFFLINE_AFTER else since + OFFLINE_AFTER


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
