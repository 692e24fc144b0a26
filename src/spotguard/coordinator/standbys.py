"""Standbys: rows as the settings ask, machines as the rows ask, an end for those that died or never came up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import chain
from typing import Any

import sqlalchemy as sa

from spotguard.coordinator import launches
from spotguard.coordinator.agenda import Agenda, Work, client_of_replica
from spotguard.coordinator.context import REST, Context, Row
from spotguard.coordinator.launches import Order
from spotguard.coordinator.turns import Fair, Turns
from spotguard.domain.commands import CommandStatus, CommandType, CreatedBy, Priority
from spotguard.domain.errors import Refused
from spotguard.domain.ids import AgentId, ClientId, CommandId, InstanceId, ReplicaId
from spotguard.domain.instances import InstanceState, Mode
from spotguard.domain.pools import Pool
from spotguard.domain.replicas import LIVE_REPLICA, ReplicaStatus, ReplicaType
from spotguard.domain.switches import MoveKind
from spotguard.execution.launching import Exhausted, Launched, NotYet, Stopped
from spotguard.planning.standby import Place
from spotguard.store import (
    commands,
    drills,
    events,
    fleet,
    grants,
    intentions,
    launch_orders,
    live_signals,
    moves,
    outgoing,
    quotas,
    replicas,
    sightings,
    standbys,
)
from spotguard.store.cap_room import within_caps
from spotguard.store.starting_images import image_of
from spotguard.store.tables import commands as commands_table

_OVER = (InstanceState.SHUTTING_DOWN.value, InstanceState.TERMINATED.value, InstanceState.STOPPED.value)
_COMMAND_VALID = timedelta(minutes=10)
_MOST_PLACES = 8  # of each market in one order


class Standbys:
    """Keeps wishes and machines together. A failed launch ends its row; the next wish waits its turn (B13)."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self._fair = Fair(ctx, client_of_replica)
        self._turns: Turns[str] = Turns(ctx)
        self._turns_of_need: Turns[str] = Turns(ctx)

    def run(self, now: datetime, agenda: Agenda) -> int:
        urgent = self.ctx.awake(agenda.of(Work.REPLICA), now)
        wanted = self.ctx.awake(agenda.of(Work.STANDING), now)
        in_turn = chain(self._fair.of(urgent), self._turns.of(wanted))
        tended = self.ctx.each("replicas", in_turn, lambda row_id: self._tend(now, ReplicaId(row_id)))
        needy = dict.fromkeys(agenda.of(Work.NEED))
        in_need = self._turns_of_need.of(needy)
        return tended + self.ctx.each("standbys", in_need, lambda agent: self._keep(now, AgentId(agent)))

    def _keep(self, now: datetime, agent_id: AgentId) -> bool:
        made = self.ctx.db.write(lambda tx: standbys.keep(tx, now, fleet.agent_row(tx, agent_id)))
        for replica_id in made:
            self._tend(now, replica_id)
        return bool(made)

    def _tend(self, now: datetime, replica_id: ReplicaId) -> bool:
        """One live replica: launch what has no machine, end what died or never enrolled."""
        replica, agent, machine = self.ctx.db.read(lambda tx: _facts(tx, replica_id))
        if replica is None or agent is None or replica.status not in LIVE_REPLICA:
            return False
        if replica.instance_id is None:
            if self.ctx.db.read(lambda tx: _why_given_up(tx, now, agent, replica)) is not None:
                return self.ctx.db.write(lambda tx: _give_up(tx, now, agent, replica))
            return self._launch(now, agent, replica)
        within = None if self.ctx.was_away(now) else self.ctx.settings.enrol_within_seconds
        because = _why_lost(now, replica, machine, within)
        if because is None:
            if replica.status == ReplicaStatus.READY:
                self.ctx.rest(replica_id, now, now + REST)
            return False
        return self.ctx.db.write(lambda tx: replicas.fail(tx, now, replica_id, because))

    def _launch(self, now: datetime, agent: Row, replica: Row) -> bool:
        cloud = self.ctx.clouds(ClientId(agent.client_id))
        if cloud is None:
            return self._ask(now, agent, replica)
        try:
            order = self._order(now, agent, replica)
            result = launches.carry_on(self.ctx, now, cloud, order)
        except Refused as refusal:  # a spend cap or a quota binds standbys: the row waits until there is room
            return self._wait(now, replica, str(refusal))
        match result:
            case Launched():
                return self.ctx.db.write(lambda tx: _named(tx, now, replica, result, order.places))
            case NotYet():
                self.ctx.soon(now, result.again_seconds)
                return False
            case Exhausted():
                return self._failed(now, agent, replica, result.because)
            case Stopped():
                why = f"EC2 refuses, a person must act: {result.because}"
                return self._failed(now, agent, replica, why)

    def _order(self, now: datetime, agent: Row, replica: Row) -> Order:
        """`Refused` while no quota has room for one that is no emergency."""
        emergency = self.ctx.db.read(lambda tx: _is_emergency(tx, now, replica))
        client_id, replica_id = ClientId(agent.client_id), ReplicaId(replica.id)
        places = self.ctx.db.read(lambda tx: _places(tx, now, agent, replica, emergency=emergency))
        parent = self.ctx.db.read(lambda tx: _parent(tx, agent, replica))
        devices = self.ctx.db.read(lambda tx: launch_orders.devices_of(tx, parent, MoveKind.SYNCED))
        begun = self.ctx.db.read(lambda tx: intentions.of_seed(tx, replica.id))
        if not (emergency or begun):  # what EC2 was asked for is carried on
            places = self.ctx.db.read(lambda tx: quotas.with_room(tx, now, client_id, places, replica_id))
        return Order(
            agent=agent,
            purpose="standby",
            places=places,
            image_id=self.ctx.db.read(lambda tx: image_of(tx, agent)),
            devices=devices,
            voluntary=not emergency,
            replica_id=replica_id,
            source=parent,
            at_once=replica.replica_type == ReplicaType.TERMINATION,
        )

    def _ask(self, now: datetime, agent: Row, replica: Row) -> bool:
        try:
            return self.ctx.db.write(lambda tx: _ask_agent(tx, now, agent, replica))
        except Refused as refusal:
            return self._wait(now, replica, str(refusal))

    def _wait(self, now: datetime, replica: Row, because: str) -> bool:
        if self.ctx.news(replica.id, because, now):
            self.ctx.db.write(lambda tx: _tell(tx, now, replica, "replica_waits", because))
        return False

    def _failed(self, now: datetime, agent: Row, replica: Row, because: str) -> bool:
        self.ctx.wakeup.coordinator()
        return self.ctx.db.write(lambda tx: replicas.fail(tx, now, ReplicaId(replica.id), because))


