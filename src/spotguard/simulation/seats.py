"""The coordinators of a world: each sits in a seat, may die at any effect, and is followed by a new process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from spotguard.coordinator.context import Failed, logged
from spotguard.coordinator.coordinator import Coordinator, CoordinatorSettings
from spotguard.planning.invariants import Breach
from spotguard.ports.clock import Clock
from spotguard.ports.cloud import Cloud
from spotguard.ports.traffic import Traffic
from spotguard.ports.wakeup import Wakeup
from spotguard.simulation.process import RESTART_SECONDS
from spotguard.simulation.stillness import Rest, Stillness
from spotguard.simulation.trouble import CLOUD_EFFECTS, TRAFFIC_EFFECTS, Mortal, ProcessDied, Trouble
from spotguard.simulation.troubled_database import MortalDatabase
from spotguard.store.database import Database


@dataclass(frozen=True)
class Seating:
    """What a coordinator's process is started with.

    `trouble` None: it never dies. `stillness` None: every pass runs. `failed` hears what a duty raises.
    """

    db: Database
    cloud: Cloud | None
    clock: Clock
    wakeup: Wakeup
    settings: CoordinatorSettings
    traffic: Traffic | None = None
    trouble: Trouble | None = None
    stillness: Stillness | None = None
    failed: Failed = logged


class Seat:
    """One coordinator process after the other. What one of them found broken is kept beyond its death."""

    def __init__(self, seating: Seating) -> None:
        self._seating = seating
        self._breaches: list[Breach] = []
        self._checked = 0
        self._rest: Rest | None = None
        self.coordinator = self._started()

    def run_pass(self, now: datetime) -> datetime:
        """A pass, or a part of one, or none where it would repeat the last; when the next is due."""
        trouble = self._seating.trouble
        if trouble is not None and trouble.frozen_until is not None and trouble.frozen_until > now:
            return trouble.frozen_until
        stillness = self._seating.stillness
        if stillness is not None and self._rest is not None and stillness.repeats(self._rest, now):
            return now + timedelta(seconds=self._seating.settings.pass_seconds)
        self._rest = None
        try:
            report = self.coordinator.run_pass()
        except ProcessDied:
            self._breaches += self.coordinator.invariants.broken
            self._checked += self.coordinator.invariants.checked
            self.coordinator = self._started()
            return now + timedelta(seconds=RESTART_SECONDS)
        self._rest = None if stillness is None else stillness.after(self.coordinator, report)
        return report.next_due

    def stir(self) -> None:
        """It was called: the next pass runs."""
        self._rest = None

    @property
    def breaches(self) -> list[Breach]:
        return [*self._breaches, *self.coordinator.invariants.broken]

    @property
    def checked(self) -> int:
        return self._checked + self.coordinator.invariants.checked

    def _started(self) -> Coordinator:
        seating, trouble = self._seating, self._seating.trouble
        cloud: Any = seating.cloud
        traffic: Any = seating.traffic
        db = seating.db
        if trouble is not None:
            cloud, db = Mortal(cloud, trouble, CLOUD_EFFECTS), MortalDatabase(db, trouble)
            traffic = traffic and Mortal(traffic, trouble, TRAFFIC_EFFECTS)
        clouds: Callable[[object], Any] = lambda _client: cloud  # noqa: E731
        traffics: Callable[[object], Any] = lambda _client: traffic  # noqa: E731
        return Coordinator(
            db, clouds, seating.clock, seating.settings, seating.wakeup, traffics, seating.failed
        )
