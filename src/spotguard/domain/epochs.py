"""Primacy: at most one instance of a logical agent serves at any moment (rulings B4 to B4b).

An epoch is a number that is granted once. It ends only by a proof; never by the passing of time.
"""

from __future__ import annotations

from enum import StrEnum

from spotguard.domain.life import Life


class Proof(StrEnum):
    """Why the former epoch is over. There is no member for silence."""

    FIRST = "first"  # nobody held one before
    RELEASED = "released"  # the holder let go, durably, before it said so
    DEAD = "dead"  # EC2 says terminated (stopped, if on-demand and without hibernation)
    VANISHED = "vanished"  # once running, launched over an hour ago, absent in three looks over five minutes
    VOLUME_MOVED = "volume-moved"  # its only state volume is attached to the new holder


class GrantStatus(StrEnum):
    """The life of one epoch."""

    HELD = "held"
    ENDED = "ended"


GRANT_LIFE = Life("grant", {GrantStatus.HELD: frozenset({GrantStatus.ENDED}), GrantStatus.ENDED: frozenset()})
