"""What SpotGuard asks of EC2.

Every call that makes something carries a `ClientToken` that the caller wrote down first, and tags that EC2 sets
in the same call. Errors are the `CloudError` tree of `domain.errors`, each with EC2's code; nothing else is raised.
A fresh id may be `NotVisible` for a while, and an absent id proves nothing (facts: EC2 idempotency and eventual
consistency guides). Times are EC2's own, whole seconds, UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from spotguard.domain.ids import ClientToken, ImageId, InstanceId, SnapshotId, VolumeId
from spotguard.domain.instances import EndReason, InstanceState, Mode
from spotguard.domain.pools import Pool
from spotguard.domain.quotas import VcpuQuota
from spotguard.planning.compatibility import TypeFacts
from spotguard.ports.shape import Shape

Tags = Mapping[str, str]


@dataclass(frozen=True)
class BlockDevice:
    """A volume to make with an instance. `snapshot_id` None makes an empty one.

    The image's devices come too, unless one of the same name is listed here: the root device listed only
    overrides `delete_on_termination`; another is replaced, or left out with `no_device`.
    """

    device: str
    size_gib: int = 0
    snapshot_id: SnapshotId | None = None
    delete_on_termination: bool = False
    no_device: bool = False


@dataclass(frozen=True)
class LaunchRequest:
    """One instance, wanted in exactly one pool. `token` at most 64 ASCII characters, zonal."""

    token: ClientToken
    pool: Pool
    mode: Mode
    image_id: ImageId
    tags: Tags
    user_data: str = ""
    block_devices: Sequence[BlockDevice] = ()
    shape: Shape | None = None


@dataclass(frozen=True)
class FleetRequest:
    """One instance from whichever candidate has capacity, tried in the given order (an instant fleet).

    Candidates share image, tags and devices; the token is regional.
    """

    token: ClientToken
    candidates: Sequence[tuple[Pool, Mode]]
    image_id: ImageId
    tags: Tags
    user_data: str = ""
    block_devices: Sequence[BlockDevice] = ()
    shape: Shape | None = None


@dataclass(frozen=True)
class AttachedVolume:
    """A volume as an instance sees it."""

    volume_id: VolumeId
    device: str
    delete_on_termination: bool


@dataclass(frozen=True)
class InstanceView:
    """An instance as DescribeInstances tells it."""

    instance_id: InstanceId
    state: InstanceState
    pool: Pool
    mode: Mode
    image_id: ImageId
    launched_at: datetime
    private_ip: str
    tags: Tags
    volumes: tuple[AttachedVolume, ...] = ()
    token: ClientToken | None = None
    public_ip: str | None = None
    ended_at: datetime | None = None  # when it began to end (StateTransitionReason): billing stops there
    end_reason: EndReason | None = None
    end_code: str | None = None  # EC2's own word for it (StateReason)
    hibernates: bool = False  # configured at its launch, for its life: a stop may keep its memory


class VolumeState(StrEnum):
    """EC2's own states of a volume."""

    CREATING = "creating"
    AVAILABLE = "available"
    IN_USE = "in-use"
    DELETING = "deleting"


@dataclass(frozen=True)
class Attachment:
    """Who has a volume, and as what."""

    instance_id: InstanceId
    device: str | None


@dataclass(frozen=True)
class VolumeView:
    """A volume as DescribeVolumes tells it. `attached_to` is set while attaching, attached or detaching.

    `shared_by`: of one that several may have at once (Multi-Attach) all that have it, by id; `attached_to` is the first
    of them. None of any other.
    """

    volume_id: VolumeId
    state: VolumeState
    az: str
    size_gib: int
    created_at: datetime
    tags: Tags
    attached_to: InstanceId | None = None
    device: str | None = None
    snapshot_id: SnapshotId | None = None
    shared_by: tuple[Attachment, ...] | None = None


class CopyState(StrEnum):
    """States of images and snapshots under one name: EC2's pending, available or completed, failed or error."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class SnapshotView:
    """A snapshot; its content is the volume's at `started_at`."""

    snapshot_id: SnapshotId
    volume_id: VolumeId
    state: CopyState
    size_gib: int
    started_at: datetime
    tags: Tags


@dataclass(frozen=True)
class ImageView:
    """An image and the snapshots that it owns, by device."""

    image_id: ImageId
    name: str
    state: CopyState
    created_at: datetime
    snapshots: Mapping[str, SnapshotId]
    tags: Tags = field(default_factory=dict)


StorageView = VolumeView | SnapshotView | ImageView


@dataclass(frozen=True)
class PriceChange:
    """From `at` on the pool costs `usd_per_hour`, until its next change."""

    pool: Pool
    at: datetime
    usd_per_hour: Decimal


@dataclass(frozen=True)
class StorageRates:
    """USD per GiB and month (AWS bills 730 h a month, per second) of a region."""

    volume_usd_per_gib_month: Decimal
    snapshot_usd_per_gib_month: Decimal


@dataclass(frozen=True)
class Caller:
    """Whom EC2 takes us for: nothing is judged absent before this is the account and region that we mean."""

    account_id: str
    region: str


