"""Moves after a death: the coordinator runs them itself, one step per look, never without an instance in the end.

Promote the standby; else launch in the volumes' zone and attach them; else snapshot them for another zone; else the
newest image. Each step looks before it acts and may be done twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from spotguard.coordinator import launches, refusals, state_look
from spotguard.coordinator.context import Context, Row
from spotguard.coordinator.launches import Order
from spotguard.coordinator.rates import rates_if_told
from spotguard.domain.ids import AgentId, ClientId, InstanceId, SnapshotId, SwitchId, VolumeId
from spotguard.domain.instances import InstanceState
from spotguard.domain.switches import MoveKind, Step, WhenLate
from spotguard.domain.tags import PURPOSE_TAG, SWITCH_TAG
from spotguard.execution.launching import Exhausted, Launched, NotYet, Stopped
from spotguard.planning.emergency import START_ANEW
from spotguard.planning.standby import Place
from spotguard.planning.switching import STATE_DEVICE
from spotguard.ports.cloud import BlockDevice, Cloud, CopyState, SnapshotView, VolumeState, VolumeView
from spotguard.store import (
    events,
    fleet,
    images,
    intentions,
    launch_orders,
    move_deadlines,
    moves,
    state_left,
    storage,
    unwinding,
)
from spotguard.store.starting_images import image_of
from spotguard.store.tables import switches

PURPOSE = "recovery"
NOTHING_STARTS = "nothing starts in the volume's zone"
DRY_FOR = timedelta(minutes=30)  # how long nothing is tried in a zone in which nothing started
NOT_ENROLLED = "did not enrol in time"
# EC2's codes for an image that is deregistered, or that its owner shares no more ("Not authorized for images")
IMAGE_REFUSED = frozenset({"InvalidAMIID.NotFound", "InvalidAMIID.Unavailable", "AuthFailure"})
# EC2's codes for a zone whose subnet somebody deleted, or that has no default one: another zone may have its own
ZONE_REFUSED = frozenset({"InvalidSubnetID.NotFound", "MissingInput"})


def advance(ctx: Context, now: datetime, switch: Row) -> bool:
    """One look at a recovery that is preparing; True when something was done."""
    cloud = ctx.clouds(ClientId(switch.client_id))
    if cloud is None:
        return _tell_nobody_can(ctx, now, switch)
    agent = ctx.db.read(lambda tx: fleet.agent_row(tx, switch.agent_id))
    done: bool
    match MoveKind(switch.kind):
        case MoveKind.SYNCED:
            done = ctx.db.write(lambda tx: moves.adopt_standby(tx, now, switch.id))
        case MoveKind.VOLUME:
            done = _launch(ctx, now, cloud, agent, switch) | attach_volumes(
                ctx, now, cloud, switch, detach=False
            )
        case MoveKind.SNAPSHOT:
            done = _snapshot(ctx, now, cloud, agent, switch)
        case MoveKind.IMAGE:
            done = _launch_from_image(ctx, now, cloud, agent, switch)
    granted = ctx.db.write(lambda tx: moves.grant_if_due(tx, now, switch.id))
    if granted:
        ctx.wakeup.agent(switch.new_instance_id or "")
    ctx.soon(now, 5)
    return done or granted


def _tell_nobody_can(ctx: Context, now: datetime, switch: Row) -> bool:
    why = (
        "the server has no AWS account for this client and the instance is gone: name the account (spotguard client "
        f"account NAME --region REGION); or launch a new instance, {START_ANEW}"
    )
    if ctx.news(switch.agent_id, why, now):
        ctx.db.write(
            lambda tx: events.append(tx, now, switch.client_id, switch.agent_id, "recovery_needs_person", why)
        )
    return False


def _launch_from_image(ctx: Context, now: datetime, cloud: Cloud, agent: Row, switch: Row) -> bool:
    """Only while EC2 shows that nothing newer is left: it may have shown less when the move was opened."""
    if switch.new_instance_id is not None or not state_look.refresh(ctx, cloud, agent):
        return False
    left = ctx.db.read(lambda tx: state_left.left_by(tx, agent))
    if left.volumes or left.strays:
        because = f"{', '.join(row.id for row in (*left.volumes, *left.strays))} is left after all"
        return ctx.db.write(lambda tx: moves.unwind(tx, now, switch.id, because))
    return _launch(ctx, now, cloud, agent, switch)


def _launch(ctx: Context, now: datetime, cloud: Cloud, agent: Row, switch: Row) -> bool:
    if switch.new_instance_id is not None:
        return False
    kind = MoveKind(switch.kind)
    only_az = switch.plan.get("az") if kind is MoveKind.VOLUME else None
    places = ctx.db.read(lambda tx: fleet.places_for_emergency(tx, now, agent, only_az))
    return launch_target(
        ctx,
        now,
        cloud,
        agent,
        switch,
        places=places,
        devices=_devices(switch, None),
        image_id=ctx.db.read(lambda tx: _image(tx, agent, switch)),
    )


def _image(tx: sa.Connection, agent: Row, switch: Row) -> str:
    """What it starts from: where that is refused, or what came of it never enrolled, the newest image of ours. It has
    been made of an instance that served, and where volumes bring the state any will do.
    """
    chosen = str(switch.plan.get("image_id") or image_of(tx, agent))
    if not (_is_refused(tx, switch) or _never_enrols(tx, switch)):
        return chosen
    newest = images.newest_of(tx, agent.id)
    return chosen if newest is None else str(newest.id)


def _is_refused(tx: sa.Connection, switch: Row) -> bool:
    asked = intentions.of_seed(tx, switch.id)
    return any(one.outcome is not None and one.outcome.error_code in IMAGE_REFUSED for one in asked)


def _never_enrols(tx: sa.Connection, switch: Row) -> bool:
    """An earlier recovery from the same holder's death came to this."""
    s = switches.c
    earlier = sa.select(s.id).where(
        s.agent_id == switch.agent_id,
        s.from_epoch == switch.from_epoch,
        s.is_recovery,
        s.ended_because.like(f"%{NOT_ENROLLED}"),
    )
    return tx.execute(earlier.limit(1)).first() is not None


