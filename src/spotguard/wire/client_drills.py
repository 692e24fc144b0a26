"""The client API's rehearsals: what is asked for, what it would be, and what it proved."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from spotguard.domain.drills import DrillKind, DrillStatus
from spotguard.domain.instances import Mode
from spotguard.planning.drills import certificate_text
from spotguard.wire.client import (
    AgentState,
    Given,
    LastDrill,
    Moment,
    Percent,
    RestoreCertificate,
    StandbyCostState,
    Taken,
    Usd,
)
from spotguard.wire.client_controls import MovePreview


class DrillWish(Taken):
    """`dryRun`: only what it would be, or the refusal that it would meet."""

    kind: Literal["failover", "restore"]
    dry_run: Annotated[bool, Field(strict=True)] = False


class LostState(Given):
    """The newest look at what a dead holder's volume has that who serves now lacks or has older.

    `status` `offered`: `volume_id` is compared by path, time and size, and a person may recover by hand until
    `volume_deleted_at`; `failed`: `because` says why not, and nothing that it left is deleted by itself. `volume_id`
    null: it is not known on which volume the state lies. `kept_until`: when SpotGuard deletes the volume; null: it
    is kept until a person deletes it.
    """

    switch_id: str
    volume_id: str | None
    status: str
    files: int | None
    bytes: int | None
    newest_at: Moment | None
    because: str | None
    created_at: Moment
    completed_at: Moment | None
    kept_until: Moment | None
    volume_deleted_at: Moment | None


class AgentDetail(AgentState):
    """One agent, with what a standing replica costs it, and what its last unheard death may have lost."""

    standby_cost: StandbyCostState
    lost_state: LostState | None


class DrillState(Given):
    """A rehearsal. `seconds`: from its start (failover) or its launch (restore) to the first healthy serving or probe;
    `outageSeconds`: in which nobody served. What was not measured is null.
    """

    id: str
    agent_id: str
    kind: DrillKind
    status: DrillStatus
    created_by: str
    created_at: Moment
    deadline_at: Moment
    completed_at: Moment | None
    switch_id: str | None
    replica_id: str | None
    image_id: str | None
    image_made_at: Moment | None
    instance_id: str | None
    launched_at: Moment | None
    healthy_at: Moment | None
    seconds: Percent | None
    outage_seconds: Percent | None
    state_age_seconds: Percent | None
    lost_seconds: Percent | None
    because: str | None


class RestorePreview(Given):
    """What a restore drill would boot, where, and what that costs an hour while it runs."""

    image_id: str
    image_made_at: Moment
    state_age_seconds: Percent
    mode: Mode
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
