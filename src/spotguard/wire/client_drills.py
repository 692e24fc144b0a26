"""The client API's rehearsals: what is asked for, what it would be, and what it proved."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from spotguard.planning.drills import certificate_text
from spotguard.wire.client import (
    DrillState,
    Given,
    LastDrill,
    Moment,
    Percent,
    RestoreCertificate,
    Taken,
    Usd,
)
from spotguard.wire.client_controls import MovePreview


class DrillWish(Taken):
    """`dryRun`: only what it would be, or the refusal that it would meet."""

    kind: Literal["failover", "restore"]
    dry_run: Annotated[bool, Field(strict=True)] = False


class RestorePreview(Given):
    """What a restore drill would boot, where, and what that costs an hour while it runs."""

    image_id: str
    image_made_at: Moment
    state_age_seconds: Percent
    mode: str
    pool: str
    usd_per_hour: Usd | None
    quarantine_group: str | None
    most_seconds: int


class DrillAnswer(Given):
    """`drill`: what has begun; null for a dry run, which has `move` (failover) or `restore` instead."""

    dry_run: bool
    drill: DrillState | None = None
    move: MovePreview | None = None
    restore: RestorePreview | None = None


def certificate_of(row: Any, now: datetime) -> RestoreCertificate | None:
    """From the newest restore drill that is over; None: there was none."""
    if row is None:
        return None
    return RestoreCertificate(
        drill_id=row.id,
        proven=row.status == "passed",
        at=row.completed_at,
        age_seconds=(now - row.completed_at).total_seconds(),
        seconds=row.seconds,
        state_age_seconds=row.state_age_seconds,
        image_id=row.image_id,
        because=row.because,
        text=certificate_text(
            passed=row.status == "passed",
            age=now - row.completed_at,
            seconds=row.seconds,
            state_age_seconds=row.state_age_seconds,
            because=row.because,
        ),
    )


def last_of(row: Any) -> LastDrill | None:
    """From the newest failover drill that is over."""
    if row is None:
        return None
    return LastDrill(
        drill_id=row.id,
        passed=row.status == "passed",
        at=row.completed_at,
        seconds=row.seconds,
        outage_seconds=row.outage_seconds,
        because=row.because,
    )
