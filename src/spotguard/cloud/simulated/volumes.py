"""Volumes: made in one zone, attached to one instance of it, detached in seconds, deleted when free."""

from __future__ import annotations

from functools import partial

from spotguard.cloud.simulated.content import BlankVolume
from spotguard.cloud.simulated.labels import require_legal_tags
from spotguard.cloud.simulated.state import Machine, Snapshot, Volume
from spotguard.cloud.simulated.tokens import Tokens
from spotguard.cloud.simulated.world import World
from spotguard.domain.errors import NeedsPerson
from spotguard.domain.ids import ClientToken, InstanceId, SnapshotId, VolumeId
from spotguard.domain.instances import InstanceState
from spotguard.ports.cloud import BlockDevice, CopyState, Tags, VolumeState

LARGEST_GIB = 65_536  # gp3
_ATTACHABLE = frozenset({InstanceState.RUNNING, InstanceState.STOPPED})


class Volumes:
    """Single attachment is a fence: a volume is never in two instances' hands."""

    def __init__(self, world: World, zones: frozenset[str], blank: BlankVolume) -> None:
        self._world = world
        self._zones = zones
        self._blank = blank
        self._tokens: Tokens[VolumeId] = Tokens()

    def create(
        self, token: ClientToken, az: str, size_gib: int, tags: Tags, snapshot_id: SnapshotId | None
    ) -> VolumeId:
        parameters = (size_gib, sorted(tags.items()), snapshot_id)
        earlier = self._tokens.earlier(token, az, parameters)
        if earlier is not None:
            return earlier
        if az not in self._zones:
            raise NeedsPerson("InvalidZone.NotFound", az)
        require_legal_tags(tags)
        volume = self._make(az, size_gib, tags, self.source(snapshot_id, size_gib))
        volume.token = token
        self._world.after(self._world.physics.volume_seconds, partial(self._created, volume))
        self._tokens.remember(token, az, parameters, volume.volume_id)
        return volume.volume_id

    def source(self, snapshot_id: SnapshotId | None, size_gib: int) -> Snapshot | None:
        """The snapshot to copy from; refused unless complete and no larger than the volume."""
        snapshot = None if snapshot_id is None else self._world.snapshot(snapshot_id)
        if snapshot is not None and snapshot.state is not CopyState.DONE:
            raise NeedsPerson("IncorrectState", f"{snapshot_id} is {snapshot.state}")
        if not max(1, 0 if snapshot is None else snapshot.size_gib) <= size_gib <= LARGEST_GIB:
            raise NeedsPerson("InvalidParameterValue", f"a volume of {size_gib} GiB")
        return snapshot

    def make_attached(self, machine: Machine, wanted: BlockDevice, snapshot: Snapshot | None) -> None:
        """A volume that comes with its instance and carries its tags."""
        volume = self._make(machine.pool.az, wanted.size_gib, machine.tags, snapshot)
        volume.delete_on_termination = wanted.delete_on_termination
        self._hold(volume, machine, wanted.device)

    def _make(self, az: str, size_gib: int, tags: Tags, snapshot: Snapshot | None) -> Volume:
        volume = Volume(
            volume_id=VolumeId(self._world.new_id("vol")),
            az=az,
            size_gib=size_gib,
            created_at=self._world.now,
            visible_at=self._world.visible_at(),
            tags=dict(tags),
            content=self._blank() if snapshot is None else snapshot.content.fork(),
            snapshot_id=None if snapshot is None else snapshot.snapshot_id,
        )
        self._world.volumes[volume.volume_id] = volume
        return volume

    def _created(self, volume: Volume) -> None:
        if volume.state is VolumeState.CREATING:
            volume.state = VolumeState.AVAILABLE

    def attach(self, volume_id: VolumeId, instance_id: InstanceId, device: str) -> None:
        volume, machine = self._world.volume(volume_id), self._world.machine(instance_id)
        if volume.machine is machine and volume.device == device and not volume.detaching:
            return
        if volume.machine is not None:
            raise NeedsPerson("VolumeInUse", f"{volume_id} is attached to {volume.machine.instance_id}")
        if volume.state is not VolumeState.AVAILABLE:
            raise NeedsPerson("IncorrectState", f"{volume_id} is {volume.state}")
        if volume.az != machine.pool.az:
            raise NeedsPerson("InvalidVolume.ZoneMismatch", f"{volume.az} is not {machine.pool.az}")
        if machine.state not in _ATTACHABLE:
            raise NeedsPerson("IncorrectState", f"{instance_id} is {machine.state}")
        if device in machine.volumes:
            raise NeedsPerson("InvalidParameterValue", f"{device} is already in use")
        volume.delete_on_termination = False  # E15: false for what is attached later
        self._hold(volume, machine, device)

    def _hold(self, volume: Volume, machine: Machine, device: str) -> None:
        volume.state, volume.machine, volume.device = VolumeState.IN_USE, machine, device
        machine.volumes[device] = volume
        machine.view = None

    def detach(self, volume_id: VolumeId, holder: InstanceId | None = None) -> None:
        volume = self._world.volume(volume_id)
        machine = volume.machine
        if machine is None or volume.detaching:
            return
        if holder not in (None, machine.instance_id):
            raise NeedsPerson("InvalidAttachment.NotFound", f"{volume_id} is not on {holder}")
        if volume.device == ROOT_DEVICE and machine.state is not InstanceState.STOPPED:
            raise NeedsPerson("OperationNotPermitted", f"{volume_id} is the root of a running instance")
        volume.detaching = True
        self._world.after(self._world.physics.detach_seconds, partial(self._detached, volume, machine))

    def _detached(self, volume: Volume, machine: Machine) -> None:
        if volume.machine is not machine or not volume.detaching:
            return  # the instance ended first
        del machine.volumes[volume.device or ""]
        machine.view = None
        volume.machine, volume.device, volume.detaching = None, None, False
        volume.state = VolumeState.AVAILABLE

    def release(self, machine: Machine) -> None:
        """The instance is terminated: its volumes go or are free, as each one's DeleteOnTermination says."""
        for volume in list(machine.volumes.values()):
            volume.detaching = True
            self._detached(volume, machine)
            if volume.delete_on_termination:
                self._delete(volume)

    def delete(self, volume_id: VolumeId) -> None:
        known = self._world.volumes.get(volume_id)
        if known is not None and known.deleted_at is not None:
            return
        volume = self._world.volume(volume_id)
        if volume.machine is not None:
            raise NeedsPerson("VolumeInUse", f"{volume_id} is attached to {volume.machine.instance_id}")
        if volume.state is not VolumeState.AVAILABLE:
            raise NeedsPerson("IncorrectState", f"{volume_id} is {volume.state}")
        self._delete(volume)

    def _delete(self, volume: Volume) -> None:
        volume.state, volume.deleted_at = VolumeState.DELETING, self._world.now

    def set_fate(self, instance_id: InstanceId, device: str, *, delete_on_termination: bool) -> None:
        machine = self._world.machine(instance_id)
        if device not in machine.volumes:
            raise NeedsPerson("InvalidInstanceAttributeValue", f"no device {device} on {instance_id}")
        machine.volumes[device].delete_on_termination = delete_on_termination
        machine.view = None

    def keep(self, instance_id: InstanceId) -> None:
        machine = self._world.machine(instance_id)
        for volume in machine.volumes.values():
            volume.delete_on_termination = False
        machine.view = None


ROOT_DEVICE = "/dev/xvda"
