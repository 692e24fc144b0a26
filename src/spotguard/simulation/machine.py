"""What an agent finds on a simulated machine: its disk, its workload's gate, its state sync."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from spotguard.cloud.simulated.ec2 import SimulatedEc2
from spotguard.domain.errors import GateFailed, SalvageFailed, SyncFailed
from spotguard.domain.ids import InstanceId
from spotguard.domain.instances import GateState, InstanceState
from spotguard.planning.switching import STATE_DEVICE
from spotguard.ports.clock import Clock
from spotguard.ports.salvage import Missing
from spotguard.ports.state import StateSeen
from spotguard.ports.workload import REHEARSAL, Received, SyncPass, SyncTarget
from spotguard.simulation.records import RECORD_BYTES, Records, Register

ROOT_DEVICE = "/dev/xvda"


@dataclass
class Files:
    """Content of a root volume: the agent's small files. An image copies them with the rest (ruling B3)."""

    files: dict[str, bytes] = field(default_factory=dict)

    def fork(self) -> Files:
        return Files(dict(self.files))


class SimulatedDisk:
    """Implements `ports.disk.Disk` on a root volume's content."""

    def __init__(self, content: Files) -> None:
        self._files = content.files

    def read(self, name: str) -> bytes | None:
        return self._files.get(name)

    def replace(self, name: str, content: bytes) -> None:
        self._files[name] = content

    def append(self, name: str, line: bytes) -> None:
        self._files[name] = self._files.get(name, b"") + line

    def remove(self, name: str) -> None:
        self._files.pop(name, None)


def state_of(ec2: SimulatedEc2, instance_id: InstanceId) -> Records | None:
    """The content of its state volume, or None while it does not run or has none."""
    ec2.advance()
    machine = ec2.world.machines.get(instance_id)  # what the guest has, whatever EC2's API says of it
    if machine is None or machine.state is not InstanceState.RUNNING:
        return None
    volume = machine.volumes.get(STATE_DEVICE)
    return volume.content if volume is not None and isinstance(volume.content, Records) else None


def state_volumes_of(ec2: SimulatedEc2, instance_id: InstanceId) -> tuple[str, ...] | None:
    """The id of its state volume, as its guest sees it."""
    machine = ec2.world.machines.get(instance_id)
    volume = None if machine is None else machine.volumes.get(STATE_DEVICE)
    return None if volume is None else (volume.volume_id,)


def state_seen(ec2: SimulatedEc2, instance_id: InstanceId) -> StateSeen | None:
    """The folder of its records, as its guest sees it: there is something in it from the first."""
    there = state_of(ec2, instance_id) is not None
    return StateSeen("/srv", "/srv" if there else "/", is_empty=not there)


def state_missing(ec2: SimulatedEc2, instance_id: InstanceId) -> str | None:
    return None if state_of(ec2, instance_id) is not None else _no_state(instance_id)


def _no_state(instance_id: InstanceId) -> str:
    return f"{instance_id} has no state volume at {STATE_DEVICE}"


class SimulatedGate:
    """Implements `ports.workload.Gate`: open means that the register's client reaches this instance."""

    def __init__(self, ec2: SimulatedEc2, clock: Clock, register: Register, instance_id: InstanceId) -> None:
        self._ec2, self._clock, self._register, self._instance_id = ec2, clock, register, instance_id

    def state(self) -> GateState:
        runs = self._register.is_open(self._instance_id) or self._instance_id in self._register.rehearsing
        return GateState.OPEN if runs else GateState.CLOSED

    def open(self, epoch: int, before: Callable[[], None] | None = None) -> None:
        if self.state() is GateState.OPEN:
            return
        if before is not None:
            before()
        content = state_of(self._ec2, self._instance_id)
        if content is None:
            raise GateFailed(_no_state(self._instance_id))
        if epoch == REHEARSAL:
            self._register.rehearses(self._instance_id)
            return
        self._register.opened(self._instance_id, epoch, self._clock.now(), content)

    def close(self) -> None:
        self._register.rehearsing.discard(self._instance_id)
        self._register.closed(self._instance_id, self._clock.now())

    def healthy(self) -> bool:
        return self.state() is GateState.OPEN and state_of(self._ec2, self._instance_id) is not None


def _note(name: str) -> str:
    return f"inbox/{name}"


@dataclass
class _Pass:
    source: InstanceId
    content: Records
    started_at: datetime
    done_at: datetime
    bytes_sent: int


class SimulatedSalvage:
    """Implements `ports.salvage.Salvage`: each record is a file, written at the moment of its number."""

    def __init__(self, ec2: SimulatedEc2, register: Register, clock: Clock, instance_id: InstanceId) -> None:
        self._ec2, self._register, self._clock, self._instance_id = ec2, register, clock, instance_id

    def compare(self, copy_id: str) -> Missing | None:
        self._ec2.advance()
        machine = self._ec2.world.machines.get(self._instance_id)
        attached = [] if machine is None else list(machine.volumes.values())
        lost = next((v.content for v in attached if v.volume_id == copy_id), None)
        self._register.flush(self._clock.now(), self._instance_id)
        mine = state_of(self._ec2, self._instance_id)
        if mine is None or not isinstance(lost, Records):
            raise SalvageFailed(f"{self._instance_id} has no disk of {copy_id}, or no state")
        count, newest = lost.beyond(mine)
        at = None if newest is None else self._register.written_at(newest)
        return Missing(count, count * RECORD_BYTES, at)


