"""Duty `sync`: the primary pushes its state to every standby, and after a move back to the old instance; each of them
measures what has arrived and reports it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from spotguard.agent.backoff import Backoff
from spotguard.agent.desk import OK, Desk, NotEnrolled, said_of
from spotguard.domain.errors import ServerAway, StateMissing, SyncFailed
from spotguard.domain.replicas import SyncStatus
from spotguard.ports.workload import Received, SyncTarget
from spotguard.telemetry import get_logger

UNDER_WAY_SECONDS = 1.0
LOOK_SECONDS = 5.0  # a standby at what has arrived
TOLD_AFTER_FAILURES = 8  # in a row: two minutes, as the backoff goes
REPORT_EVERY = timedelta(seconds=60)  # although nothing has changed
LONGEST_LATENCY_MS = 2**31 - 1  # that a report can tell; a longer one is told as that

log = get_logger("agent")


@dataclass(frozen=True)
class Told:
    """What the server heard last, and when."""

    path: str
    status: SyncStatus
    progress: int
    at: datetime


class Sync:
    """One duty with two sides: which one depends on who holds the epoch."""

    def __init__(self, desk: Desk, move_is_open: Callable[[], bool]) -> None:
        self._desk, self._move_is_open = desk, move_is_open
        self._due: dict[str, datetime] = {}
        self._backoffs: dict[str, Backoff] = {}
        self._stuck: dict[str, str | None] = {}
        self.told: Told | None = None
        self._complaint = ""

    def run(self, now: datetime) -> datetime | None:
        if not self._desk.is_enrolled:
            return None  # presence rings when it is
        holds = self._desk.primacy.held is not None
        targets = self._targets() if holds else {}
        if not self._move_is_open():  # a move pushes to a target of its own
            self._desk.ports.sync.keep_only([target.instance_id for target in targets.values()])
        if holds:
            return self._push_all(targets, now)
        path = self._reports_to()
        return None if path is None else self._measure(path, now)

    # the primary's side

    def _push_all(self, targets: Mapping[str, SyncTarget], now: datetime) -> datetime | None:
        if targets and self._move_is_open():
            # it pushes to a target of its own: two passes at once would spoil each other
            return now + timedelta(seconds=self._desk.settings.sync_seconds)
        due = [self._push(role, target, now) for role, target in targets.items()]
        self._stuck = {role: because for role, because in self._stuck.items() if role in targets}
        self._desk.state_stuck = next(filter(None, self._stuck.values()), None)
        return min(due, default=None)

    def _targets(self) -> dict[str, SyncTarget]:
        """By the role for which they are fed."""
        found = {standby.replica_id: standby.target for standby in self._desk.standbys()}
        fallback = self._desk.fallback()
        if fallback is not None:
            found[fallback.switch_id] = fallback.target
        own = self._desk.instance_id
        return {role: target for role, target in found.items() if target.instance_id != own}

    def _push(self, role: str, target: SyncTarget, now: datetime) -> datetime:
        due = self._due.get(role, now)
        if due > now:
            return due
        backoff = self._backoffs.setdefault(role, Backoff())
        try:
            made = self._desk.ports.sync.push(target)
        except SyncFailed as error:
            if not backoff.failures:
                log.warning("sync", standby=target.instance_id, because=str(error))
            due = backoff.failed(now)
            self._stuck[role] = _told_of(error, target, backoff.failures)
        else:
            backoff.worked()
            self._stuck.pop(role, None)
            pause = UNDER_WAY_SECONDS if made is None else self._desk.settings.sync_seconds
            due = now + timedelta(seconds=pause)
        self._due[role] = due
        return due

    # the standby's side

    def _reports_to(self) -> str | None:
        """The old instance of a move is no standby any more, whatever it was before."""
        fallback = self._desk.fallback()
        if fallback is not None and fallback.target.instance_id == self._desk.instance_id:
            return f"switches/{fallback.switch_id}/fallback-status"
        replica_id = self._desk.replica_id()
        return None if replica_id is None else f"replicas/{replica_id}/sync-status"

    def _measure(self, path: str, now: datetime) -> datetime:
        again = now + timedelta(seconds=LOOK_SECONDS)
        received = self._received()
        status = status_of(received, self._desk.settings.highest_lag_seconds)
        progress = int(received.progress_percent)
        told = self.told
        changed = told is None or (told.path, told.status, told.progress) != (path, status, progress)
        if not changed and told is not None and now - told.at < REPORT_EVERY:
            return again
        try:
            reply = self._desk.call(
                "POST", path, report_of(received, status, self._desk.told_as_servers(now))
            )
        except (ServerAway, NotEnrolled):
            return again
        if reply.status in OK:
            self.told = Told(path, status, progress, now)
        return again

    def _received(self) -> Received:
        """What cannot be measured is no longer in sync, whatever was measured before."""
        try:
            return self._desk.ports.sync.received()
        except SyncFailed as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                log.warning("sync not measured", because=self._complaint)
            return Received(0.0, None, None)


def _told_of(error: SyncFailed, target: SyncTarget, failures: int) -> str | None:
    """At once what no later pass mends by itself; else what has not gone by either."""
    if isinstance(error, StateMissing):
        return said_of(error)
    if failures < TOLD_AFTER_FAILURES:
        return None
    return said_of(SyncFailed(f"no pass of its state goes through to {target.instance_id}: {error}"))


def status_of(received: Received, highest_lag_seconds: float) -> SyncStatus:
    """Measured, never assumed: only a complete pass that is young enough is in sync."""
    if received.position is None:
        return SyncStatus.SYNCING if received.progress_percent > 0 else SyncStatus.INITIALIZING
    if received.lag_seconds is None or received.lag_seconds > highest_lag_seconds:
        return SyncStatus.OUT_OF_SYNC
    return SyncStatus.SYNCED


def report_of(received: Received, status: SyncStatus, measured_at: str | None) -> dict[str, Any]:
    """Body of POST sync-status. `measured_at` by the server's clock: the report may reach it late."""
    lag = received.lag_seconds
    return {
        "sync_status": status.value,
        "state_transfer_progress": round(min(100.0, max(0.0, received.progress_percent)), 2),
        "sync_latency_ms": None if lag is None else int(min(lag * 1000, LONGEST_LATENCY_MS)),
        "position": received.position,
        "measured_at": measured_at,
    }
