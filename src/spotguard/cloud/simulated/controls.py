"""What stories, the demo and tests may do to the world: everything that neither EC2 nor the account's owner announces.

None of these is throttled, delayed or hidden by eventual consistency.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from spotguard.cloud.simulated.capacity import Capacity
from spotguard.cloud.simulated.content import VolumeContent
from spotguard.cloud.simulated.copies import Copies
from spotguard.cloud.simulated.imds import ImdsFault, ImdsServer
from spotguard.cloud.simulated.lifecycle import Lifecycle
from spotguard.cloud.simulated.physics import Span
from spotguard.cloud.simulated.state import Machine
from spotguard.cloud.simulated.weather import Weather
from spotguard.cloud.simulated.world import World
from spotguard.domain.errors import NotFound
from spotguard.domain.ids import ImageId, InstanceId, SnapshotId, VolumeId
from spotguard.domain.instances import EndReason, Mode
from spotguard.domain.pools import Pool
from spotguard.domain.signals import NOTICE_SECONDS
from spotguard.ports.cloud import Tags


class Controls:
    """Each takes effect at once, at the clock's present second."""

    def __init__(
        self,
        world: World,
        lifecycle: Lifecycle,
        copies: Copies,
        capacity: Capacity,
        weather: Weather,
        imds: Callable[[InstanceId], ImdsServer],
    ) -> None:
        self._world = world
        self._lifecycle = lifecycle
        self._copies = copies
        self._capacity = capacity
        self._weather = weather
        self._imds = imds

    def signal_rebalance(self, instance_id: InstanceId) -> None:
        """A recommendation for this instance; nothing need follow."""
        self._weather.recommend(self._machine(instance_id))

    def interrupt(self, target: InstanceId | Pool, *, notice_seconds: int = NOTICE_SECONDS) -> None:
        """AWS takes the instance back; of a pool every spot instance within three minutes, and the pool runs dry.

        `notice_seconds=0` takes it without a word.
        """
        if isinstance(target, Pool):
            self._world.advance()
            self._weather.wave(target.id, notice_seconds)
        else:
            self._weather.interrupt(self._machine(target), notice_seconds)

    def withdraw_notice(self, instance_id: InstanceId) -> None:
        """It is not taken, and its metadata shows the notice no more."""
        self._weather.withdraw(self._machine(instance_id))

    def make_dry(self, pool: Pool, until: datetime | None = None, *, mode: Mode = Mode.SPOT) -> None:
        """Nothing starts there in this market until then, or until `end_dryness`."""
        self._capacity.dry(pool.id, until, mode)

    def end_dryness(self, pool: Pool) -> None:
        """Ends what `make_dry` or a wave began; spells of the weather stay."""
        self._capacity.end_dryness(pool.id)

    def make_group(self, group_id: str) -> None:
        """A security group beside the default one."""
        self._world.groups.add(group_id)

    def fail_instance(self, instance_id: InstanceId) -> None:
        """The hardware dies: no notice, no reason that EC2 would give, billed as usual."""
        self._lifecycle.end(self._machine(instance_id), None)

    def end_by_stranger(self, instance_id: InstanceId) -> None:
        """Somebody else with rights in the account terminates it."""
        self._lifecycle.end(self._machine(instance_id), EndReason.REQUESTED)

    def impair(self, instance_id: InstanceId, *, on: bool = True) -> None:
        """It fails EC2's status checks from now on, or passes them again."""
        machine = self._machine(instance_id)
        machine.impaired_since = (machine.impaired_since or self._world.now) if on else None

    def reboot(self, instance_id: InstanceId) -> None:
        self._lifecycle.reboot(self._machine(instance_id))

    def stop(self, instance_id: InstanceId) -> None:
        """Somebody stops it: on-demand only."""
        self._lifecycle.stop(self._machine(instance_id))

    def configure_hibernation(self, instance_id: InstanceId) -> None:
        """As if its owner had launched it so."""
        machine = self._machine(instance_id)
        machine.hibernates = True
        machine.changed()

    def hibernate(self, instance_id: InstanceId) -> None:
        """Somebody stops it with its memory kept, where that was configured."""
        self._lifecycle.stop(self._machine(instance_id), hibernate=True)

    def start(self, instance_id: InstanceId) -> None:
        """Somebody starts a stopped one: a new boot unless it was hibernated, and a new run on the bill."""
        self._lifecycle.start_again(self._machine(instance_id))

    def add_public_image(self, name: str, content: VolumeContent, size_gib: int | None = None) -> ImageId:
        """Somebody else's image to launch from; available at once, neither listed nor billed."""
        self._world.advance()
        return self._copies.public_image(name, content, size_gib or self._world.physics.root_gib)

    def withdraw_image(self, image_id: ImageId) -> None:
        """Its owner deregisters it or shares it no more: what runs on it runs on, and nothing starts from it."""
        self._world.images[image_id].deregistered = True

    def tag(self, instance_id: InstanceId, tags: Tags) -> None:
        """The owner tags an instance and its volumes, as when it is handed to SpotGuard."""
        machine = self._machine(instance_id)
        machine.tags = {**machine.tags, **tags}
        machine.changed()
        for volume in machine.volumes.values():
            volume.tags = {**volume.tags, **tags}

    def address(self, instance_id: InstanceId, private_ip: str, public_ip: str | None) -> None:
        """The network gives an instance its addresses; without one it keeps the simulator's own."""
        machine = self._machine(instance_id)
        if (machine.private_ip, machine.public_ip) != (private_ip, public_ip):
            machine.private_ip, machine.public_ip = private_ip, public_ip
            machine.changed()

    def retag(self, resource_id: str, tags: Tags) -> None:
        """These and no other tags on one resource of any kind."""
        self._world.advance()
        found = (
            self._world.machines.get(InstanceId(resource_id))
            or self._world.volumes.get(VolumeId(resource_id))
            or self._world.snapshots.get(SnapshotId(resource_id))
            or self._world.images.get(ImageId(resource_id))
        )
        if found is None:
            raise NotFound(f"no resource {resource_id}")
        found.tags = dict(tags)
        if isinstance(found, Machine):
            found.changed()

    def hide_new(self, seconds: Span | None) -> None:
        """What is made from now on is unknown for so long; None: for as long as the physics say."""
        self._world.hidden_seconds = self._world.physics.visible_after_seconds if seconds is None else seconds

    def fail_copy(self, copy_id: ImageId | SnapshotId) -> None:
        """A pending image or snapshot comes to nothing."""
        self._world.advance()
        self._copies.fail(copy_id)

    def disturb_metadata(
        self, instance_id: InstanceId, fault: ImdsFault | None, until: datetime | None = None
    ) -> None:
        """The metadata service answers 401 or 503 or not at all, until then; None mends it."""
        self._machine(instance_id)
        self._imds(instance_id).disturb(fault, until)

    def forget_metadata_tokens(self, instance_id: InstanceId) -> None:
        """As if every IMDSv2 token had reached its TTL."""
        self._machine(instance_id)
        self._imds(instance_id).forget_tokens()

    def content_of(self, volume_id: VolumeId) -> VolumeContent:
        """What the volume holds, whoever has it, deleted or not."""
        return self._world.volumes[volume_id].content

    def set_content(self, volume_id: VolumeId, content: VolumeContent) -> None:
        self._world.volumes[volume_id].content = content

    def content_at(self, instance_id: InstanceId, device: str) -> VolumeContent:
        """What the guest finds at this device now; `NotFound` once the volume is detached."""
        volume = self._machine(instance_id).volumes.get(device)
        if volume is None:
            raise NotFound(f"{instance_id} has no volume at {device}")
        return volume.content

    def _machine(self, instance_id: InstanceId) -> Machine:
        self._world.advance()
        found = self._world.machines.get(instance_id)
        if found is None:
            raise NotFound(f"no instance {instance_id}")
        return found
