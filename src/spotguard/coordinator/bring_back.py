"""Volumes that are not with their holder although it lives: of a move that was given up, or whatever led there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from spotguard.coordinator import refusals
from spotguard.coordinator.context import Context, Row
from spotguard.domain.agents import KillLevel
from spotguard.domain.ids import AgentId, ClientId, InstanceId, SwitchId, VolumeId
from spotguard.domain.instances import InstanceState
from spotguard.domain.switches import SwitchStatus
from spotguard.ports.cloud import Cloud, VolumeState, VolumeView
from spotguard.store import adrift, events, fleet, kill, left_alone, moves, sightings, storage, unwinding

SETTLED_AFTER = timedelta(seconds=20)
"""EC2 shows a volume as attached while it still detaches: a detachment that somebody has just begun shows by then."""


def unwind(ctx: Context, now: datetime, switch: Row) -> bool:
    """One look at a move that is given up; its row ends when EC2 shows every volume at the old instance."""
    cloud = ctx.clouds(ClientId(switch.client_id))
    if cloud is None:
        return False
    ctx.soon(now, 2)
    deleted = set(ctx.db.read(lambda tx: storage.ended_of(tx, [v["id"] for v in switch.plan["volumes"]])))
    wanted = {VolumeId(v["id"]): v["device"] for v in switch.plan["volumes"] if v["id"] not in deleted}
    home = InstanceId(switch.old_instance_id)
    shown = cloud.describe_volumes(wanted) if wanted else ()

    def may() -> bool:
        return ctx.db.read(lambda tx: unwinding.goes_back(tx, switch.id))

    at_home = [_carry(ctx, cloud, view, home, wanted[view.volume_id], may) for view in shown]
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


def _carry(
    ctx: Context, cloud: Cloud, view: VolumeView, home: InstanceId, device: str, may: Callable[[], bool]
) -> bool:
    """One step for one volume; True when EC2 shows it at home. From one that has served nothing is taken, and from
    nobody while people hold his end: these rows may be an old copy, and he may serve.
    """
    if view.attached_to == home:
        return view.state is VolumeState.IN_USE
    if view.state is VolumeState.AVAILABLE:
        if may():
            cloud.attach_volume(view.volume_id, home, device)
    elif view.attached_to is not None:
        other = view.attached_to
        if ctx.db.read(lambda tx: _may_be_taken_from(tx, other)) and may():
            cloud.detach_volume(view.volume_id, other)
    return False


def _may_be_taken_from(tx: sa.Connection, other: InstanceId) -> bool:
    machine = sightings.get(tx, other)
    is_held = machine is not None and left_alone.why_left_alone(tx, machine) is not None
    return not is_held and not sightings.ever_held(tx, other)


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
    if ctx.db.read(lambda tx: _is_stopped(tx, agent)):
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
            lambda tx: bool(adrift.volumes_of(tx, now, agent_id)) and not _is_stopped(tx, agent)
        )

    free = [view.volume_id for view in shown if view.state is VolumeState.AVAILABLE]
    _tell(ctx, now, agent, free, home, "it is attached again")
    for view in shown:
        _carry(ctx, cloud, view, home, wanted[view.volume_id], may)
    ctx.db.write(lambda tx: _write(tx, ClientId(agent.client_id), shown))
    ctx.soon(now, 2)
    return bool(shown)


def _is_stopped(tx: sa.Connection, agent: Row) -> bool:
    """A person may have taken the volume away to work on it."""
    return kill.level_for(tx, ClientId(agent.client_id), AgentId(agent.id)) is KillLevel.ALL


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
