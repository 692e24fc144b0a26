"""The records of the simulated EC2. Only the parts beside this file change them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from spotguard.cloud.simulated.content import VolumeContent
from spotguard.domain.ids import ClientToken, ImageId, InstanceId, SnapshotId, VolumeId
from spotguard.domain.instances import INSTANCE_LIFE, EndReason, InstanceState, Mode
from spotguard.domain.pools import Pool
from spotguard.ports.cloud import CopyState, InstanceView, Tags, VolumeState
from spotguard.ports.metadata import InterruptionNotice, RebalanceRecommendation
from spotguard.ports.shape import Shape


class HappeningKind(StrEnum):
    """What a harness must know to start and kill the processes on the machines."""

    BOOTED = "booted"  # the machine is up: its agent's process starts
    SIGNALLED = "signalled"  # metadata shows a rebalance recommendation or an interruption notice
    ENDING = "ending"  # EC2 takes it down; the guest may run on until `terminated` or `stopped`
    STOPPED = "stopped"
    HIBERNATED = "hibernated"  # stopped, and every process as it was is on the root disk
    RESUMED = "resumed"  # from there: the processes go on where they were
    TERMINATED = "terminated"
    REBOOTED = "rebooted"  # the guest is down; `booted` follows


class Happening(NamedTuple):
    """Something that happened to a machine by itself or by a call."""

    at: datetime
    kind: HappeningKind
    instance_id: InstanceId


@dataclass
class Run:
    """One stretch of running, billed from start to end."""

    started: datetime
    ended: datetime | None = None


@dataclass
class Machine:
    """An instance, from its launch on; kept for the meter when EC2 has long forgotten it."""

    instance_id: InstanceId
    pool: Pool
    mode: Mode
    image_id: ImageId
    tags: Tags
    token: ClientToken | None
    user_data: str
    private_ip: str
    visible_at: datetime
    launched_at: datetime  # the request while pending, then the instant when it began to run
    pending_at: datetime  # when EC2 last began to start it: tells one boot as EC2 knows it from another
    state: InstanceState = InstanceState.PENDING
    ended_at: datetime | None = None
    end_reason: EndReason | None = None
    runs: list[Run] = field(default_factory=list)
    shape: Shape = field(default_factory=Shape)
    guest_starts: int = 0  # tells a late "booted" of an earlier start from the present one
    volumes: dict[str, Volume] = field(default_factory=dict)  # by device
    notice: InterruptionNotice | None = None
    rebalance: RebalanceRecommendation | None = None
    due: list[datetime] = field(default_factory=list)  # when something is planned for it
    metadata_version: int = 0
    view: InstanceView | None = None  # what Describe tells, until something changes
    hibernates: bool = False  # configured at its launch
    memory_is_kept: bool = False  # by the stop that it is in
    impaired_since: datetime | None = None  # its status checks fail
    public_ip: str | None = None  # only a network on the wire gives one

    def become(self, state: InstanceState) -> None:
        INSTANCE_LIFE.require(self.state, state)
        self.state = state
        self.changed()

    def changed(self) -> None:
        self.view = None
        self.metadata_version += 1

    @property
    def is_live(self) -> bool:
        return self.state not in _OVER


_OVER = frozenset({InstanceState.SHUTTING_DOWN, InstanceState.TERMINATED})


@dataclass
class Volume:
    """A volume, kept for the meter after its deletion."""

    volume_id: VolumeId
    az: str
    size_gib: int
    created_at: datetime
    visible_at: datetime
    tags: Tags
    content: VolumeContent
    token: ClientToken | None = None
    snapshot_id: SnapshotId | None = None
    state: VolumeState = VolumeState.CREATING
    machine: Machine | None = None  # while attaching, attached or detaching
    device: str | None = None
    delete_on_termination: bool = False
    detaching: bool = False
    deleted_at: datetime | None = None


@dataclass
class Snapshot:
    """A snapshot with the content as of its start. `volume_id` may be long gone."""

    snapshot_id: SnapshotId
    volume_id: VolumeId
    size_gib: int
    started_at: datetime
    ready_at: datetime
    visible_at: datetime
    tags: Tags
    content: VolumeContent
    state: CopyState = CopyState.PENDING
    is_public: bool = False  # belongs to somebody else's public image: neither shown nor billed
    deleted_at: datetime | None = None


@dataclass
class Image:
    """An image and the snapshots that it owns while it is registered."""

    image_id: ImageId
    name: str
    created_at: datetime
    visible_at: datetime
    tags: Tags
    snapshots: dict[str, SnapshotId]  # by device
    state: CopyState = CopyState.PENDING
    is_public: bool = False
    deregistered: bool = False
