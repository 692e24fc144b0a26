"""Proposals that wait for a person (autonomy `approve`, ruling B17): how long one stands, when it is made again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from spotguard.domain.decisions import Verdict

STANDS_FOR = timedelta(hours=6)  # nobody has answered by then: what still holds is proposed anew
REJECTED_FOR = timedelta(hours=24)  # who said no is not asked the same again for so long


@dataclass(frozen=True)
class Said:
    """The newest decision of an agent, when the engine would propose the same again."""

    verdict: Verdict
    decided_at: datetime
    rejected_at: datetime | None


def stands_until(verdict: Verdict, decided_at: datetime) -> datetime | None:
    """Until when it may be approved; None: it is not one that waits."""
    return decided_at + STANDS_FOR if verdict is Verdict.AWAIT_APPROVAL else None


def is_due_again(said: Said, now: datetime) -> bool:
    """Whether the same proposal is put to people once more."""
    if said.verdict is Verdict.AWAIT_APPROVAL:
        return now >= said.decided_at + STANDS_FOR
    if said.rejected_at is not None:
        return now >= said.rejected_at + REJECTED_FOR
    return said.verdict is Verdict.MOVE  # approved, and its move came to nothing
