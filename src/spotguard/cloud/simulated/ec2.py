"""The door: EC2 of one account in one region, as the `Cloud` port sees it, and what a harness needs besides.

It never sleeps and knows no other time than its clock's. A harness moves the clock to `next_event_at()` or wherever it
likes, calls `advance()`, drains `happenings()` and starts or kills the processes on the machines accordingly. Every
call of the port advances first. What stories, the demo and tests may do to the world is in `controls`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from spotguard.cloud.simulated import views
from spotguard.cloud.simulated.billing import Bill, Meter
from spotguard.cloud.simulated.capacity import Capacity
from spotguard.cloud.simulated.controls import Controls
from spotguard.cloud.simulated.copies import Copies
from spotguard.cloud.simulated.faults import Faults, Throttle
from spotguard.cloud.simulated.imds import ImdsServer, SimulatedMetadata
from spotguard.cloud.simulated.inventory import Inventory, taken_of
from spotguard.cloud.simulated.launches import Launches
from spotguard.cloud.simulated.lifecycle import Lifecycle
from spotguard.cloud.simulated.settings import DEFAULTS, Settings
from spotguard.cloud.simulated.state import Happening
from spotguard.cloud.simulated.traffic import SimulatedTraffic
from spotguard.cloud.simulated.types import ACCOUNT_ID, type_facts
from spotguard.cloud.simulated.volumes import Volumes
from spotguard.cloud.simulated.weather import Weather
from spotguard.cloud.simulated.world import World
from spotguard.cloud.simulated.zones import az_id, shuffled_letters
from spotguard.domain.errors import InvalidInput, NotVisible, PoolDry, QuotaReached
from spotguard.domain.ids import ClientToken, ImageId, InstanceId, SnapshotId, VolumeId
from spotguard.domain.instances import InstanceState, Mode
from spotguard.domain.pools import Pool
from spotguard.domain.quotas import VcpuQuota
from spotguard.market.history import PriceHistory
from spotguard.market.instance_types import quota_class
from spotguard.market.ondemand import OndemandPrices, of_region
from spotguard.market.quota_codes import CODES
from spotguard.planning.compatibility import TypeFacts
from spotguard.ports.clock import Clock
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

PRICE_HISTORY = timedelta(days=90)  # describe-spot-price-history goes back no further

P = ParamSpec("P")
R = TypeVar("R")


def _call(method: Callable[Concatenate[SimulatedEc2, P], R]) -> Callable[Concatenate[SimulatedEc2, P], R]:
    """A call of the port: time first, then the throttle, then faults; a lost answer comes after the effect."""
    action = method.__name__

    @wraps(method)
    def called(self: SimulatedEc2, /, *args: P.args, **kwargs: P.kwargs) -> R:
        self._world.advance()
        self._throttle.take(action, self._world.now)
        self.faults.before(action)
        answer = method(self, *args, **kwargs)
        self.faults.after(action)
        return answer

    return called


class SimulatedEc2:
    """Keeps every promise of the `Cloud` port, strictly. The same seed and the same calls give the same world."""

    def __init__(
        self,
        clock: Clock,
        seed: int,
        history: PriceHistory,
        ondemand: OndemandPrices,
        *,
        settings: Settings = DEFAULTS,
    ) -> None:
        """`history` may hold several regions when `settings.region` names one of them.

        The market, and with it every pool, begins with the first price at or before the clock's time.
        """
        region = settings.region or _only_region(history)
        self.region = region
        self._history = history.of_region(region)
        self._ondemand = of_region(ondemand, region)
        self._physics = settings.physics
        self.quotas = settings.quotas
        pools = self._history.pools()
        zones = frozenset(pool.az for pool in pools)
        self._pools_of: dict[str, list[Pool]] = {}
        for pool in pools:
            self._pools_of.setdefault(pool.instance_type, []).append(pool)
        world = self._world = World(clock, seed, settings.physics)
        self._zone_letters = shuffled_letters(zones, world.dice("zones"))
        self._throttle = Throttle(settings.physics.buckets, world.now)
        self._capacity = Capacity(world, self._history, self._ondemand, settings.quotas, settings.climate)
        self._volumes = Volumes(world, zones, settings.blank)
        self._copies = Copies(world)
        self._lifecycle = Lifecycle(world, self._volumes)
        self.faults = Faults(world.dice("faults"))
        self._launches = Launches(world, self._capacity, self._volumes, self._lifecycle, self.faults)
        self._weather = Weather(world, self._lifecycle, self._capacity, settings.climate, pools)
        self._meter = Meter(world, self._history, self._ondemand)
        self._imds: dict[InstanceId, ImdsServer] = {}
        self.traffic = SimulatedTraffic(world, self._throttle, self.faults, region)
        self.controls = Controls(
            world, self._lifecycle, self._copies, self._capacity, self._weather, self.imds
        )

    # What a harness asks.

    def advance(self) -> None:
        """Live through everything that is due by the clock."""
        self._world.advance()

    def next_event_at(self) -> datetime | None:
        """When something changes by itself next; None when nothing is planned. Call `advance` first."""
        return self._world.next_event_at()

    def happenings(self) -> list[Happening]:
        """What happened since the last call, oldest first."""
        self._world.advance()
        drained, self._world.happenings = self._world.happenings, []
        return drained

    def metadata(self, instance_id: InstanceId) -> SimulatedMetadata:
        """The metadata service as a process on this machine reads it; one for each process."""
        return SimulatedMetadata(self.imds(instance_id), self._world.advance)

    def imds(self, instance_id: InstanceId) -> ImdsServer:
        """The server half, for whoever puts it on the wire."""
        if instance_id not in self._imds:
            self._imds[instance_id] = ImdsServer(
                self._world, self._world.machines[instance_id], self._zone_letters
            )
        return self._imds[instance_id]

    @property
    def world(self) -> World:
        """The records themselves, for the wire and auditors: nothing hidden, nothing throttled."""
        return self._world

    def pools(self) -> tuple[Pool, ...]:
        """Every pool of the market, offered now or not."""
        return self._history.pools()

    def price_now(self, pool: Pool) -> Decimal | None:
        """USD/h on spot; None where the pool is not offered."""
        return self._history.price_at(pool, self._world.now)

    def refusal(self, pool: Pool, mode: Mode) -> PoolDry | QuotaReached | None:
        """Why a launch would be refused there now: an instant fleet tells it of every candidate."""
        return self._launches.refusal(pool, mode)

    def metadata_version(self, instance_id: InstanceId) -> int:
        """Grows when the metadata may answer otherwise than before; while it stands still, polls may be skipped."""
        self._world.advance()
        return self._world.machines[instance_id].metadata_version

    def next_metadata_change(self, instance_id: InstanceId) -> datetime | None:
        """The earliest planned instant at which `metadata_version` may grow by itself; a call may be earlier."""
        self._world.advance()
        return self._weather.next_signal(self._world.machines[instance_id])

    def inventory(self) -> Inventory:
        """Everything that lives in the account, for an auditor."""
        self._world.advance()
        return taken_of(self._world)

    def bill(self, now: datetime | None = None, since: datetime | None = None) -> Bill:
        """The meter until `now` (the clock's time), in all and by resource; with `since` what was added after it."""
        self._world.advance()
        return self._meter.bill(self._world.now if now is None else now, since)

    def meter_usd(self, now: datetime | None = None, since: datetime | None = None) -> Decimal:
        return self.bill(now, since).usd

    def zone_ids(self) -> dict[str, str]:
        """This account's zone letters and the ids behind them."""
        return {
            az: az_id(az, self._zone_letters) for az in sorted({pool.az for pool in self._history.pools()})
        }

    # The port.

    @_call
    def caller(self) -> Caller:
        return Caller(ACCOUNT_ID, self.region)

    @_call
    def describe_shape(self, instance_id: InstanceId) -> Shape:
        return self._world.machine(instance_id).shape

    @_call
    def describe_instance_types(self, instance_types: Iterable[str]) -> tuple[TypeFacts, ...]:
        wanted = dict.fromkeys(instance_types)
        return tuple(type_facts(name) for name in wanted if name in self._capacity.types)

    @_call
    def run_instance(self, request: LaunchRequest) -> InstanceView:
        machine = self._launches.run(request)
        return machine.view or views.instance_view(machine)

    @_call
    def create_fleet(self, request: FleetRequest) -> InstanceView:
        machine = self._launches.fleet(request)
        return machine.view or views.instance_view(machine)

    @_call
    def describe_instances(
        self, ids: Iterable[InstanceId] = (), *, token: ClientToken | None = None, tags: Tags | None = None
    ) -> tuple[InstanceView, ...]:
        return views.instances(self._world, ids, token, tags)

    @_call
    def terminate_instance(self, instance_id: InstanceId) -> None:
        self._lifecycle.terminate(instance_id)

    @_call
    def impaired_since(self, instance_id: InstanceId) -> datetime | None:
        if not views.instances(self._world, [instance_id], None, None):
            raise NotVisible("InvalidInstanceID.NotFound", instance_id)
        machine = self._world.machines[instance_id]
        return machine.impaired_since if machine.state is InstanceState.RUNNING else None

    @_call
    def create_image(self, instance_id: InstanceId, name: str, tags: Tags) -> ImageId:
        return self._copies.create_image(instance_id, name, tags)

    @_call
    def describe_images(
        self, ids: Iterable[ImageId] = (), *, name: str | None = None, tags: Tags | None = None
    ) -> tuple[ImageView, ...]:
        return views.images(self._world, ids, name, tags)

    @_call
    def deregister_image(self, image_id: ImageId) -> None:
        self._copies.deregister(image_id)

    @_call
    def create_snapshot(self, volume_id: VolumeId, tags: Tags) -> SnapshotId:
        return self._copies.create_snapshot(volume_id, tags)

    @_call
    def describe_snapshots(
        self, ids: Iterable[SnapshotId] = (), *, tags: Tags | None = None
    ) -> tuple[SnapshotView, ...]:
        return views.snapshots(self._world, ids, tags)

    @_call
    def delete_snapshot(self, snapshot_id: SnapshotId) -> None:
        self._copies.delete_snapshot(snapshot_id)

    @_call
    def create_volume(
        self, token: ClientToken, az: str, size_gib: int, tags: Tags, snapshot_id: SnapshotId | None = None
    ) -> VolumeId:
        return self._volumes.create(token, az, size_gib, tags, snapshot_id)

    @_call
    def describe_volumes(
        self, ids: Iterable[VolumeId] = (), *, token: ClientToken | None = None, tags: Tags | None = None
    ) -> tuple[VolumeView, ...]:
        return views.volumes(self._world, ids, token, tags)

    @_call
    def attach_volume(self, volume_id: VolumeId, instance_id: InstanceId, device: str) -> None:
        self._volumes.attach(volume_id, instance_id, device)

    @_call
    def detach_volume(self, volume_id: VolumeId, holder: InstanceId | None = None) -> None:
        self._volumes.detach(volume_id, holder)

    @_call
    def delete_volume(self, volume_id: VolumeId) -> None:
        self._volumes.delete(volume_id)

    @_call
    def keep_volumes(self, instance_id: InstanceId) -> None:
        self._volumes.keep(instance_id)

    @_call
    def set_delete_on_termination(self, instance_id: InstanceId, device: str, *, delete: bool) -> None:
        """One device of ModifyInstanceAttribute; the port knows only `keep_volumes`."""
        self._volumes.set_fate(instance_id, device, delete_on_termination=delete)

    @_call
    def spot_price_history(
        self, since: datetime, instance_types: Iterable[str] = ()
    ) -> tuple[PriceChange, ...]:
        now = self._world.now
        types = list(instance_types)
        pools = [pool for kind in types for pool in self._pools_of.get(kind, ())] if types else None
        rows = self._history.changes_between(
            max(since, now - PRICE_HISTORY), now + timedelta(seconds=1), pools, with_last_before=True
        )
        return tuple(PriceChange(*row) for row in rows)

    @_call
    def ondemand_prices(self) -> Mapping[str, Decimal]:
        return dict(self._ondemand)

    @_call
    def storage_rates(self) -> StorageRates:
        return StorageRates(self._physics.volume_usd_per_gib_month, self._physics.snapshot_usd_per_gib_month)

    @_call
    def vcpu_quotas(self, instance_types: Iterable[str]) -> tuple[VcpuQuota, ...]:
        classes = {quota_class(name) for name in instance_types}
        return tuple(self._capacity.quota(*key) for key in CODES if key[0] in classes)


def _only_region(history: PriceHistory) -> str:
    regions = sorted({pool.region for pool in history.pools()})
    if len(regions) != 1:
        raise InvalidInput(f"the price history holds {len(regions)} regions; say which: {', '.join(regions)}")
    return regions[0]
