"""Moving volumes between instances of one AZ. Single attachment is the fence: nothing can be written twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from spotguard.domain.ids import InstanceId, VolumeId
from spotguard.domain.salvages import is_for_a_look
from spotguard.execution.move_state import MovedVolume, MoveState
from spotguard.execution.waiting import Wait
from spotguard.planning.switching import ROOT_DEVICES
from spotguard.ports.cloud import BlockDevice, Cloud, VolumeState, VolumeView

SOON_SECONDS = 2.0


def _not_known(_: VolumeId) -> str | None:
    return None


@dataclass(frozen=True)
class Movable:
    """A volume that goes along when its instance moves; `view` is None while EC2 shows none."""

    moved: MovedVolume
    view: VolumeView | None


def movable(
    cloud: Cloud, instance_id: InstanceId, had: Callable[[VolumeId], str | None] = _not_known
) -> tuple[Movable, ...]:
    """Every volume of the instance but its root, which a running instance cannot give away, and what it is shown for a
    look: somebody may have mounted that, and EC2 detaches nothing that is mounted. `had`: the device of one before.
    """
    shown = cloud.describe_instances([instance_id])
    held = {v.volume_id: v.device for view in shown for v in view.volumes if v.device not in ROOT_DEVICES}
    views = {view.volume_id: view for view in cloud.describe_volumes(held)} if held else {}
    return tuple(
        Movable(MovedVolume(volume_id, device), views.get(volume_id))
        for volume_id, device in held.items()
        if not is_for_a_look(device, views[volume_id].tags if volume_id in views else {}, had(volume_id))
    )


def why_not_moved(found: Iterable[Movable]) -> str | None:
    """One that several may have at once (Multi-Attach) is carried nowhere: who else writes to it nobody knows."""
    shared = sorted(one.moved.volume_id for one in found if one.view and one.view.shared_by is not None)
    return (
        f"{', '.join(shared)} may be attached to several machines at once (Multi-Attach)" if shared else None
    )


def empty_alike(cloud: Cloud, instance_id: InstanceId) -> tuple[BlockDevice, ...]:
    """Empty volumes for the state to be copied into, of the sizes and at the devices of the instance's own."""
    return tuple(
        BlockDevice(one.moved.device, size_gib=one.view.size_gib)
        for one in movable(cloud, instance_id)
        if one.view is not None
    )


def bring(cloud: Cloud, state: MoveState, to: str) -> Wait | None:
    """Carry every volume on from this instance towards `to`, each at its own device; None when all are there."""
    shown = _look(cloud, state)
    waiting = [
        v.volume_id for v in state.volumes if not _carry_on(cloud, v, shown, state.own, InstanceId(to))
    ]
    return Wait(SOON_SECONDS, f"{', '.join(waiting)} on the way to {to}") if waiting else None


def bring_back(cloud: Cloud, state: MoveState, keep: Callable[[MoveState], None]) -> MoveState | Wait:
    """Carry every volume back to this instance.

    EC2 shows a volume as ours while it still detaches: a detachment that may have begun is completed first.
    """
    shown = _look(cloud, state)
    free = {v.volume_id for v in shown.values() if v.state is VolumeState.AVAILABLE and v.attached_to is None}
    volumes = tuple(replace(v, left=v.left or v.volume_id in free) for v in state.volumes)
    if volumes != state.volumes:
        state = replace(state, volumes=volumes)
        keep(state)
    waiting = [v.volume_id for v in volumes if not _carry_back(cloud, v, shown, state)]
    return Wait(SOON_SECONDS, f"{', '.join(waiting)} on the way back", state) if waiting else state


def _look(cloud: Cloud, state: MoveState) -> dict[str, VolumeView]:
    return {view.volume_id: view for view in cloud.describe_volumes([v.volume_id for v in state.volumes])}


def _carry_on(
    cloud: Cloud, volume: MovedVolume, shown: dict[str, VolumeView], origin: InstanceId, to: InstanceId
) -> bool:
    """One step for one volume; True when EC2 shows it in use there. In a third one's hands it is left alone."""
    view = shown.get(volume.volume_id)
    if view is None:
        return False
    if view.attached_to == to:
        return view.state is VolumeState.IN_USE
    if view.attached_to == origin:
        cloud.detach_volume(volume.volume_id, origin)
    elif view.state is VolumeState.AVAILABLE:
        cloud.attach_volume(volume.volume_id, to, volume.device)
    return False


def _carry_back(cloud: Cloud, volume: MovedVolume, shown: dict[str, VolumeView], state: MoveState) -> bool:
    target = InstanceId(state.target.instance_id) if state.target else state.own
    view = shown.get(volume.volume_id)
    if view is not None and view.attached_to == state.own and not volume.left:
        cloud.detach_volume(volume.volume_id, state.own)
        return False
    return _carry_on(cloud, volume, shown, target, state.own)