class Fabric:
    """The network between instances: passes under way, by target. Bandwidth and latency are the physics.

    `cut_off`: instances whose line to the others is cut. `arrived` hears to whom a note was delivered.
    """

    def __init__(self, bytes_per_second: float = 200e6, seconds_per_pass: float = 0.5) -> None:
        self.bytes_per_second = bytes_per_second
        self.seconds_per_pass = seconds_per_pass
        self.passes: dict[str, _Pass] = {}
        self.cut_off: set[str] = set()
        self.arrived: Callable[[InstanceId], None] = lambda _instance_id: None

    def require_line(self, one: str, other: str) -> None:
        if not self.cut_off.isdisjoint((one, other)):
            raise SyncFailed(f"there is no way from {one} to {other}")


class SimulatedSync:
    """Implements `ports.workload.StateSync`. A pass is taken at its start and swapped in whole at its end."""

    def __init__(
        self, ec2: SimulatedEc2, clock: Clock, register: Register, fabric: Fabric, instance_id: InstanceId
    ) -> None:
        self._ec2, self._clock, self._register = ec2, clock, register
        self._fabric, self._instance_id = fabric, instance_id

    def delivers_notes(self) -> bool:
        return True

    def can_sync(self) -> bool:
        return True

    def position(self) -> int:
        self._register.flush(self._clock.now(), self._instance_id)
        content = state_of(self._ec2, self._instance_id)
        return content.last if content else 0

    def push(self, target: SyncTarget) -> SyncPass | None:
        self._fabric.require_line(self._instance_id, target.instance_id)
        under_way = self._fabric.passes.get(target.instance_id)
        if under_way is None or under_way.source != self._instance_id:
            self._begin(target)
            return None
        if self._clock.now() < under_way.done_at:
            return None
        del self._fabric.passes[target.instance_id]
        theirs = state_of(self._ec2, InstanceId(target.instance_id))
        if theirs is None:
            raise SyncFailed(f"{target.instance_id} is gone or has no state volume")
        theirs.become(under_way.content, under_way.started_at)
        taken = (self._clock.now() - under_way.started_at).total_seconds()
        return SyncPass(under_way.content.last, under_way.bytes_sent, taken, taken)

    def keep_only(self, instance_ids: Collection[str]) -> None:
        under_way = self._fabric.passes
        mine = {target for target, one in under_way.items() if one.source == self._instance_id}
        for gone in mine.difference(instance_ids):
            del under_way[gone]

    def received(self) -> Received:
        content = state_of(self._ec2, self._instance_id)
        held = content if content is not None and content.as_of is not None else None
        now = self._clock.now()
        return Received(
            progress_percent=100.0 if held else self._progress(now),
            position=held.last if held else None,
            lag_seconds=(now - held.as_of).total_seconds() if held and held.as_of else None,
        )

    def deliver(self, target: SyncTarget, name: str, content: bytes) -> None:
        self._fabric.require_line(self._instance_id, target.instance_id)
        theirs = InstanceId(target.instance_id)
        if state_of(self._ec2, theirs) is None:
            raise SyncFailed(f"{target.instance_id} is gone")
        self._inbox_of(theirs)[_note(name)] = content
        self._fabric.arrived(theirs)

    def delivered(self, name: str) -> bytes | None:
        return self._inbox_of(self._instance_id).get(_note(name))

    def _inbox_of(self, instance_id: InstanceId) -> dict[str, bytes]:
        """On the root disk: it outlives a reboot, and an image copies it."""
        root = self._ec2.controls.content_at(instance_id, ROOT_DEVICE)
        if not isinstance(root, Files):
            raise SyncFailed(f"the root disk of {instance_id} holds no files")
        return root.files

    def _begin(self, target: SyncTarget) -> None:
        now = self._clock.now()
        self._register.flush(now, self._instance_id)
        mine = state_of(self._ec2, self._instance_id)
        theirs = state_of(self._ec2, InstanceId(target.instance_id))
        if mine is None or theirs is None:
            raise SyncFailed(f"no state volume on {self._instance_id} or {target.instance_id}")
        has = theirs.bytes() if theirs.as_of is not None else 0
        to_send = max(0, mine.bytes() - has)
        seconds = self._fabric.seconds_per_pass + to_send / self._fabric.bytes_per_second
        self._fabric.passes[target.instance_id] = _Pass(
            self._instance_id, mine.fork(), now, now + timedelta(seconds=seconds), to_send
        )

    def _progress(self, now: datetime) -> float:
        under_way = self._fabric.passes.get(self._instance_id)
        if under_way is None:
            return 0.0
        whole = (under_way.done_at - under_way.started_at).total_seconds()
        return min(99.0, 100.0 * (now - under_way.started_at).total_seconds() / whole)
