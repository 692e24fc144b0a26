"""What every duty is given; and how the failure of one item leaves the rest alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from spotguard.domain.agents import PROVEN_CHECKS
from spotguard.domain.errors import CloudError
from spotguard.domain.ids import ClientId
from spotguard.domain.models import STALE_DAYS
from spotguard.domain.tags import CLIENT_TAG, MANAGED_TAG
from spotguard.models.shelf import Shelf
from spotguard.planning.presence import still_listening
from spotguard.ports.clock import Clock
from spotguard.ports.cloud import Cloud
from spotguard.ports.traffic import Traffic
from spotguard.ports.wakeup import Wakeup
from spotguard.store.database import Database
from spotguard.telemetry import get_logger

T = TypeVar("T")
REST = timedelta(seconds=60)
LANE = timedelta(seconds=15)  # longer than a pass: a rescue that still waits asks again, and keeps it
Row = sa.Row[Any]
Clouds = Callable[[ClientId], Cloud | None]
Traffics = Callable[[ClientId], Traffic | None]
Failed = Callable[[str, str | None, Exception], None]
log = get_logger("coordinator")


def logged(duty: str, item: str | None, error: Exception) -> None:
    """What a duty raised that nobody foresaw, of one item or (None) as a whole: the next pass tries it again."""
    log.error("a duty failed", duty=duty, item=item, exc_info=error)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def next_multiple(now: datetime, span: timedelta) -> datetime:
    """The first whole multiple of the span after `now`: what waits for one moment or another is seen to in one pass."""
    return now - (now - _EPOCH) % span + span


@dataclass(frozen=True)
class CoordinatorSettings:
    """How this coordinator works. Seconds are those between two runs of a duty."""

    installation: str = "spotguard"
    public_url: str = "http://127.0.0.1:8000"
    name: str = "coordinator-1"
    pass_seconds: float = 10
    presence_seconds: float = 20
    storage_seconds: float = 120
    price_seconds: float = 600  # well below the half hour for which a fetched price stands before a report
    quota_seconds: float = 600
    decide_seconds: float = 120  # prices are fetched every ten minutes, and told every minute at most
    ledger_seconds: float = 900
    invariants_seconds: float = 300
    orphans_seconds: float = 120
    healthy_checks: int = PROVEN_CHECKS
    enrol_within_seconds: float = 900
    most_deletions_per_pass: int = 10
    model_folder: Path | None = None  # None: learned models are not read
    model_stale_days: int = STALE_DAYS


@dataclass
class Context:
    """Shared by the duties of one coordinator. Nothing in it is truth: that is in the rows and in EC2."""

    db: Database
    clouds: Clouds
    clock: Clock
    settings: CoordinatorSettings
    wakeup: Wakeup
    traffics: Traffics
    failed: Failed = logged
    again_at: list[datetime] = field(default_factory=list)  # a duty wants to look before the next pass
    told: dict[tuple[str, str], datetime] = field(default_factory=dict)
    resting: dict[str, datetime] = field(default_factory=dict)
    lane_until: dict[ClientId, datetime] = field(default_factory=dict)
    listens_since: datetime | None = None  # this process was away before; None: it never was
    waits_since: datetime | None = None  # the same, for whoever was to do something meanwhile
    shelf: Shelf = field(init=False)

    def __post_init__(self) -> None:
        told = self.settings
        self.shelf = Shelf(told.model_folder, timedelta(days=told.model_stale_days))

    def soon(self, now: datetime, seconds: float) -> None:
        self.again_at.append(now + timedelta(seconds=max(seconds, 1.0)))

    def maker(self, client_id: str) -> dict[str, str]:
        """The tags on all that this installation makes for a client."""
        return {MANAGED_TAG: self.settings.installation, CLIENT_TAG: client_id}

    def keep_lane(self, client_id: ClientId, now: datetime) -> None:
        """EC2 throttles a rescue of this client: the few launches that it allows are the rescues' for a while."""
        self.lane_until[client_id] = now + LANE

    def lane_is_kept(self, client_id: ClientId, now: datetime) -> bool:
        until = self.lane_until.get(client_id)
        return until is not None and now < until

    def was_away(self, now: datetime) -> bool:
        """Whoever was to speak by now may have had nobody to speak to, and is listened to for a while first."""
        return still_listening(self.waits_since, now) is not None

    def rest(self, row_id: str, now: datetime, until: datetime) -> None:
        """Nothing can be done for this row before then, unless EC2 or a signal says so; a minute at most."""
        self.resting[row_id] = min(until, next_multiple(now, REST))

    def awake(self, row_ids: Iterable[str], now: datetime) -> list[str]:
        """Those that do not rest."""
        return [row_id for row_id in row_ids if self.resting.get(row_id, now) <= now]

    def news(self, subject: str, what: str, now: datetime) -> bool:
        """True when this was not told of this subject within the hour: a state is an event only when it begins."""
        if len(self.told) > 10_000:  # noqa: PLR2004 - forgetting only makes it told again
            self.told.clear()
        last = self.told.get((subject, what))
        if last is not None and now - last < timedelta(hours=1):
            return False
        self.told[subject, what] = now
        return True

    def each(self, duty: str, items: Iterable[T], work: Callable[[T], bool | None]) -> int:
        """Work on every item; one item's failure is logged and the rest goes on (invariant 14). How many changed."""
        changed = 0
        for item in items:
            try:
                changed += bool(work(item))
            except CloudError as error:
                log.warning("EC2 did not do it", duty=duty, item=_name(item), code=error.code)
            except Exception as error:  # noqa: BLE001 - one poisoned row never stops the others
                self.failed(duty, _name(item), error)
        return changed


def _name(item: object) -> str:
    return str(getattr(item, "id", item))


class Beat:
    """A duty's own, slower rhythm. `due` None: at once, or never yet asked for.

    Beats fall on the whole multiples of their span: those of several duties come in one pass, and leave the passes
    between them with nothing to do.
    """

    def __init__(self, seconds: float) -> None:
        self._span = timedelta(seconds=seconds)
        self.due: datetime | None = None

    def is_due(self, now: datetime) -> bool:
        """True once per span."""
        if self.due is not None and now < self.due:
            return False
        self.due = next_multiple(now, self._span)
        return True

    def hurry(self) -> None:
        self.due = None
