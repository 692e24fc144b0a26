"""Everything that lives in the account, for an auditor: nothing hidden by eventual consistency or throttling."""

from __future__ import annotations

from dataclasses import dataclass

from spotguard.cloud.simulated import views
from spotguard.cloud.simulated.world import World
from spotguard.domain.instances import InstanceState
from spotguard.ports.cloud import ImageView, InstanceView, SnapshotView, Tags, VolumeView


@dataclass(frozen=True)
class Inventory:
    """What exists and costs, or could."""

    instances: tuple[InstanceView, ...]  # all but the terminated
    volumes: tuple[VolumeView, ...]
    snapshots: tuple[SnapshotView, ...]
    images: tuple[ImageView, ...]

    def tags_by_id(self) -> dict[str, Tags]:
        """Every resource with its tags: an empty mapping is an untagged launch."""
        tags: dict[str, Tags] = {}
        tags |= {view.instance_id: view.tags for view in self.instances}
        tags |= {view.volume_id: view.tags for view in self.volumes}
        tags |= {view.snapshot_id: view.tags for view in self.snapshots}
        tags |= {view.image_id: view.tags for view in self.images}
        return tags


def taken_of(world: World) -> Inventory:
    return Inventory(
        instances=tuple(
            machine.view or views.instance_view(machine)
            for machine in world.machines.values()
            if machine.state is not InstanceState.TERMINATED
        ),
        volumes=tuple(views.volume_view(v) for v in world.volumes.values() if v.deleted_at is None),
        snapshots=tuple(
            views.snapshot_view(s)
            for s in world.snapshots.values()
            if s.deleted_at is None and not s.is_public
        ),
        images=tuple(
            views.image_view(i) for i in world.images.values() if not i.deregistered and not i.is_public
        ),
    )
