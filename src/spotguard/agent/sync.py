"""Duty `sync`: the primary pushes its state to every standby; a standby measures what has arrived and reports it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from spotguard.agent.backoff import Backoff
from spotguard.agent.desk import OK, Desk, NotEnrolled, Standby
from spotguard.domain.errors import ServerAway, SyncFailed
from spotguard.domain.replicas import SyncStatus
from spotguard.ports.workload import Received
from spotguard.telemetry import get_logger

UNDER_WAY_SECONDS = 1.0
LOOK_SECONDS = 5.0  # a standby at what has arrived
REPORT_EVERY = timedelta(seconds=60)  # although nothing has changed

log = get_logger("agent")


@dataclass(frozen=True)
class Told:
    """What the server heard last, and when."""

    status: SyncStatus
    progress: int
    at: datetime


class Sync:
    """One duty with two sides: which one depends on who holds the epoch."""

    def __init__(self, desk: Desk, move_is_open: Callable[[], bool]) -> None:
        self._desk, self._move_is_open = desk, move_is_open
        self._due: dict[str, datetime] = {}
        self._backoffs: dict[str, Backoff] = {}
        self._told: Told | None = None

    def run(self, now: datetime) -> datetime | None:
        if not self._desk.is_enrolled:
            return None  # presence rings when it is
        if self._desk.primacy.held is not None:
            return self._push_all(now)
        replica_id = self._desk.replica_id()
        return None if replica_id is None else self._measure(replica_id, now)

    # the primary's side

    def _push_all(self, now: datetime) -> datetime | None:
        own = self._desk.instance_id
        standbys = [s for s in self._desk.standbys() if s.target.instance_id != own]
        if not standbys:
            return None
        if self._move_is_open():  # which pushes to its own target; two passes at once would spoil each other
            return now + timedelta(seconds=self._desk.settings.sync_seconds)
        return min(self._push(standby, now) for standby in standbys)

    def _push(self, standby: Standby, now: datetime) -> datetime:
        due = self._due.get(standby.replica_id, now)
        if due > now:
            return due
        backoff = self._backoffs.setdefault(standby.replica_id, Backoff())
        try:
            made = self._desk.ports.sync.push(standby.target)
        except SyncFailed as error:
            if not backoff.failures:
                log.warning("sync", standby=standby.target.instance_id, because=str(error))
            due = backoff.failed(now)
        else:
            backoff.worked()
            pause = UNDER_WAY_SECONDS if made is None else self._desk.settings.sync_seconds
            due = now + timedelta(seconds=pause)
        self._due[standby.replica_id] = due
        return due

    # the standby's side

    def _measure(self, replica_id: str, now: datetime) -> datetime:
        again = now + timedelta(seconds=LOOK_SECONDS)
        received = self._received()
        status = status_of(received, self._desk.settings.highest_lag_seconds)
        progress = int(received.progress_percent)
        told = self._told
        changed = told is None or (told.status, told.progress) != (status, progress)
        if not changed and told is not None and now - told.at < REPORT_EVERY:
            return again
        try:
            reply = self._desk.call("POST", f"replicas/{replica_id}/sync-status", report_of(received, status))
        except (ServerAway, NotEnrolled):
            return again
        if reply.status in OK:
            self._told = Told(status, progress, now)
        return again

    def _received(self) -> Received:
        """What cannot be measured is no longer in sync, whatever was measured before."""
        try:
            return self._desk.ports.sync.received()
        except SyncFailed as error:
            log.warning("sync not measured", because=str(error))
            return Received(0.0, None, None)


def status_of(received: Received, highest_lag_seconds: float) -> SyncStatus:
    """Measured, never assumed: only a complete pass that is young enough is in sync."""
    if received.position is None:
        return SyncStatus.SYNCING if received.progress_percent > 0 else SyncStatus.INITIALIZING
    if received.lag_seconds is None or received.lag_seconds > highest_lag_seconds:
        return SyncStatus.OUT_OF_SYNC
    return SyncStatus.SYNCED


def report_of(received: Received, status: SyncStatus) -> dict[str, Any]:
    """Body of POST sync-status."""
    lag = received.lag_seconds
    return {
        "sync_status": status.value,
        "state_transfer_progress": round(min(100.0, max(0.0, received.progress_percent)), 2),
        "sync_latency_ms": None if lag is None else int(lag * 1000),
        "position": received.position,
    }
