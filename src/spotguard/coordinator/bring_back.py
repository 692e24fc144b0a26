"""Volumes that are not with their holder although it lives: of a move that was given up, or whatever led there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from spotguard.coordinator import refusals
from spotguard.coordinator.context import Context, Row
from spotguard.coordinator.nobody_serves import tell_once
from spotguard.domain.ids import AgentId, ClientId, InstanceId, SwitchId, VolumeId
from spotguard.domain.instances import InstanceState
from spotguard.domain.switches import SwitchStatus
from spotguard.ports.cloud import Cloud, VolumeState, VolumeView
from spotguard.store import (
    adrift,
    events,
    fleet,
    grants,
    kill,
    left_alone,
    moves,
    sightings,
    storage,
    unwinding,
)

SETTLED_AFTER = timedelta(seconds=20)
"""EC2 shows a volume as attached while it still detaches: a detachment that somebody has just begun shows by then."""


@dataclass(frozen=True)
class _Way:
    """Back to `home`, for as long as `may` says so. `new`: where its move was carrying it."""

    ctx: Context
    now: datetime
    cloud: Cloud
    agent: Row
    home: InstanceId
    may: Callable[[], bool]
    new: str | None = None


def unwind(ctx: Context, now: datetime, switch: Row) -> bool:
    """One look at a move that is given up; its row ends when EC2 shows every volume at the old instance."""
    cloud = ctx.clouds(ClientId(switch.client_id))
    if cloud is None:
        return False
    ctx.soon(now, 2)
    deleted = set(ctx.db.read(lambda tx: storage.ended_of(tx, [v["id"] for v in switch.plan["volumes"]])))
    wanted = {VolumeId(v["id"]): v["device"] for v in switch.plan["volumes"] if v["id"] not in deleted}
    shown = cloud.describe_volumes(wanted) if wanted else ()

    def may() -> bool:
        return ctx.db.read(lambda tx: unwinding.goes_back(tx, switch.id))

    agent = ctx.db.read(lambda tx: fleet.agent_row(tx, switch.agent_id))
    home = InstanceId(switch.old_instance_id)
    way = _Way(ctx, now, cloud, agent, home, may, switch.new_instance_id)
    at_home = [_carry(way, view, wanted[view.volume_id]) for view in shown]
    if len(shown) < len(wanted) or not all(at_home) or now - switch.unwinding_since < SETTLED_AFTER:
        return False
    return ctx.db.write(lambda tx: _unwound(tx, now, switch, shown))


def _unwound(tx: sa.Connection, now: datetime, switch: Row, shown: Iterable[VolumeView]) -> bool:
    _write(tx, ClientId(switch.client_id), shown)
    because = switch.ended_because or "given up"
    return moves.finish(tx, now, SwitchId(switch.id), SwitchStatus.UNWOUND, because)


def _write(tx: sa.Connection, client_id: ClientId, shown: Iterable[VolumeView]) -> None:
    for view in shown:
        storage.saw_volume(tx, client_id, view, None)


def _carry(way: _Way, view: VolumeView, device: str) -> bool:
    """One step for one volume; True when EC2 shows it at home. From one that has served, or that is none of this
    agent's, nothing is taken, and from nobody while people hold his end: these rows may be an old copy, and he may
    serve.
    """
    if view.attached_to == way.home:
        return view.state is VolumeState.IN_USE
    if view.state is VolumeState.AVAILABLE:
        if way.may():
            way.cloud.attach_volume(view.volume_id, way.home, device)
    elif view.attached_to is not None:
        _take(way, view.volume_id, view.attached_to)
    return False


def _take(way: _Way, volume_id: VolumeId, other: InstanceId) -> None:
    db = way.ctx.db
    because = db.read(lambda tx: _why_not_taken(tx, way, other))
    if because is not None:
        db.write(lambda tx: _tell_whose(tx, way, volume_id, f"{other}, {because}"))
    elif not db.read(lambda tx: _is_held(tx, other)) and way.may():
        way.cloud.detach_volume(volume_id, other)


def _why_not_taken(tx: sa.Connection, way: _Way, other: InstanceId) -> str | None:
    machine = sightings.get(tx, other)
    if other != way.new and (machine is None or machine.agent_id != way.agent.id):
        return "which is no machine of this agent"
    return "which has served" if sightings.ever_held(tx, other) else None


def _is_held(tx: sa.Connection, other: InstanceId) -> bool:
    machine = sightings.get(tx, other)
    return machine is not None and left_alone.why_left_alone(tx, machine) is not None


def _tell_whose(tx: sa.Connection, way: _Way, volume_id: VolumeId, whose: str) -> None:
    """Once for each epoch: what a person has taken away he alone gives back."""
    held = grants.holder(tx, way.agent.id)
    if held is None:
        return
    message = (
        f"{volume_id} of {way.home} is attached to {whose}: it is left there, and the workload lacks it. Detach it "
        "there when you are done, and it is attached again where it belongs"
    )
    tell_once(tx, way.now, way.agent, held, "needs_person", message)


def repair(ctx: Context, now: datetime, agent_id: AgentId) -> bool:
    """The holder lives, nothing moves, and its volume is attached to nobody: it gets it back, and people are told."""
    agent = ctx.db.read(lambda tx: fleet.agent_row(tx, agent_id))
    with refusals.told(ctx, now, agent, agent_id):
        return _repair(ctx, now, agent)


def _repair(ctx: Context, now: datetime, agent: Row) -> bool:
    agent_id = AgentId(agent.id)
    cloud = ctx.clouds(ClientId(agent.client_id))
    rows = ctx.db.read(lambda tx: adrift.volumes_of(tx, now, agent_id))
    if cloud is None or not rows:
        return False
    whose = (ClientId(agent.client_id), agent_id)
    # a person may have taken it away to work on it
    if ctx.db.read(lambda tx: kill.stops_everything(tx, *whose)):
        then = "the kill switch stands at all, and nobody attaches it"
        return _tell(ctx, now, agent, [row.id for row in rows], rows[0].holder, then)
    home = InstanceId(rows[0].holder)
    machine = cloud.describe_instances([home])
    if not machine or machine[0].state is not InstanceState.RUNNING:
        return False
    taken = {volume.device for volume in machine[0].volumes}
    wanted = {VolumeId(row.id): row.device for row in rows if row.device not in taken}
    shown = cloud.describe_volumes(wanted) if wanted else ()

    def may() -> bool:
        return ctx.db.read(
            lambda tx: bool(adrift.volumes_of(tx, now, agent_id)) and not kill.stops_everything(tx, *whose)
        )

    free = [view.volume_id for view in shown if view.state is VolumeState.AVAILABLE]
    _tell(ctx, now, agent, free, home, "it is attached again")
    way = _Way(ctx, now, cloud, agent, home, may)
    for view in shown:
        _carry(way, view, wanted[view.volume_id])
    ctx.db.write(lambda tx: _write(tx, ClientId(agent.client_id), shown))
    ctx.soon(now, 2)
    return bool(shown)


def _tell(ctx: Context, now: datetime, agent: Row, volume_ids: Sequence[str], home: str, then: str) -> bool:
    """Of those that were not told within the hour; True if there was one."""
    told = [volume_id for volume_id in volume_ids if ctx.news(volume_id, then, now)]

    def work(tx: sa.Connection) -> None:
        for volume_id in told:
            message = f"{volume_id} of {home} is attached to nobody while no move is under way: {then}"
            detail = {"volume_id": volume_id, "instance_id": home}
            events.append(tx, now, agent.client_id, agent.id, "volume_adrift", message, detail)

    if told:
        ctx.db.write(work)
    return bool(told)
