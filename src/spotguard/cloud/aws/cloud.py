"""The door: EC2 of one account in one region, as the `Cloud` port promises it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from operator import itemgetter

from spotguard.cloud.aws import (
    copies,
    ending,
    fleets,
    launching,
    looking,
    prices,
    quotas,
    shapes,
    statuses,
    volumes,
)
from spotguard.cloud.aws.connection import Account, Connection, Patience
from spotguard.cloud.aws.doors import Doors
from spotguard.cloud.aws.errors import read
from spotguard.domain.ids import ClientToken, ImageId, InstanceId, SnapshotId, VolumeId
from spotguard.domain.quotas import VcpuQuota
from spotguard.planning.compatibility import TypeFacts
from spotguard.ports.cloud import (
    Caller,
    FleetRequest,
    ImageView,
    InstanceView,
    LaunchRequest,
    PriceChange,
    SnapshotView,
    StorageRates,
    Tags,
    VolumeView,
)
from spotguard.ports.shape import Shape


class AwsCloud:
    """Implements `ports.cloud.Cloud`. Threads may share it; nothing is called before the first method is."""

    def __init__(
        self, account: Account, patience: Patience | None = None, doors: Doors | None = None
    ) -> None:
        self.account = account
        self._connection = Connection(account, patience or Patience(), doors)
        self._zones: dict[str, str] = {}
        self._zones_lock = threading.Lock()

    def caller(self) -> Caller:
        answer = self._connection.look("get_caller_identity", service="sts")
        return Caller(read(itemgetter("Account"), answer), self.account.region)

    def describe_shape(self, instance_id: InstanceId) -> Shape:
        return shapes.describe(self._connection, instance_id)

    def describe_instance_types(self, instance_types: Iterable[str]) -> tuple[TypeFacts, ...]:
        return shapes.instance_types(self._connection, instance_types)

    def run_instance(self, request: LaunchRequest) -> InstanceView:
        return launching.run(self._connection, request)

    def create_fleet(self, request: FleetRequest) -> InstanceView:
        return fleets.create(self._connection, request)

    def describe_instances(
        self, ids: Iterable[InstanceId] = (), *, token: ClientToken | None = None, tags: Tags | None = None
    ) -> tuple[InstanceView, ...]:
        return looking.instances(self._connection, ids, token, tags)

    def terminate_instance(self, instance_id: InstanceId) -> None:
        ending.terminate(self._connection, instance_id)

    def impaired_since(self, instance_id: InstanceId) -> datetime | None:
        return statuses.impaired_since(self._connection, instance_id)

    def create_image(self, instance_id: InstanceId, name: str, tags: Tags) -> ImageId:
        return copies.create_image(self._connection, instance_id, name, tags)

    def describe_images(
        self, ids: Iterable[ImageId] = (), *, name: str | None = None, tags: Tags | None = None
    ) -> tuple[ImageView, ...]:
        return copies.images(self._connection, ids, name, tags)

    def deregister_image(self, image_id: ImageId) -> None:
        copies.deregister(self._connection, image_id)

    def create_snapshot(self, volume_id: VolumeId, tags: Tags) -> SnapshotId:
        return copies.create_snapshot(self._connection, volume_id, tags)

    def describe_snapshots(
        self, ids: Iterable[SnapshotId] = (), *, tags: Tags | None = None
    ) -> tuple[SnapshotView, ...]:
        return copies.snapshots(self._connection, ids, tags)

    def delete_snapshot(self, snapshot_id: SnapshotId) -> None:
        copies.delete_snapshot(self._connection, snapshot_id)

    def create_volume(
        self, token: ClientToken, az: str, size_gib: int, tags: Tags, snapshot_id: SnapshotId | None = None
    ) -> VolumeId:
        return volumes.create(self._connection, token, az, size_gib, tags, snapshot_id)

    def describe_volumes(
        self, ids: Iterable[VolumeId] = (), *, token: ClientToken | None = None, tags: Tags | None = None
    ) -> tuple[VolumeView, ...]:
        return volumes.volumes(self._connection, ids, token, tags)

    def attach_volume(self, volume_id: VolumeId, instance_id: InstanceId, device: str) -> None:
        volumes.attach(self._connection, volume_id, instance_id, device)

    def detach_volume(self, volume_id: VolumeId, holder: InstanceId | None = None) -> None:
        volumes.detach(self._connection, volume_id, holder)

    def delete_volume(self, volume_id: VolumeId) -> None:
        volumes.delete(self._connection, volume_id)

    def keep_volumes(self, instance_id: InstanceId) -> None:
        ending.keep_volumes(self._connection, instance_id)

    def spot_price_history(
        self, since: datetime, instance_types: Iterable[str] = ()
    ) -> tuple[PriceChange, ...]:
        return prices.spot_history(self._connection, self.zone_ids, since, instance_types)

    def spot_prices_of(
        self, since: datetime, instance_types: Iterable[str], products: Sequence[str]
    ) -> tuple[PriceChange, ...]:
        """The same, of these products alone."""
        return prices.spot_history(self._connection, self.zone_ids, since, instance_types, products)

    def offered_types(self) -> list[str]:
        return prices.offered_types(self._connection)

    def ondemand_prices(self) -> Mapping[str, Decimal]:
        return prices.ondemand(self._connection)

    def storage_rates(self) -> StorageRates:
        return prices.storage(self._connection)

    def vcpu_quotas(self, instance_types: Iterable[str]) -> tuple[VcpuQuota, ...]:
        return quotas.vcpu_quotas(self._connection, instance_types)

    def zone_ids(self) -> Mapping[str, str]:
        """Asked once: letters do not change within an account."""
        with self._zones_lock:
            if not self._zones:
                self._zones = prices.zone_ids(self._connection)
            return self._zones
