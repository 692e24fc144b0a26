"""What waits for a person, who never comes in a simulated world: kept for him, and no breach of a promise.

And what waits for EC2, which would not end it when it was asked: for that nobody can be blamed who goes on asking. And
a new holder whose line was cut before it heard of its epoch: nobody may act in its place (ruling B4).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa

from spotguard.domain.agents import OFFLINE_AFTER
from spotguard.domain.ids import AgentId, InstanceId, VolumeId
from spotguard.domain.switches import Step, SwitchStatus
from spotguard.planning.cleaning import FOUND
from spotguard.planning.invariants import ORPHAN_AFTER, Breach, no_orphan, nothing_waits_for_ever
from spotguard.simulation import lookups
from spotguard.simulation.records import Records
from spotguard.simulation.world import World
from spotguard.store import deaths, grants, left_for_people, leftover_report, tickets, unheard
from spotguard.store.steps import LEFT_RUNNING
from spotguard.store.tables import agent_events, instances, storage_resources, switch_steps, switches

HEARS_WITHIN = timedelta(minutes=2)  # of a line that is whole again: an agent asks at least once a minute

_SUSPECTED = sa.union_all(
    sa.select(instances.c.id).where(instances.c.suspect_since.is_not(None), instances.c.is_active),
    sa.select(storage_resources.c.id).where(
        storage_resources.c.suspect_since.is_not(None), storage_resources.c.ended_at.is_(None)
    ),
)


class ForEc2:
    """The five minutes within which what nothing refers to is gone begin anew when EC2 refuses a call for its end.

    A breach that is `excused` so is watched on: without another refusal the resource has to be gone in time.
    """

    def __init__(self, refused: Mapping[str, datetime]) -> None:
        """`refused`: when EC2 last refused it, by resource; grows while the world runs."""
        self._refused = refused
        self._known: set[Breach] = set()
        self._waiting: set[str] = set()
        self.excused: set[Breach] = set()

    def complaints(self, world: World) -> list[str]:
        """Of those that had been excused: who was left lying although EC2 would have let go of it."""
        for breach in {breach for seat in world.seats for breach in seat.breaches} - self._known:
            self._known.add(breach)
            resource = breach.what.split()[0]
            if breach.invariant == no_orphan.__name__ and self._is_young(world, resource):
                self.excused.add(breach)
                self._waiting.add(resource)
        late = {resource for resource in self._waiting if not self._is_young(world, resource)}
        self._waiting -= late
        left = late and late & set(world.db.read(lambda tx: tx.scalars(_SUSPECTED).all()))
        return [f"{resource} belongs to nothing, and EC2 would let go of it" for resource in sorted(left)]

    def _is_young(self, world: World, resource: str) -> bool:
        at = self._refused.get(resource)
        return at is not None and world.clock.now() - at <= ORPHAN_AFTER


class ForALine:
    """A new holder that was heard, and is cut off before it hears of its epoch, opens when its line is whole again.

    Until then its move is late, which people are told. One that is granted an epoch and never heard anything is not
    excused, nor is one whose line is whole.
    """

    def __init__(self) -> None:
        self._cut_at: dict[str, datetime] = {}  # when the line of an instance was last seen cut
        self._known: set[Breach] = set()
        self._waiting: set[str] = set()  # moves
        self.excused: set[Breach] = set()

    def complaints(self, world: World) -> list[str]:
        """Of those that had been excused: whose line is whole, and who does not open."""
        now = world.clock.now()
        for whose, trouble in world.troubles.items():
            if world.link.away or max(trouble.line.request_lost, trouble.line.answer_lost) >= 1:
                self._cut_at[whose] = now
        for breach in {breach for seat in world.seats for breach in seat.breaches} - self._known:
            self._known.add(breach)
            move = _late_to_open(breach)
            if move is not None and self._is_cut(world, move):
                self.excused.add(breach)
                self._waiting.add(move)
        whole = {move for move in self._waiting if not self._is_cut(world, move)}
        self._waiting -= whole
        return [
            f"switch {move}: the line of its new holder is whole, and it does not open"
            for move in sorted(whole)
            if _should_have_opened(world, move)
        ]

    def _is_cut(self, world: World, move: str) -> bool:
        holder = _new_instance(world, move)
        process = None if holder is None else world.processes.get(holder)
        at = None if holder is None else self._cut_at.get(holder)
        if process is None or at is None or not process.has_enrolled:
            return False
        return world.clock.now() - at <= HEARS_WITHIN


def _late_to_open(breach: Breach) -> str | None:
    """The move that it speaks of."""
    if breach.invariant != nothing_waits_for_ever.__name__ or f" waits for {Step.OPENED}," not in breach.what:
        return None
    return breach.what.split()[1]


def _new_instance(world: World, move: str) -> InstanceId | None:
    found = world.db.read(
        lambda tx: tx.scalar(sa.select(switches.c.new_instance_id).where(switches.c.id == move))
    )
    return None if found is None else InstanceId(found)


def _should_have_opened(world: World, move: str) -> bool:
    """It runs and is heard, no other move is under way, and nobody has said that it serves."""
    if _new_instance(world, move) not in world.processes:
        return False  # it has ended, which the server may not have seen yet
    other = switches.alias()
    told = sa.exists().where(switch_steps.c.switch_id == move, switch_steps.c.step == Step.OPENED.value)
    moving = sa.exists().where(
        other.c.agent_id == switches.c.agent_id, other.c.status == SwitchStatus.PREPARING.value
    )
    waits = (
        sa.select(switches.c.id)
        .join(instances, instances.c.id == switches.c.new_instance_id)
        .where(
            switches.c.id == move,
            switches.c.status == SwitchStatus.COMMITTED.value,
            instances.c.last_heartbeat_at > world.clock.now() - OFFLINE_AFTER,
            sa.not_(sa.or_(told, moving)),
        )
    )
    return world.db.read(lambda tx: tx.scalar(waits)) is not None


def for_a_person(world: World, name: str) -> bool:
    """A ticket was out, both of its ends have ended, and nobody can tell who served last: he was told, both are kept.

    That one of their volumes has every record the client's register knows; the product cannot.
    """
    doubt, pair = _doubt(world, name)
    if doubt is None:
        return False
    told = (
        sa.select(agent_events.c.id).where(agent_events.c.message.contains(doubt, autoescape=True)).limit(1)
    )
    newest, s = world.registers[name].acknowledged, storage_resources.c
    return world.db.read(lambda tx: tx.execute(told).first()) is not None and any(
        volume.content.last >= newest
        for volume_id in _volumes_of(world, sa.or_(s.last_attached_to.in_(pair), s.moved_from.in_(pair)))
        if isinstance((volume := world.ec2.world.volumes[VolumeId(volume_id)]).content, Records)
    )


def kept_storage(world: World, name: str) -> set[str]:
    """All that its agent has, until he has decided: the volumes of both ends of such a ticket and of later standbys,
    and the images of moves that were given up meanwhile.
    """
    doubt, _ = _doubt(world, name)
    if doubt is None:
        return set()
    whose = storage_resources.c.agent_id == lookups.agent(world, name).id
    return _storage_of(world, whose)


def _volumes_of(world: World, whose: sa.ColumnElement[bool]) -> set[str]:
    return _storage_of(world, sa.and_(storage_resources.c.kind == "volume", whose))


def _storage_of(world: World, whose: sa.ColumnElement[bool]) -> set[str]:
    wanted = sa.select(storage_resources.c.id).where(storage_resources.c.ended_at.is_(None), whose)
    return set(world.db.read(lambda tx: tx.scalars(wanted).all()))


def told_volumes(world: World) -> set[str]:
    """What may be state and lies there alone, where an event and the list of leftovers tell the tenant of it."""
    told = sa.select(agent_events.c.detail).where(
        agent_events.c.kind == FOUND, agent_events.c.client_id == world.client_id
    )

    def look(tx: sa.Connection) -> set[str]:
        named = {detail["resource_id"] for detail in tx.scalars(told)}
        kept = {one.row.id for one in left_for_people.of_all(tx)}
        listed = {one.resource_id for one in leftover_report.report(tx, world.clock.now(), world.client_id)}
        return named & kept & listed

    return world.db.read(look)


def _doubt(world: World, name: str) -> tuple[str | None, list[str]]:
    agent = lookups.agent(world, name)

    def look(tx: sa.Connection) -> tuple[str | None, list[str]]:
        held = grants.holder(tx, AgentId(agent.id))
        if held is None or not deaths.is_dead(tx, held.instance_id):
            return None, []
        doubt, out = unheard.who_served_last(tx, agent.id, held), tickets.out_of(tx, agent.id)
        return doubt, [] if doubt is None or out is None else [held.instance_id, out.to_instance_id]

    return world.db.read(look)


def left_running(world: World, agent_id: str) -> set[str]:
    """Old instances that their user did not want ended (auto-terminate off)."""
    wanted = (
        sa.select(switch_steps.c.detail, switches.c.old_instance_id)
        .join(switches, switches.c.id == switch_steps.c.switch_id)
        .where(switches.c.agent_id == agent_id, switch_steps.c.step == Step.OLD_ENDED.value)
    )
    rows = world.db.read(lambda tx: tx.execute(wanted).all())
    return {row.old_instance_id for row in rows if row.detail.get(LEFT_RUNNING)}
