"""The world that the parts share: its time, its timetable, its dice, its records."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from random import Random

from spotguard.cloud.simulated.physics import Physics, Span
from spotguard.cloud.simulated.state import Happening, HappeningKind, Image, Machine, Snapshot, Volume
from spotguard.cloud.simulated.types import DEFAULT_GROUP
from spotguard.domain.clock import utc
from spotguard.domain.errors import NotVisible
from spotguard.domain.ids import ImageId, InstanceId, SnapshotId, VolumeId
from spotguard.ports.clock import Clock

Action = Callable[[], None]


class World:
    """`now` is the whole second being lived: while the past is caught up with, that of the event."""

    def __init__(self, clock: Clock, seed: int, physics: Physics) -> None:
        self._clock = clock
        self._seed = seed
        self._timetable: list[tuple[datetime, int, Action]] = []
        self._order = count()
        self._ids = self.dice("ids")
        self._durations = self.dice("durations")
        self.physics = physics
        self.hidden_seconds = physics.visible_after_seconds
        self.start = self.now = _whole(utc(clock.now()))
        self.machines: dict[InstanceId, Machine] = {}
        self.shown: dict[InstanceId, Machine] = {}  # those that EC2 has not forgotten
        self.volumes: dict[VolumeId, Volume] = {}
        self.snapshots: dict[SnapshotId, Snapshot] = {}
        self.images: dict[ImageId, Image] = {}
        self.groups = {DEFAULT_GROUP}  # security groups
        self.happenings: list[Happening] = []

    def advance(self) -> None:
        """Live through everything that is due, in order."""
        now = self._clock.now()
        timetable = self._timetable
        while timetable and timetable[0][0] <= now:
            due, _, action = heappop(timetable)
            self.now = max(self.now, due)
            action()
        self.now = now if not now.microsecond else _whole(now)

    def next_event_at(self) -> datetime | None:
        return self._timetable[0][0] if self._timetable else None

    def at(self, when: datetime, action: Action) -> None:
        heappush(self._timetable, (when, next(self._order), action))

    def plan(self, machine: Machine, when: datetime, action: Action) -> None:
        """As `at`, and noted with the machine: its metadata may change then."""
        machine.due = [at for at in machine.due if at > self.now]
        machine.due.append(when)
        self.at(when, action)

    def after(self, duration: Span, action: Action) -> None:
        self.at(self.later(duration), action)

    def later(self, duration: Span) -> datetime:
        return self.now + timedelta(seconds=self._durations.randint(*duration))

    def visible_at(self) -> datetime:
        """When a thing made now shows."""
        return self.later(self.hidden_seconds)

    def dice(self, purpose: str) -> Random:
        """A stream of its own for each purpose, so that a call here never changes the weather there."""
        return Random(f"{self._seed}:{purpose}")

    def new_id(self, prefix: str) -> str:
        return f"{prefix}-{self._ids.getrandbits(68):017x}"

    def happened(self, kind: HappeningKind, machine: Machine) -> None:
        self.happenings.append(Happening(self.now, kind, machine.instance_id))

    def forget(self, machine: Machine) -> None:
        del self.shown[machine.instance_id]

    def machine(self, instance_id: InstanceId) -> Machine:
        found = self.shown.get(instance_id)
        if found is None or found.visible_at > self.now:
            raise NotVisible("InvalidInstanceID.NotFound", instance_id)
        return found

    def volume(self, volume_id: VolumeId) -> Volume:
        found = self.volumes.get(volume_id)
        if found is None or found.visible_at > self.now or found.deleted_at is not None:
            raise NotVisible("InvalidVolume.NotFound", volume_id)
        return found

    def snapshot(self, snapshot_id: SnapshotId) -> Snapshot:
        found = self.snapshots.get(snapshot_id)
        gone = found is None or found.deleted_at is not None or found.is_public
        if found is None or gone or found.visible_at > self.now:
            raise NotVisible("InvalidSnapshot.NotFound", snapshot_id)
        return found

    def image(self, image_id: ImageId) -> Image:
        found = self.images.get(image_id)
        if found is None or found.visible_at > self.now:
            raise NotVisible("InvalidAMIID.NotFound", image_id)
        if found.deregistered:
            raise NotVisible("InvalidAMIID.Unavailable", f"{image_id} was deregistered")
        return found


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
