"""What EC2 refuses until a person acts: people hear of it, whatever becomes of the work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from spotguard.coordinator.context import Context, Row
from spotguard.domain.errors import NeedsPerson
from spotguard.domain.ids import AgentId
from spotguard.store import events

TOO_EARLY = frozenset(
    {
        "IncorrectInstanceState",
        "IncorrectState",
        "InvalidAttachment.NotFound",
        "InvalidSnapshot.InUse",
        "VolumeInUse",
    }
)
"""EC2's codes for what another look mends, or a little time: no matter of a person's."""


@contextmanager
def told(ctx: Context, now: datetime, about: Row, agent_id: AgentId) -> Iterator[None]:
    """Around work on the row `about`: its refusal goes on to the caller, and people hear of it."""
    try:
        yield
    except NeedsPerson as error:
        if error.code not in TOO_EARLY:
            tell(ctx, now, about, agent_id, code=error.code, because=str(error))
        raise


def tell(ctx: Context, now: datetime, about: Row, agent_id: AgentId, *, code: str, because: str) -> None:
    """Once an hour for each code: the sentence itself may be another each time (an encoded failure message)."""
    if not ctx.news(about.id, f"refused: {code}", now):
        return
    message, detail = f"EC2 refuses, a person must act: {because}", {"code": code}
    ctx.db.write(
        lambda tx: events.append(tx, now, about.client_id, agent_id, "needs_person", message, detail)
    )
