"""Passes that could only repeat the last one are left out: the proof, from what a pass looks at.

A coordinator that found nothing to do does nothing until one of these changes: the rows that its agenda is made of,
what EC2 shows of instances, or the time, at moments that the rows and its own rhythms name. All are compared; whatever
is not known to rest is not left out. Columns that only heartbeats and sync reports write count by their due moments.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from spotguard.cloud.simulated.ec2 import SimulatedEc2
from spotguard.coordinator.agenda import Work
from spotguard.coordinator.context import Beat
from spotguard.coordinator.coordinator import Coordinator, PassReport
from spotguard.domain.agents import OFFLINE_AFTER
from spotguard.domain.commands import OPEN_COMMAND
from spotguard.domain.epochs import GrantStatus
from spotguard.domain.instances import InstanceState
from spotguard.domain.replicas import ReplicaStatus
from spotguard.planning.presence import REPLACED_AFTER, UNMEASURED_AFTER
from spotguard.simulation.troubled_database import TroubledDatabase
from spotguard.store.prepared import Prepared
from spotguard.store.tables import (
    agents,
    clients,
    commands,
    drills,
    epoch_grants,
    instances,
    probes,
    replica_instances,
    salvages,
    spot_interruption_events,
    storage_resources,
    switch_steps,
    switches,
)

_STANDBYS_ALONE = {Work.REPLICA, Work.STANDING}
_PRESENCE = {"last_heartbeat_at", "updated_at"}
WATCHED: dict[sa.Table, set[str]] = {
    agents: _PRESENCE,
    clients: set(),
    commands: set(),
    drills: set(),
    epoch_grants: set(),
    instances: _PRESENCE | {"healthy_streak", "seen_at", "metered_until"},
    probes: set(),
    salvages: set(),
    replica_instances: {"state_transfer_progress", "sync_latency_ms", "position", "synced_at", "reported_at"},
    spot_interruption_events: set(),
    storage_resources: set(),
    switch_steps: set(),
    switches: set(),
}
"""The tables of the agenda, each with the columns whose change alone is no news to it."""

_primary = instances.alias("primary")
_HEARD = Prepared(
    sa.select(
        sa.func.min(instances.c.last_heartbeat_at, type_=instances.c.last_heartbeat_at.type).label("at")
    )
    .select_from(instances.join(epoch_grants, epoch_grants.c.instance_id == instances.c.id))
    .where(epoch_grants.c.status == GrantStatus.HELD.value)
)
_EXPIRES = Prepared(
    sa.select(sa.func.min(commands.c.expires_at, type_=commands.c.expires_at.type).label("at")).where(
        commands.c.status.in_([sa.literal_column(f"'{state.value}'") for state in sorted(OPEN_COMMAND)])
    )
)
_STANDBYS = Prepared(
    sa.select(
        replica_instances.c.status,
        replica_instances.c.synced_at,
        replica_instances.c.reported_at,
        instances.c.last_heartbeat_at,
        _primary.c.heard_since,
    )
    .join(instances, instances.c.id == replica_instances.c.instance_id)
    .join(epoch_grants, epoch_grants.c.held_agent_id == replica_instances.c.agent_id)
    .join(_primary, _primary.c.id == epoch_grants.c.instance_id)
    .where(
        replica_instances.c.is_active,
        instances.c.last_heartbeat_at.is_not(None),
        _primary.c.heard_since.is_not(None),
        _primary.c.last_heartbeat_at >= sa.bindparam("silent"),
    )
)
_NOT_READY = Prepared(
    sa.select(replica_instances.c.id).where(
        replica_instances.c.is_active, replica_instances.c.status != ReplicaStatus.READY.value
    )
)


@dataclass(frozen=True)
class Rest:
    """What a pass that did nothing had seen, and until when nothing can change by itself."""

    until: datetime
    changes: int
    shown: tuple[Any, ...]


class Stillness:
    """Of one database and one EC2, for all coordinators."""

    def __init__(self, db: TroubledDatabase, ec2: SimulatedEc2) -> None:
        self._db, self._ec2 = db, ec2
        self._changes = 0
        _watch(db, self._changed)

    def repeats(self, rest: Rest, now: datetime) -> bool:
        """A pass now would do what the one before `rest` did: nothing."""
        return (
            now < rest.until
            and self._changes == rest.changes
            and not self._ec2.faults.are_active
            and self._shown(now) == rest.shown
        )

    def after(self, coordinator: Coordinator, report: PassReport) -> Rest | None:
        """None: something was done or is under way, and the next pass may find more."""
        now, calm = report.at, coordinator.calm
        if report.counts or coordinator.ctx.again_at or calm is None or self._ec2.faults.are_active:
            return None
        work, calm_until = calm
        if not coordinator.rests(
            {kind: rows for kind, rows in work.items() if kind not in _STANDBYS_ALONE}, now
        ):
            return None
        if _ephemeral(self._ec2):
            return None
        ends = [
            calm_until,
            *_beats(coordinator, now),
            *self._moments(now),
            *self._rests(coordinator, work, now),
        ]
        return Rest(min(ends), self._changes, self._shown(now))

    def _changed(self) -> None:
        self._changes += 1

    def _shown(self, now: datetime) -> tuple[Any, ...]:
        """Equal while Describe shows the same."""
        return tuple(
            (machine.instance_id, machine.metadata_version, machine.view, machine.visible_at <= now)
            for machine in self._ec2.world.shown.values()
        )

    def _moments(self, now: datetime) -> Iterator[datetime]:
        """When a holder or a standby counts as silent, or a command as expired. Heartbeats only put it off."""
        heard = self._db.read(lambda tx: _HEARD.first(tx, {}))
        expires = self._db.read(lambda tx: _EXPIRES.first(tx, {}))
        if heard is not None and heard.at is not None:
            yield heard.at + OFFLINE_AFTER
        if expires is not None and expires.at is not None:
            yield expires.at
        for standby in self._db.read(lambda tx: _STANDBYS.rows(tx, {"silent": now - OFFLINE_AFTER})):
            heard_at = max(standby.last_heartbeat_at, standby.synced_at or standby.last_heartbeat_at)
            since = max(heard_at, standby.heard_since)
            if standby.status == ReplicaStatus.READY:
                yield since + OFFLINE_AFTER
                yield max(standby.reported_at or since, standby.heard_since) + UNMEASURED_AFTER
            yield since + REPLACED_AFTER

    def _rests(
        self, coordinator: Coordinator, work: dict[Work, list[str]], now: datetime
    ) -> Iterator[datetime]:
        """A ready standby is lost only by a change; a move, and a standby beside one, only rests for a while."""
        waiting = bool(work.keys() - _STANDBYS_ALONE)
        if waiting or self._db.read(_some_are_not_ready):
            yield from (coordinator.ctx.resting.get(row, now) for rows in work.values() for row in rows)


def _some_are_not_ready(tx: sa.Connection) -> bool:
    return bool(_NOT_READY.rows(tx, {}))


def _beats(coordinator: Coordinator, now: datetime) -> Iterator[datetime]:
    """The duties' own rhythms. Presence is not among them: what it looks for is in the agenda."""
    for duty in vars(coordinator).values():
        if duty is coordinator.presence or not hasattr(duty, "__dict__"):
            continue
        for beat in vars(duty).values():
            if isinstance(beat, Beat) and beat.due is not None and beat.due > now:
                yield beat.due


def _ephemeral(ec2: SimulatedEc2) -> bool:
    """A running instance whose volume would end with it: observation asks in every look that it be kept."""
    return any(
        machine.state is InstanceState.RUNNING
        and any(volume.delete_on_termination for volume in (machine.view.volumes if machine.view else ()))
        for machine in ec2.world.shown.values()
    )


def _watch(db: TroubledDatabase, changed: Any) -> None:
    """By triggers of this connection, which write nothing: a change that is rolled back counts as well."""
    db.driver.create_function("spotguard_changed", 0, changed)
    for table, silent in WATCHED.items():
        for event in ("INSERT", "DELETE"):
            _trigger(db, table, event, "")
        loud = [column.name for column in table.columns if column.name not in silent]
        differs = " OR ".join(f'OLD."{name}" IS NOT NEW."{name}"' for name in loud)
        _trigger(db, table, "UPDATE", f"WHEN {differs}")


def _trigger(db: TroubledDatabase, table: sa.Table, event: str, when: str) -> None:
    name = f"watch_{table.name}_{event.lower()}"
    db.driver.execute(
        f"CREATE TEMP TRIGGER {name} AFTER {event} ON {table.name} {when} BEGIN SELECT spotguard_changed(); END"
    )