def launch_target(  # noqa: PLR0913 - what is launched, for which move, where
    ctx: Context,
    now: datetime,
    cloud: Cloud,
    agent: Row,
    switch: Row,
    *,
    places: Sequence[Place],
    devices: tuple[BlockDevice, ...],
    image_id: str,
    at_once: bool = True,
    voluntary: bool = False,
) -> bool:
    """Launch the move's new instance; the switch row learns its name."""
    if not ctx.db.read(lambda tx: unwinding.goes_on(tx, switch.id)):
        return False
    order = Order(
        agent=agent,
        purpose=PURPOSE if switch.is_recovery else "successor",
        places=places,
        image_id=image_id,
        devices=devices,
        voluntary=voluntary,
        switch_id=SwitchId(switch.id),
        source=None if switch.old_instance_id is None else InstanceId(switch.old_instance_id),
        at_once=at_once,
    )
    result = launches.carry_on(ctx, now, cloud, order)
    match result:
        case Launched():
            view = result.instance
            return ctx.db.write(
                lambda tx: moves.instance_named(
                    tx,
                    now,
                    switch.id,
                    instance_id=view.instance_id,
                    launched_at=view.launched_at,
                    pool=view.pool,
                    mode=view.mode,
                    image_id=view.image_id,
                )
            )
        case NotYet():
            ctx.soon(now, result.again_seconds)
            return False
        case Exhausted():
            return _no_capacity(ctx, now, switch, result.because)
        case Stopped():
            return _needs_person(ctx, now, switch, result)


def _no_capacity(ctx: Context, now: datetime, switch: Row, because: str) -> bool:
    """A planned move unwinds; a recovery tries on, and after a while by another way."""
    if not switch.is_recovery:
        return ctx.db.write(lambda tx: moves.unwind(tx, now, switch.id, because))
    if _is_over(ctx, now, switch):
        return _by_another_way(ctx, now, switch, because)
    if ctx.news(switch.id, "no capacity", now):
        message = f"recovery finds no capacity yet and tries on: {because}"
        ctx.db.write(
            lambda tx: events.append(tx, now, switch.client_id, switch.agent_id, "recovery_waits", message)
        )
    return False


