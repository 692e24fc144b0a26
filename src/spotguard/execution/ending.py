"""Ending an instance and deleting what it leaves behind: only what carries our tags, again is harmless.

Each function does what can be done now and says whether anything is left: nothing here waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from spotguard.domain.errors import Doubtful, NeedsPerson, NotVisible, Refused, Throttled
from spotguard.domain.ids import InstanceId, VolumeId
from spotguard.domain.instances import InstanceState
from spotguard.domain.salvages import SALVAGE_DEVICE
from spotguard.domain.tags import ADOPTED_TAG, AGENT_TAG
from spotguard.ports.cloud import Cloud, InstanceView, Tags, VolumeState

SOON_SECONDS = 5.0


@dataclass(frozen=True)
class Done:
    """Nothing is left to do."""

    because: str


@dataclass(frozen=True)
class Later:
    """Ask again in `again_seconds`."""

    again_seconds: float
    because: str


Ending = Done | Later


def belongs_to(tags: Tags, agent_id: str, maker: Tags | None = None) -> bool:
    """Made by us for this agent, or handed to it by the user. `maker`: what else is on all that we make."""
    ours = {**(maker or {}), AGENT_TAG: agent_id}
    return tags.get(ADOPTED_TAG) == agent_id or all(tags.get(name) == value for name, value in ours.items())


def look_before_end(
    cloud: Cloud, instance_id: InstanceId, agent_id: str, maker: Tags | None = None
) -> InstanceView | None:
    """The instance as EC2 shows it, if it may be ended; None when EC2 does not show it: that proves nothing.

    `Refused` when it carries no tag of this agent: whoever named it, it is somebody else's.
    """
    shown = cloud.describe_instances([instance_id])
    if not shown:
        return None
    if not belongs_to(shown[0].tags, agent_id, maker):
        raise Refused(f"{instance_id} carries neither {AGENT_TAG} nor {ADOPTED_TAG} of this agent: not ended")
    return shown[0]


def end_instance(cloud: Cloud, instance_id: InstanceId, agent_id: str) -> Ending:
    """Terminate it, if it is this agent's; done when EC2 shows that it has begun to end.

    `Refused` when it carries no tag of this agent. EC2 showing nothing proves nothing: asked again later.
    """
    try:
        shown = look_before_end(cloud, instance_id, agent_id)
        return (
            Later(SOON_SECONDS, f"EC2 does not show {instance_id}") if shown is None else _end(cloud, shown)
        )
    except (Doubtful, NotVisible, Throttled) as error:
        return Later(SOON_SECONDS, f"EC2 gave no clear answer ({error.code})")


def _end(cloud: Cloud, view: InstanceView) -> Ending:
    if view.state in (InstanceState.SHUTTING_DOWN, InstanceState.TERMINATED):
        return Done(f"{view.instance_id} is {view.state}")
    cloud.terminate_instance(view.instance_id)
    return Done(f"{view.instance_id} was told to end")


def leftovers_of(view: InstanceView, agent_id: str) -> tuple[VolumeId, ...]:
    """The volumes that stay when the instance ends. Asked before it ends: afterwards nothing names them.

    What is attached for a look is not its own: it may be what a dead holder alone has.
    """
    if not belongs_to(view.tags, agent_id):
        return ()
    return tuple(
        volume.volume_id
        for volume in view.volumes
        if not volume.delete_on_termination and volume.device != SALVAGE_DEVICE
    )


def delete_volumes(cloud: Cloud, volume_ids: Iterable[VolumeId], expected: Mapping[str, str]) -> Ending:
    """Delete those that are free and carry every expected tag; the attached ones later, the others never."""
    wanted = tuple(volume_ids)
    waiting: list[VolumeId] = []
    try:
        for volume in cloud.describe_volumes(wanted) if wanted else ():
            if any(volume.tags.get(name) != value for name, value in expected.items()):
                continue
            if volume.state is VolumeState.AVAILABLE:
                cloud.delete_volume(volume.volume_id)
            elif volume.state is not VolumeState.DELETING:
                waiting.append(volume.volume_id)
    except (Doubtful, NotVisible, Throttled) as error:
        return Later(SOON_SECONDS, f"EC2 gave no clear answer ({error.code})")
    except NeedsPerson as error:  # VolumeInUse: the look was older than the attachment
        return Later(SOON_SECONDS, str(error))
    if waiting:
        return Later(SOON_SECONDS, f"{', '.join(waiting)} still attached")
    return Done(f"{len(wanted)} volumes are gone" if wanted else "nothing was left behind")
