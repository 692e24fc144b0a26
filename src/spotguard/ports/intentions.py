"""Intentions: what costs money is written down with its token before EC2 hears of it (invariant 6).

Whoever keeps them (the coordinator's database, the agent's disk) implements `Intentions`; whoever acts on them only
needs to know which attempts there have been and how each ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from spotguard.domain.ids import ClientToken
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.ports.shape import Shape

TOKEN_TAG = "spotguard:token"  # noqa: S105 - the name of a tag: an instance is found by it when its token is not


class IntentionKind(StrEnum):
    """`intentions.kind`: what is to be made."""

    LAUNCH = "launch"
    FLEET = "fleet"
    IMAGE = "image"
    SNAPSHOT = "snapshot"
    VOLUME = "volume"


class IntentionStatus(StrEnum):
    """`intentions.status`. Open means: EC2 may have heard of it, and its answer is not written down."""

    OPEN = "open"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended: the resource that came of it, or EC2's code for why none did."""

    status: IntentionStatus
    resource_id: str | None = None
    error_code: str | None = None


@dataclass(frozen=True)
class Intention:
    """One attempt. `seed` is the switch or replica that it is for; pool and mode are None for a fleet."""

    token: ClientToken
    kind: IntentionKind
    seed: str
    purpose: str
    attempt: int
    opened_at: datetime
    pool: Pool | None = None
    mode: Mode | None = None
    usd_per_hour: Decimal | None = None  # what it reserves of a spend cap while it is open
    shape: Shape | None = None  # of what it stands in for: the same token is asked with the same parameters
    outcome: Outcome | None = None

    @property
    def status(self) -> IntentionStatus:
        return IntentionStatus.OPEN if self.outcome is None else self.outcome.status


class Intentions(Protocol):
    """The record of attempts. Every call is durable when it returns."""

    def of(self, seed: str) -> Sequence[Intention]:
        """Every attempt ever opened for this switch or replica, oldest first."""

    def open(self, intention: Intention) -> None:
        """Written down before EC2 is called. The same token again is harmless.

        `Refused` when a spend cap does not allow it: then nothing was written, and EC2 must not be called.
        """

    def close(self, token: ClientToken, outcome: Outcome) -> None:
        """The answer. The same again is harmless; a closed attempt is never opened again."""
