"""RunInstances and instant fleets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from spotguard.cloud.simulated.capacity import Capacity
from spotguard.cloud.simulated.faults import Faults
from spotguard.cloud.simulated.labels import require_legal_tags
from spotguard.cloud.simulated.lifecycle import Lifecycle
from spotguard.cloud.simulated.state import Image, Machine, Snapshot
from spotguard.cloud.simulated.tokens import Tokens
from spotguard.cloud.simulated.types import DEFAULT_GROUP, DEFAULT_VPC, default_subnets
from spotguard.cloud.simulated.volumes import ROOT_DEVICE, Volumes
from spotguard.cloud.simulated.world import World
from spotguard.domain.errors import CloudError, NeedsPerson, NotVisible, PoolDry, QuotaReached
from spotguard.domain.ids import ClientToken, ImageId, InstanceId
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.ports.cloud import BlockDevice, CopyState, FleetRequest, LaunchRequest
from spotguard.ports.shape import Shape, owner_tags

LONGEST_USER_DATA = 16_384  # bytes, before base64
_REGIONAL = ""
_Disks = list[tuple[BlockDevice, Snapshot | None]]


class Launches:
    """Makes instances, once a token."""

    def __init__(
        self, world: World, capacity: Capacity, volumes: Volumes, lifecycle: Lifecycle, faults: Faults
    ) -> None:
        self._world = world
        self._faults = faults
        self._capacity = capacity
        self._volumes = volumes
        self._lifecycle = lifecycle
        self._by_zone: Tokens[InstanceId] = Tokens()
        self._by_region: Tokens[InstanceId] = Tokens()

    def run(self, request: LaunchRequest) -> Machine:
        az, parameters = request.pool.az, _parameters(request)
        earlier = self._by_zone.earlier(request.token, az, parameters)
        if earlier is not None:
            return self._world.machines[earlier]
        disks = self._disks(request)
        pool = self._capacity.existing(request.pool, request.mode)
        self._faults.require_room("run_instance")
        self._capacity.require_room(pool, request.mode)
        machine = self._make(request, pool, request.mode, disks, request.token)
        self._by_zone.remember(request.token, az, parameters, machine.instance_id)
        return machine

    def fleet(self, request: FleetRequest) -> Machine:
        """The first candidate with room. Its instance does not carry the fleet's token: EC2 gives it one of its own."""
        parameters = (*_shared(request), tuple((pool.id, mode) for pool, mode in request.candidates))
        earlier = self._by_region.earlier(request.token, _REGIONAL, parameters)
        if earlier is not None:
            return self._world.machines[earlier]
        disks = self._disks(request)
        self._faults.require_room("create_fleet")
        pool, mode = self._first_with_room(request.candidates)
        machine = self._make(request, pool, mode, disks, None)
        self._by_region.remember(request.token, _REGIONAL, parameters, machine.instance_id)
        return machine

    def _first_with_room(self, candidates: Sequence[tuple[Pool, Mode]]) -> tuple[Pool, Mode]:
        refusals: list[CloudError] = []
        for wanted, mode in candidates:
            refusal = self.refusal(wanted, mode)
            if refusal is None:
                return self._capacity.existing(wanted, mode), mode
            refusals.append(refusal)
        if not refusals:
            raise NeedsPerson("InvalidParameterValue", "a fleet needs candidates")
        if all(isinstance(refusal, QuotaReached) for refusal in refusals):
            raise refusals[0]
        raise PoolDry("UnfulfillableCapacity", "; ".join(map(str, refusals)))

    def refusal(self, wanted: Pool, mode: Mode) -> PoolDry | QuotaReached | None:
        """Why nothing would start there now; None when something would."""
        try:
            self._capacity.require_room(self._capacity.existing(wanted, mode), mode)
        except (PoolDry, QuotaReached) as refusal:
            return refusal
        return None

    def _disks(self, request: LaunchRequest | FleetRequest) -> _Disks:
        """Every volume that the launch makes, checked before anything is made."""
        image = self._usable(request.image_id)
        require_legal_tags(request.tags)
        self._require_groups(request.shape)
        if len(request.user_data.encode()) > LONGEST_USER_DATA:
            raise NeedsPerson("InvalidParameterValue", "user data is limited to 16 KiB")
        named = {device.device: device for device in request.block_devices}
        if len(named) != len(request.block_devices):
            raise NeedsPerson("InvalidBlockDeviceMapping", "a device is named twice")
        left_out = {device.device for device in request.block_devices if device.no_device}
        disks: _Disks = [
            self._from_image(image, device, named) for device in image.snapshots if device not in left_out
        ]
        for device, wanted in named.items():
            if device not in image.snapshots and device not in left_out:
                disks.append((wanted, self._volumes.source(wanted.snapshot_id, wanted.size_gib)))
        return disks

    def _require_groups(self, shape: Shape | None) -> None:
        for group in () if shape is None else shape.security_groups:
            if group not in self._world.groups:
                raise NeedsPerson("InvalidGroup.NotFound", f"The security group '{group}' does not exist")

    def _usable(self, image_id: ImageId) -> Image:
        image = self._world.image(image_id)
        if image.state is not CopyState.DONE:
            raise NotVisible("InvalidAMIID.Unavailable", f"{image_id} is {image.state}")
        return image

    def _from_image(
        self, image: Image, device: str, named: Mapping[str, BlockDevice]
    ) -> tuple[BlockDevice, Snapshot]:
        """The image's own volume; what the request says of the device overrides its fate, and a data disk's size."""
        snapshot = self._world.snapshots[image.snapshots[device]]
        wanted = named.get(device)
        if wanted is None:
            return BlockDevice(
                device, snapshot.size_gib, delete_on_termination=device == ROOT_DEVICE
            ), snapshot
        size_gib = snapshot.size_gib if device == ROOT_DEVICE else max(wanted.size_gib, snapshot.size_gib)
        return BlockDevice(device, size_gib, delete_on_termination=wanted.delete_on_termination), snapshot

    def _shape(self, request: LaunchRequest | FleetRequest, pool: Pool) -> Shape:
        """As asked; what EC2 decides itself is filled in. A VPC without a subnet in the zone cannot take it."""
        wanted = request.shape or Shape()
        subnets = wanted.subnets or default_subnets(self._capacity.zones)
        if pool.az not in subnets:
            raise PoolDry("NoSubnetInZone", f"{wanted.vpc_id} has no subnet in {pool.az}")
        return replace(
            wanted,
            vpc_id=wanted.vpc_id or DEFAULT_VPC,
            subnets=subnets,
            security_groups=wanted.security_groups or (DEFAULT_GROUP,),
            owner_tags=owner_tags(request.tags),
        )

    def _make(
        self,
        request: LaunchRequest | FleetRequest,
        pool: Pool,
        mode: Mode,
        disks: _Disks,
        token: ClientToken | None,
    ) -> Machine:
        number = len(self._world.machines) + 4  # the first addresses of a subnet belong to AWS
        machine = Machine(
            instance_id=InstanceId(self._world.new_id("i")),
            pool=pool,
            mode=mode,
            image_id=request.image_id,
            tags=dict(request.tags),
            token=token,
            user_data=request.user_data,
            shape=self._shape(request, pool),
            private_ip=f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
            visible_at=self._world.visible_at(),
            launched_at=self._world.now,
            pending_at=self._world.now,
        )
        self._world.machines[machine.instance_id] = machine
        self._world.shown[machine.instance_id] = machine
        for wanted, snapshot in disks:
            self._volumes.make_attached(machine, wanted, snapshot)
        self._lifecycle.start(machine)
        return machine


def _shared(request: LaunchRequest | FleetRequest) -> tuple[object, ...]:
    tags = tuple(sorted(request.tags.items()))
    return request.image_id, tags, request.user_data, tuple(request.block_devices), request.shape


def _parameters(request: LaunchRequest) -> tuple[object, ...]:
    """All that a repetition must repeat. The zone is not among it: it is the token's scope."""
    return (*_shared(request), request.pool.instance_type, request.pool.product, request.mode)