def _facts(tx: sa.Connection, replica_id: ReplicaId) -> tuple[Row | None, Row | None, Row | None]:
    """The replica, its agent, its machine."""
    replica = replicas.row_of(tx, replica_id)
    if replica is None:
        return None, None, None
    machine = None if replica.instance_id is None else sightings.get(tx, replica.instance_id)
    return replica, fleet.agent_row(tx, replica.agent_id), machine


def _is_emergency(tx: sa.Connection, now: datetime, replica: Row) -> bool:
    """No cap binds it, and any place will do. What its user keeps or a drill made is a wish, until a signal for who
    serves makes it the rescue.
    """
    is_wish = replica.replica_type == ReplicaType.MANUAL or drills.is_made_for_one(tx, replica.id)
    if not is_wish:
        return True
    held = grants.holder(tx, AgentId(replica.agent_id))
    return held is not None and bool(live_signals.signalled(tx, now, [held.instance_id]))


def _why_given_up(tx: sa.Connection, now: datetime, agent: Row, replica: Row) -> str | None:
    """Its user's word or the kill switch ends a wish for which nobody has asked EC2 yet; what was asked for goes on."""
    because = standbys.why_stopped(tx, agent, is_emergency=_is_emergency(tx, now, replica))
    if because is None or intentions.of_seed(tx, replica.id):
        return None
    leased = any(row.status == CommandStatus.LEASED for row in _orders(tx, agent, replica))
    return None if leased else because


def _give_up(tx: sa.Connection, now: datetime, agent: Row, replica: Row) -> bool:
    """Judged again in the transaction that ends it: its agent may have fetched the order meanwhile."""
    orders = _orders(tx, agent, replica, for_update=True)
    because = _why_given_up(tx, now, agent, replica)
    if because is None:
        return False
    for order in orders:
        commands.cancel(tx, now, CommandId(order.id), because)
    return replicas.retire(tx, now, replica.id, because)


def _orders(tx: sa.Connection, agent: Row, replica: Row, *, for_update: bool = False) -> list[Row]:
    """The commands that ask its agent for this replica's machine."""
    c = commands_table.c
    found = sa.select(c.id, c.status, c.payload).where(
        c.agent_id == agent.id,
        c.command_type == CommandType.LAUNCH_REPLICA.value,
        c.created_at >= replica.created_at,
    )
    rows: Sequence[Any] = tx.execute(found.with_for_update() if for_update else found).all()
    return [row for row in rows if row.payload.get("replica_id") == replica.id]


def _parent(tx: sa.Connection, agent: Row, replica: Row) -> InstanceId | None:
    held = grants.holder(tx, agent.id)
    if held is not None:
        return InstanceId(held.instance_id)
    return None if replica.parent_instance_id is None else InstanceId(replica.parent_instance_id)


def _places(
    tx: sa.Connection, now: datetime, agent: Row, replica: Row, *, emergency: bool
) -> tuple[Place, ...]:
    """Where the row says first, then the other safe places in their order."""
    own = Place(Pool(replica.instance_type, replica.az), Mode(replica.mode), replica.hourly_cost)
    others = (
        fleet.places_for_emergency(tx, now, agent) if emergency else fleet.places_for_standby(tx, now, agent)
    )
    rest = tuple(place for place in others if (place.pool.id, place.mode) != (own.pool.id, own.mode))
    still_fit = not others or any((p.pool.id, p.mode) == (own.pool.id, own.mode) for p in others)
    return (own, *rest) if still_fit else rest