class Cloud(Protocol):
    """EC2 of one account in one region."""

    def caller(self) -> Caller:
        """Asked anew each time (STS GetCallerIdentity)."""

    def describe_shape(self, instance_id: InstanceId) -> Shape:
        """What a clone of it must keep. `NotVisible` for an id that EC2 does not show."""

    def describe_instance_types(self, instance_types: Iterable[str]) -> tuple[TypeFacts, ...]:
        """Facts of those types that this region offers; the others are left out."""

    def run_instance(self, request: LaunchRequest) -> InstanceView:
        """Launch; the same token and parameters give the same instance again, ended or not.

        The same token in another AZ launches a second instance; with other parameters `TokenMismatch`.
        """

    def create_fleet(self, request: FleetRequest) -> InstanceView:
        """Launch in the first candidate that has capacity; `PoolDry` when none has."""

    def describe_instances(
        self, ids: Iterable[InstanceId] = (), *, token: ClientToken | None = None, tags: Tags | None = None
    ) -> tuple[InstanceView, ...]:
        """What EC2 shows now, of these ids, this token or these tags (all conditions must hold).

        Unknown ids are left out, never an error; terminated instances vanish after about an hour.
        """

    def terminate_instance(self, instance_id: InstanceId) -> None:
        """Begin to end it; again is harmless. `NotVisible` for an id that EC2 does not show."""

    def impaired_since(self, instance_id: InstanceId) -> datetime | None:
        """Since when a status check of this running instance fails, by EC2's own clock (DescribeInstanceStatus,
        `ImpairedSince`); None while all pass, are still being made, or EC2 does not say since when.
        `NotVisible` for an id that EC2 does not show.
        """

    def create_image(self, instance_id: InstanceId, name: str, tags: Tags) -> ImageId:
        """Image all volumes without a reboot; takes minutes. The unique name is the idempotency handle:
        a name in use raises `NeedsPerson("InvalidAMIName.Duplicate")`, and the caller adopts by name.
        """

    def describe_images(
        self, ids: Iterable[ImageId] = (), *, name: str | None = None, tags: Tags | None = None
    ) -> tuple[ImageView, ...]: ...

    def deregister_image(self, image_id: ImageId) -> None:
        """Remove the image; its snapshots stay and are billed until deleted. Again is harmless."""

    def create_snapshot(self, volume_id: VolumeId, tags: Tags) -> SnapshotId:
        """Begin a snapshot (there is no client token: look up by tag before asking again)."""

    def describe_snapshots(
        self, ids: Iterable[SnapshotId] = (), *, tags: Tags | None = None
    ) -> tuple[SnapshotView, ...]: ...

    def delete_snapshot(self, snapshot_id: SnapshotId) -> None:
        """Again is harmless; `NeedsPerson("InvalidSnapshot.InUse")` while an image owns it."""

    def create_volume(
        self, token: ClientToken, az: str, size_gib: int, tags: Tags, snapshot_id: SnapshotId | None = None
    ) -> VolumeId: ...

    def describe_volumes(
        self, ids: Iterable[VolumeId] = (), *, token: ClientToken | None = None, tags: Tags | None = None
    ) -> tuple[VolumeView, ...]: ...

    def attach_volume(self, volume_id: VolumeId, instance_id: InstanceId, device: str) -> None:
        """Same AZ, one instance at a time (single attachment is a fence); `NeedsPerson` otherwise
        (`VolumeInUse`, `InvalidVolume.ZoneMismatch`, `IncorrectState`). Already attached there: harmless.
        """

    def detach_volume(self, volume_id: VolumeId, holder: InstanceId | None = None) -> None:
        """Begin to detach; done when the volume is `available`. Again is harmless.

        From `holder` alone, where one is named: `NeedsPerson("InvalidAttachment.NotFound")` when another one has it by
        now. Whoever was held up since he looked takes nothing from the instance that it has come to meanwhile.
        """

    def delete_volume(self, volume_id: VolumeId) -> None:
        """Only an `available` one; `NeedsPerson("VolumeInUse")` otherwise. Again is harmless."""

    def keep_volumes(self, instance_id: InstanceId) -> None:
        """Set `DeleteOnTermination = false` on every volume of the instance (ModifyInstanceAttribute)."""

    def spot_price_history(
        self, since: datetime, instance_types: Iterable[str] = ()
    ) -> tuple[PriceChange, ...]:
        """Changes from `since` on, with each pool's last change before it, oldest first; of these types alone."""

    def ondemand_prices(self) -> Mapping[str, Decimal]:
        """USD/h on demand by instance type, for the types this region offers."""

    def storage_rates(self) -> StorageRates: ...

    def vcpu_quotas(self, instance_types: Iterable[str]) -> tuple[VcpuQuota, ...]:
        """Spot and on demand, of the classes of these types as far as their quotas are known, each once.

        In use is what DescribeInstances shows alive, whoever's. EC2 itself may count a while longer what has just
        ended (E8), and it may count by a later look than ours.
        """