def _is_over(ctx: Context, now: datetime, switch: Row) -> bool:
    """The time after which there is another way."""
    due = ctx.db.read(lambda tx: move_deadlines.due_of(tx, switch))
    return due is not None and due.late is WhenLate.OTHER_WAY and now > due.at


def _by_another_way(ctx: Context, now: datetime, switch: Row, because: str) -> bool:
    return ctx.db.write(lambda tx: moves.unwind(tx, now, switch.id, f"{NOTHING_STARTS}: {because}"))


def _needs_person(ctx: Context, now: datetime, switch: Row, refusal: Stopped) -> bool:
    """What would be refused in every zone is no reason for another way: attached volumes serve soonest once a person
    has mended it.
    """
    refusals.tell(ctx, now, switch, switch.agent_id, code=refusal.code, because=refusal.because)
    if not switch.is_recovery:
        return ctx.db.write(lambda tx: moves.unwind(tx, now, switch.id, refusal.because))
    if refusal.code in ZONE_REFUSED and _is_over(ctx, now, switch):
        return _by_another_way(ctx, now, switch, refusal.because)
    return False


def _devices(switch: Row, snapshots: dict[str, SnapshotId] | None) -> tuple[BlockDevice, ...]:
    """Volumes that are attached later leave their device free; snapshots become volumes at once."""
    kind = MoveKind(switch.kind)
    if kind is MoveKind.VOLUME:
        return tuple(BlockDevice(volume["device"], no_device=True) for volume in switch.plan["volumes"])
    if kind is MoveKind.SNAPSHOT and snapshots is not None:
        return tuple(
            BlockDevice(volume["device"], size_gib=volume["size_gib"], snapshot_id=snapshots[volume["id"]])
            for volume in switch.plan["volumes"]
        )
    if kind is MoveKind.IMAGE and not switch.plan.get("image_id") and switch.plan.get("state_gib"):
        return (BlockDevice(STATE_DEVICE, size_gib=switch.plan["state_gib"]),)
    return ()


def attach_volumes(ctx: Context, now: datetime, cloud: Cloud, switch: Row, *, detach: bool) -> bool:
    """Carry every data volume to the new instance; recorded when EC2 shows all of them there."""
    switch = ctx.db.read(lambda tx: moves.get(tx, switch.id))
    if switch.new_instance_id is None:
        return False
    new = InstanceId(switch.new_instance_id)
    shown = cloud.describe_instances([new])
    if not shown or shown[0].state is not InstanceState.RUNNING:
        return False
    wanted: list[dict[str, Any]] = switch.plan["volumes"]
    views = {v.volume_id: v for v in cloud.describe_volumes([VolumeId(w["id"]) for w in wanted])}
    old = InstanceId(switch.old_instance_id) if detach else None

    def may() -> bool:
        return ctx.db.read(lambda tx: unwinding.goes_on(tx, switch.id))

    arrived = sum(
        _carry(cloud, views[volume_id], new, volume["device"], old, may)
        for volume in wanted
        if (volume_id := VolumeId(volume["id"])) in views
    )
    if arrived < len(wanted):
        ctx.soon(now, 2)
        return False
    rates = rates_if_told(cloud)

    def record(tx: Any) -> bool:
        for view in views.values():
            storage.saw_volume(tx, ClientId(switch.client_id), view, rates)
        return moves.record_step(tx, now, switch.id, Step.VOLUMES_MOVED, now, "server")

    return ctx.db.write(record)


def _carry(
    cloud: Cloud,
    view: VolumeView,
    new: InstanceId,
    device: str,
    old: InstanceId | None,
    may: Callable[[], bool],
) -> bool:
    """One step for one volume; True when it has arrived. `old`: from whom it may be taken.

    `may` is asked right before each call: whoever was held up since his look must not carry on what is given up.
    """
    if view.attached_to == new:
        return view.state is VolumeState.IN_USE
    if view.state is VolumeState.AVAILABLE:
        if may():
            cloud.attach_volume(view.volume_id, new, device)
    elif old is not None and view.attached_to == old and may():
        cloud.detach_volume(view.volume_id, old)
    return False