def _named(tx: sa.Connection, now: datetime, replica: Row, result: Launched, places: Sequence[Place]) -> bool:
    view = result.instance
    named = replicas.machine_named(tx, now, replica.id, view.instance_id, view.launched_at)
    if not named:
        return False
    cost = next((p.usd_per_hour for p in places if (p.pool.id, p.mode) == (view.pool.id, view.mode)), None)
    replicas.relocated(tx, replica.id, pool=view.pool, mode=view.mode, hourly_cost=cost)
    switch = moves.preparing_of(tx, replica.agent_id)
    if switch is not None and switch.replica_id == replica.id:
        moves.adopt_standby(tx, now, switch.id)
    _tell(
        tx,
        now,
        replica,
        "replica_launched",
        f"{view.instance_id} is launched in {view.pool.id} ({view.mode})",
    )
    return True


def _why_lost(now: datetime, replica: Row, machine: Row | None, enrol_within: float | None) -> str | None:
    """`enrol_within` None: it may have had nobody to enrol with."""
    if machine is not None and (not machine.is_active or machine.ec2_state in _OVER):
        return f"its instance {replica.instance_id} has ended"
    # who enrols again has been heard, and is silent first: `store.silence`
    enrolled = machine is not None and (fleet.is_enrolled(machine) or replica.synced_at is not None)
    since = replica.launched_at or replica.created_at
    if not enrolled and enrol_within is not None and (now - since).total_seconds() > enrol_within:
        return f"its instance {replica.instance_id} did not enrol within {enrol_within / 60:.0f} minutes"
    return None


def _ask_agent(tx: sa.Connection, now: datetime, agent: Row, replica: Row) -> bool:
    """Where the server has no EC2, the primary's agent launches: one command per replica row."""
    held = grants.holder(tx, agent.id)
    if held is None:
        return False
    if _orders(tx, agent, replica):
        return False
    client_id, agent_id = ClientId(agent.client_id), AgentId(agent.id)
    voluntary = not _is_emergency(tx, now, replica)
    places = _ordered_places(tx, now, agent, replica)
    if voluntary:
        roomy = quotas.with_room(tx, now, client_id, places, ReplicaId(replica.id))
        ending = outgoing.machine_of(tx, agent_id)
        places = within_caps(tx, now, client_id, agent_id, roomy, after=ending)
    dearest = _dearest(places)
    intentions.reserve(
        tx,
        now,
        intentions.Wisher(client_id, agent_id, None, ReplicaId(replica.id), voluntary=voluntary),
        pool=Pool(replica.instance_type, replica.az),
        mode=Mode(replica.mode),
        usd_per_hour=dearest,
    )
    commands.enqueue(
        tx,
        now,
        client_id=client_id,
        agent_id=agent_id,
        instance_id=InstanceId(held.instance_id),
        command_type=CommandType.LAUNCH_REPLICA,
        priority=Priority.USER if voluntary else Priority.EMERGENCY,
        created_by=CreatedBy.COORDINATOR,
        expires_at=now + _COMMAND_VALID,
        reason=replica.because,
        payload=_launch_payload(tx, now, agent, replica, places),
        epoch=held.epoch,
    )
    return True


def _ordered_places(tx: sa.Connection, now: datetime, agent: Row, replica: Row) -> tuple[Place, ...]:
    """The ladder that an agent is ordered to climb; pools of the last resort only where there are no others."""
    emergency = _is_emergency(tx, now, replica)
    places = _places(tx, now, agent, replica, emergency=emergency)
    fit = [place for place in places if not place.last_resort] or places
    spot = [place for place in fit if place.mode is Mode.SPOT][:_MOST_PLACES]
    fixed = [place for place in fit if place.mode is Mode.ONDEMAND][:_MOST_PLACES]
    return (*spot, *fixed)


def _dearest(places: Sequence[Place]) -> Decimal | None:
    """What is reserved until it is known which of them it became; None when a price is not known."""
    prices = [place.usd_per_hour for place in places]
    return None if None in prices else max((price for price in prices if price is not None), default=None)


def _launch_payload(
    tx: sa.Connection, now: datetime, agent: Row, replica: Row, places: Sequence[Place]
) -> dict[str, Any]:
    launch = launch_orders.payload_of(
        tx,
        now,
        client_id=ClientId(agent.client_id),
        agent_id=AgentId(agent.id),
        pool=Pool(replica.instance_type, replica.az),
        mode=Mode(replica.mode),
        image_id=image_of(tx, agent),
        purpose="standby",
        devices=launch_orders.devices_of(tx, _parent(tx, agent, replica), MoveKind.SYNCED),
        places=places,
        at_once=replica.replica_type == ReplicaType.TERMINATION,
        replica_id=ReplicaId(replica.id),
    )
    return {"replica_id": replica.id, "launch": launch}


def _tell(tx: sa.Connection, now: datetime, replica: Row, kind: str, message: str) -> None:
    agent = fleet.agent_row(tx, replica.agent_id)
    events.append(tx, now, agent.client_id, agent.id, kind, message, {"replica_id": replica.id})
