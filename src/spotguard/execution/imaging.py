"""Making the image of a move: its name holds the switch's id, so that asking twice makes one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from spotguard.domain import image_names
from spotguard.domain.errors import NeedsPerson
from spotguard.domain.ids import ImageId, InstanceId
from spotguard.execution.move_state import MoveState
from spotguard.execution.waiting import Wait
from spotguard.ports.cloud import Cloud, CopyState, Tags
from spotguard.ports.workload import Quiesce

SOON_SECONDS = 5.0
DUPLICATE = "InvalidAMIName.Duplicate"


def make(
    cloud: Cloud, state: MoveState, keep: Callable[[MoveState], None], quiet: Quiesce
) -> MoveState | Wait:
    """Begin it, or adopt the one begun before a crash; the state with the image's id once it is available."""
    if state.image_id is None:
        begun = _begin(cloud, state, quiet)
        if isinstance(begun, Wait):
            return begun
        keep(begun)
        state = begun
    shown = cloud.describe_images([state.image_id] if state.image_id else ())
    if not shown or shown[0].state is CopyState.PENDING:
        return Wait(SOON_SECONDS, f"{state.image_id} is being made", state)
    if shown[0].state is CopyState.FAILED:
        return state.unwind(f"EC2 could not make {state.image_id}")
    return state


def _begin(cloud: Cloud, state: MoveState, quiet: Quiesce) -> MoveState | Wait:
    name = image_names.of_move(state.switch_id or f"{state.own}-{state.epoch}")
    earlier = cloud.describe_images(name=name)
    if earlier:
        return replace(state, image_id=earlier[0].image_id)
    tags = state.launch.tags if state.launch else {}
    try:
        return replace(state, image_id=_frozen_image(cloud, state.own, name, tags, quiet))
    except NeedsPerson as error:
        if error.code != DUPLICATE:
            raise
        return Wait(SOON_SECONDS, f"{name} exists and does not show yet", state)


def _frozen_image(cloud: Cloud, own: InstanceId, name: str, tags: Tags, quiet: Quiesce) -> ImageId:
    """What the image holds is what the volumes held when EC2 answered: frozen until then, and no longer."""
    quiet.freeze()
    try:
        return cloud.create_image(own, name, tags)
    finally:
        quiet.thaw()
