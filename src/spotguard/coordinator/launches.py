"""Launching for the coordinator: places become candidates, the outcome becomes rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from spotguard.coordinator.context import Context, Row
from spotguard.coordinator.shapes import shape_for
from spotguard.domain.ids import AgentId, ClientId, DrillId, ImageId, InstanceId, ProbeId, ReplicaId, SwitchId
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.execution.launching import (
    SOON_SECONDS,
    Candidate,
    Exhausted,
    Launched,
    LaunchResult,
    LaunchWish,
    NotYet,
    launch,
    refused,
)
from spotguard.planning.standby import Place
from spotguard.ports.cloud import BlockDevice, Cloud, InstanceView
from spotguard.ports.intentions import Intention, IntentionKind, IntentionStatus
from spotguard.ports.shape import Shape
from spotguard.store import events, launch_orders, quarantine, sightings
from spotguard.store.intentions import DatabaseIntentions, Wisher
from spotguard.store.quarantine import REFUSED


@dataclass(frozen=True)
class Order:
    """One instance for a switch, a replica, a drill or a probe. `at_once`: an instant fleet over all places.

    `reshape`: in what one that is set apart differs from its original. `strikes`: a pool that refuses is left alone for
    a while; of a probe's look the probe tells.
    """

    agent: Row
    purpose: str
    places: Sequence[Place]
    image_id: str
    devices: tuple[BlockDevice, ...]
    voluntary: bool
    switch_id: SwitchId | None = None
    replica_id: ReplicaId | None = None
    at_once: bool = False
    source: InstanceId | None = None  # the instance that it stands in for
    drill_id: DrillId | None = None
    probe_id: ProbeId | None = None
    reshape: Callable[[Shape], Shape] | None = None
    strikes: bool = True

    @property
    def seed(self) -> str:
        return str(self.replica_id or self.switch_id or self.drill_id or self.probe_id)

    @property
    def wisher(self) -> Wisher:
        whom = ClientId(self.agent.client_id), AgentId(self.agent.id)
        return Wisher(*whom, self.switch_id, self.replica_id, self.voluntary, self.drill_id, self.probe_id)


def carry_on(ctx: Context, now: datetime, cloud: Cloud, order: Order) -> LaunchResult:
    """As far as it goes now; rows follow what EC2 said. `Refused`: a spend cap.

    Rescues have a lane of their own: while EC2 throttles one of them, no voluntary launch of that client is asked for.
    """
    client_id = ClientId(order.agent.client_id)
    if order.voluntary and ctx.lane_is_kept(client_id, now):
        return NotYet(SOON_SECONDS, "EC2 throttles, and rescues wait: they go first")
    intentions = DatabaseIntentions(ctx.db, ctx.clock, order.wisher)
    former = [i for i in intentions.of(order.seed) if i.purpose == order.purpose]
    tags = ctx.db.read(lambda tx: _tags(tx, order))

    def user_data() -> str:
        if order.probe_id is not None:
            return ""  # nothing enrols there
        return ctx.db.write(lambda tx: _user_data(tx, now, order))

    def shape() -> Shape | None:
        found = None
        if order.source is not None:
            found = shape_for(ctx, now, cloud, order.source, urgent=not order.voluntary)
        if order.reshape is None:
            return found
        return order.reshape(found or Shape())  # shut in, even if nobody knows what its original looks like

    def wish(attempt: int) -> LaunchWish:
        return LaunchWish(
            seed=order.seed,
            purpose=order.purpose,
            candidates=[
                Candidate(place.pool, place.mode, place.usd_per_hour) for place in _allowed(order, attempt)
            ],
            image_id=ImageId(order.image_id),
            tags=tags,
            user_data=user_data,
            block_devices=order.devices,
            shape=shape,
            attempt=attempt,
            at_once=order.at_once,
        )

    attempt = _attempt(former)
    result = launch(cloud, intentions, wish(attempt), now)
    if isinstance(result, Exhausted) and result.ended is not None and order.probe_id is None:
        result = launch(cloud, intentions, wish(attempt + 1), now)
    if isinstance(result, NotYet) and result.throttled and not order.voluntary:
        ctx.keep_lane(client_id, now)
    known = {i.token for i in former}
    fresh = [i for i in intentions.of(order.seed) if i.token not in known]
    dry = [(pool, mode, _code(fresh, pool, mode)) for mode in Mode for pool in refused(fresh, mode)]
    ctx.db.write(lambda tx: _write(tx, now, order, result, dry if order.strikes else []))
    return result


def _tags(tx: sa.Connection, order: Order) -> dict[str, str]:
    return launch_orders.tags_of(
        tx,
        ClientId(order.agent.client_id),
        AgentId(order.agent.id),
        order.purpose,
        switch_id=order.switch_id,
        replica_id=order.replica_id,
        drill_id=order.drill_id,
        probe_id=order.probe_id,
    )


def _user_data(tx: sa.Connection, now: datetime, order: Order) -> str:
    return launch_orders.user_data_of(
        tx,
        now,
        ClientId(order.agent.client_id),
        AgentId(order.agent.id),
        switch_id=order.switch_id,
        replica_id=order.replica_id,
        drill_id=order.drill_id,
    )


def _allowed(order: Order, attempt: int) -> Sequence[Place]:
    """A fleet does not keep to an order strictly: pools of the last resort come in once all others have refused."""
    if attempt > 1 or not order.at_once:
        return order.places
    return [place for place in order.places if not place.last_resort] or order.places


def _attempt(former: Sequence[Intention]) -> int:
    """A fleet that found nothing is asked anew with a fresh token."""
    last = max((i.attempt for i in former), default=1)
    came_to_nothing = any(
        i.attempt == last and i.kind is IntentionKind.FLEET and i.status is IntentionStatus.FAILED
        for i in former
    )
    return last + 1 if came_to_nothing else last


def _write(
    tx: sa.Connection,
    now: datetime,
    order: Order,
    result: LaunchResult,
    dry: Sequence[tuple[Pool, Mode, str]],
) -> None:
    client_id = ClientId(order.agent.client_id)
    if isinstance(result, Launched):
        is_new = sightings.get(tx, result.instance.instance_id) is None
        sightings.saw(tx, now, client_id, [result.instance])
        if is_new:
            _tell_last_resort(tx, now, order, result.instance)
    for pool, mode, code in dry:
        quarantine.strike(tx, now, client_id, pool, f"{REFUSED} ({code})", mode)


def _code(attempts: Sequence[Intention], pool: Pool, mode: Mode) -> str:
    """EC2's own, of the newest refusal."""
    codes = [
        i.outcome.error_code for i in attempts if (i.pool, i.mode) == (pool, mode) and i.outcome is not None
    ]
    return str(codes[-1])


def _tell_last_resort(tx: sa.Connection, now: datetime, order: Order, view: InstanceView) -> None:
    chosen = [p for p in order.places if (p.pool.id, p.mode) == (view.pool.id, view.mode)]
    if not any(place.last_resort for place in chosen):
        return
    message = (
        f"{view.instance_id} is launched in {view.pool.id}, which is in quarantine or has just been lost: "
        "nothing else had capacity"
    )
    detail = {"instance_id": view.instance_id, "pool_id": view.pool.id}
    events.append(tx, now, order.agent.client_id, order.agent.id, "last_resort", message, detail)
