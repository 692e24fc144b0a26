"""Rolling restore points: when the next image of a serving instance is due, and which old ones may go.

The newest complete one is never deleted, and an older one only when enough newer ones are complete: a restore point
that is still being made, that came to nothing, or that lacks a volume, replaces none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from spotguard.domain.ids import ImageId

MAKING_AT_MOST = timedelta(hours=24)
"""An image may take hours (EC2 user guide); one that is pending for longer holds up the next no more."""


@dataclass(frozen=True)
class RestorePoint:
    """One image of an agent. `complete` None: still being made; False: EC2 gave it up. `needed`: a machine was made
    from it, or may be at this moment: the next standby or rescue is launched from the same image. `is_partial`: it was
    made while a volume of its machine was attached to nobody.
    """

    image_id: ImageId
    made_at: datetime
    complete: bool | None
    needed: bool = False
    is_partial: bool = False

    @property
    def is_whole(self) -> bool:
        return self.complete is True and not self.is_partial


@dataclass(frozen=True)
class MakePoint:
    """An image of the serving instance is due."""

    because: str


@dataclass(frozen=True)
class DropPoint:
    """This image may be deleted with its snapshots."""

    image_id: ImageId
    because: str


RestorePlan = MakePoint | DropPoint


def plan_restore_points(
    points: Sequence[RestorePoint], now: datetime, every: timedelta, keep: int
) -> tuple[RestorePlan, ...]:
    """At most one to make; all that may go. `keep` whole ones stay, at least one, and as many of those that lack a
    volume, until there are that many newer whole ones.
    """
    keep = max(keep, 1)
    done = sorted((p for p in points if p.complete), key=lambda p: p.made_at, reverse=True)
    pending = [p for p in points if p.complete is None and now - p.made_at < MAKING_AT_MOST]
    drops = [
        *(DropPoint(p.image_id, "EC2 could not make it") for p in points if p.complete is False),
        *(
            DropPoint(p.image_id, f"{keep} newer restore points are complete")
            for at, p in enumerate(done)
            if not p.needed and _is_outdated(p, done[:at], keep)
        ),
    ]
    newest = max((p.made_at for p in (*pending, *done)), default=None)
    if pending or (newest is not None and now - newest < every):
        return tuple(drops)
    because = (
        "there is no restore point yet"
        if newest is None
        else f"the newest restore point is {(now - newest).total_seconds() / 3600:.1f} h old"
    )
    return (MakePoint(because), *drops)


def _is_outdated(point: RestorePoint, newer: Sequence[RestorePoint], keep: int) -> bool:
    whole = sum(one.is_whole for one in newer)
    return whole >= keep or (point.is_partial and len(newer) - whole >= keep)
