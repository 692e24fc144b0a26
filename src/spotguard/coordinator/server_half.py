"""The server's part of a planned move when it is the executor (ruling B18): launch, volumes, image."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from spotguard.coordinator import refusals
from spotguard.coordinator.context import Context, Row
from spotguard.coordinator.recovery import attach_volumes, launch_target
from spotguard.domain import image_names
from spotguard.domain.errors import NeedsPerson, NotVisible, Refused
from spotguard.domain.ids import AgentId, ClientId, InstanceId, SwitchId, VolumeId
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.domain.switches import MoveKind, Step, Trigger
from spotguard.execution.imaging import DUPLICATE
from spotguard.execution.volumes import Movable, movable, why_not_moved
from spotguard.planning.standby import Place
from spotguard.ports.cloud import Cloud, CopyState
from spotguard.store import fleet, images, launch_orders, moves, storage, unwinding
from spotguard.store.starting_images import image_of
from spotguard.store.steps import SERVER
from spotguard.store.tables import switches

NO_ACCOUNT = (
    "the server has no AWS account for this client: name its region (spotguard client account NAME --region REGION), "
    "or make its agents the executor"
)


@dataclass(frozen=True)
class Half:
    """One planned move, as far as the server works on it."""

    ctx: Context
    now: datetime
    cloud: Cloud
    switch: Row
    steps: list[Step]


def advance(ctx: Context, now: datetime, switch: Row) -> bool:
    """One look; True when something was done."""
    cloud = ctx.clouds(ClientId(switch.client_id))
    if cloud is None:
        return ctx.db.write(lambda tx: moves.unwind(tx, now, switch.id, NO_ACCOUNT))
    steps = ctx.db.read(lambda tx: moves.recorded_steps(tx, switch.id))
    half = Half(ctx, now, cloud, switch, steps)
    ctx.soon(now, 5)
    match MoveKind(switch.kind):
        case MoveKind.IMAGE:
            return _image(half)
        case MoveKind.VOLUME:
            return _launch(half, None) | _volumes(half)
        case _:
            return _launch(half, None)


def _launch(half: Half, image_id: str | None) -> bool:
    switch = half.switch
    if switch.new_instance_id is not None:
        return False
    agent = half.ctx.db.read(lambda tx: fleet.agent_row(tx, switch.agent_id))
    mode = Mode(switch.new_mode)
    price = switch.new_spot_price if mode is Mode.SPOT else switch.on_demand_price
    devices = half.ctx.db.read(
        lambda tx: launch_orders.devices_of(tx, InstanceId(switch.old_instance_id), MoveKind(switch.kind))
    )
    try:
        return launch_target(
            half.ctx,
            half.now,
            half.cloud,
            agent,
            switch,
            places=[Place(Pool(switch.new_instance_type, switch.new_az), mode, price)],
            devices=devices,
            image_id=image_id or half.ctx.db.read(lambda tx: image_of(tx, agent)),
            at_once=False,
            voluntary=switch.event_trigger in (Trigger.AUTO_SWITCH, Trigger.MANUAL),
        )
    except Refused as refusal:  # a cap that was set since the move was ordered
        return _unwind(half, str(refusal))


def _volumes(half: Half) -> bool:
    """From the closed gate of the old to the new; which volumes is written down before the first is detached."""
    if Step.GATE_CLOSED not in half.steps or Step.VOLUMES_MOVED in half.steps:
        return False
    if "volumes" not in half.switch.plan:
        own = _movable(half)
        if why := why_not_moved(own):
            return _unwind(half, why)
        found = _planned(own)
        if not found:
            why = "EC2 shows no volume besides the root at the old instance: nothing to move"
            return _unwind(half, why)
        half.ctx.db.write(lambda tx: _plan_volumes(tx, half.switch, found))
    return attach_volumes(half.ctx, half.now, half.cloud, half.switch, detach=True)


def _movable(half: Half) -> tuple[Movable, ...]:
    """As EC2 shows them now: a row may be old, and what it does not name would stay behind."""
    old = InstanceId(half.switch.old_instance_id)
    return movable(half.cloud, old, lambda one: _device_before(half, one))


def _planned(own: Iterable[Movable]) -> list[dict[str, Any]]:
    planned = []
    for one in own:
        if one.view is None:
            raise NotVisible(
                "InvalidVolume.NotFound", f"{one.moved.volume_id} of the old instance is not shown"
            )
        planned.append({"id": one.moved.volume_id, "device": one.moved.device, "size_gib": one.view.size_gib})
    return planned


def _device_before(half: Half, volume_id: VolumeId) -> str | None:
    row = half.ctx.db.read(lambda tx: storage.row_of(tx, volume_id))
    return None if row is None else row.device


def _plan_volumes(tx: sa.Connection, switch: Row, found: list[dict[str, Any]]) -> None:
    plan = {**switch.plan, "volumes": found}
    tx.execute(sa.update(switches).where(switches.c.id == switch.id).values(plan=plan))


def _image(half: Half) -> bool:
    """Begun with the gate closed; its unique name holds the switch's id, so that asking twice makes one."""
    if Step.GATE_CLOSED not in half.steps:
        return False
    found = half.cloud.describe_images(name=image_names.of_move(half.switch.id))
    if not found:
        return _begin_image(half)
    if found[0].state is CopyState.FAILED:
        return _unwind(half, "EC2 could not make the image")
    if found[0].state is CopyState.PENDING:
        return False
    if lacks := _lacking(half, found[0].snapshots):
        return _unwind(
            half, f"the image {found[0].image_id} lacks {lacks}, attached to nobody when it was made"
        )
    new = half.ctx.db.write(
        lambda tx: moves.record_step(tx, half.now, half.switch.id, Step.IMAGED, half.now, SERVER)
    )
    return _launch(half, found[0].image_id) or new


def _begin_image(half: Half) -> bool:
    tags = half.ctx.db.read(
        lambda tx: launch_orders.tags_of(
            tx,
            ClientId(half.switch.client_id),
            AgentId(half.switch.agent_id),
            "successor",
            switch_id=SwitchId(half.switch.id),
        )
    )
    if not half.ctx.db.read(lambda tx: unwinding.goes_on(tx, half.switch.id)):
        return False
    shown = half.cloud.describe_instances([InstanceId(half.switch.old_instance_id)])
    if shown and (lacks := _lacking(half, {volume.device for volume in shown[0].volumes})):
        return _unwind(half, f"{lacks} of the old instance is attached to nobody: an image would lack it")
    try:
        half.cloud.create_image(
            InstanceId(half.switch.old_instance_id), image_names.of_move(half.switch.id), tags
        )
    except NeedsPerson as error:
        if error.code in refusals.TOO_EARLY:
            raise
        return error.code != DUPLICATE and _without_image(half, error)
    return False


def _lacking(half: Half, devices: Container[str]) -> str:
    old = InstanceId(half.switch.old_instance_id)
    return ", ".join(half.ctx.db.read(lambda tx: images.lacking(tx, old, devices)))


def _unwind(half: Half, because: str) -> bool:
    return half.ctx.db.write(lambda tx: moves.unwind(tx, half.now, half.switch.id, because))


def _without_image(half: Half, error: NeedsPerson) -> bool:
    """Nobody waits with a closed gate for what a person has to mend first: the old instance serves on."""
    switch, because = half.switch, f"EC2 refuses to make the image: {error}"
    refusals.tell(half.ctx, half.now, switch, switch.agent_id, code=error.code, because=str(error))
    return _unwind(half, because)