def _snapshot(ctx: Context, now: datetime, cloud: Cloud, agent: Row, switch: Row) -> bool:
    """A snapshot of each data volume, then a launch wherever there is capacity, with volumes made from them."""
    if switch.new_instance_id is not None:
        return False
    shown = cloud.describe_snapshots(tags={SWITCH_TAG: switch.id, PURPOSE_TAG: PURPOSE})
    made: dict[str, SnapshotId] = {}
    for volume in switch.plan["volumes"]:
        made_of_it = [snapshot for snapshot in shown if snapshot.volume_id == volume["id"]]
        known = [snapshot for snapshot in made_of_it if snapshot.state is not CopyState.FAILED]
        if known and known[0].state is not CopyState.PENDING:
            made[volume["id"]] = known[0].snapshot_id
        elif not known and _zone_may_serve_again(ctx, now, switch):
            return _back_to_its_zone(ctx, now, switch, volume["id"])
        elif not known and not _rests_after_failures(ctx, now, switch, made_of_it):
            _ask_for_snapshot(ctx, now, cloud, switch, VolumeId(volume["id"]))
    if len(made) < len(switch.plan["volumes"]):
        ctx.soon(now, 5)
        return False
    ctx.db.write(lambda tx: moves.record_step(tx, now, switch.id, Step.SNAPSHOTTED, now, "server"))
    places = ctx.db.read(lambda tx: fleet.places_for_emergency(tx, now, agent))
    return launch_target(
        ctx,
        now,
        cloud,
        agent,
        switch,
        places=places,
        devices=_devices(switch, made),
        image_id=ctx.db.read(lambda tx: _image(tx, agent, switch)),
    )


def _ask_for_snapshot(ctx: Context, now: datetime, cloud: Cloud, switch: Row, volume_id: VolumeId) -> None:
    if not ctx.db.read(lambda tx: unwinding.goes_on(tx, switch.id)):
        return
    if _may_have_begun(ctx, now, switch, volume_id):
        return
    whom = ClientId(switch.client_id), AgentId(switch.agent_id)
    tags = ctx.db.read(lambda tx: launch_orders.tags_of(tx, *whom, PURPOSE, switch_id=SwitchId(switch.id)))
    cloud.create_snapshot(volume_id, tags)


def _back_to_its_zone(ctx: Context, now: datetime, switch: Row, volume_id: str) -> bool:
    because = f"EC2 makes no snapshot of {volume_id}: its zone is tried again"
    return ctx.db.write(lambda tx: moves.unwind(tx, now, switch.id, because))


def _zone_may_serve_again(ctx: Context, now: datetime, switch: Row) -> bool:
    """This way was taken since nothing started in the volume's zone, and that is long ago."""
    if now - switch.created_at < DRY_FOR:
        return False
    s = switches.c
    dry = sa.select(s.id).where(
        s.agent_id == switch.agent_id,
        s.from_epoch == switch.from_epoch,
        s.ended_because.like(f"{NOTHING_STARTS}%"),
    )
    return ctx.db.read(lambda tx: tx.execute(dry.limit(1)).first()) is not None


def _rests_after_failures(ctx: Context, now: datetime, switch: Row, failed: Sequence[SnapshotView]) -> bool:
    """What has failed is told, and asked for again after twice as long each time, to ten minutes."""
    if not failed:
        return False
    last = max(failed, key=lambda snapshot: snapshot.started_at)
    because = f"EC2 could not make the snapshot {last.snapshot_id} of {last.volume_id}"
    refusals.tell(ctx, now, switch, switch.agent_id, code="SnapshotFailed", because=because)
    return now - last.started_at < timedelta(minutes=min(2 ** len(failed), 10))


def _may_have_begun(ctx: Context, now: datetime, switch: Row, volume_id: str) -> bool:
    """A snapshot asked for a moment ago may not show yet: there is no client token, so a while is waited."""
    asked = ctx.told.get((switch.id, volume_id))
    if asked is not None and now - asked < timedelta(seconds=60):
        return True
    ctx.told[switch.id, volume_id] = now
    return False
