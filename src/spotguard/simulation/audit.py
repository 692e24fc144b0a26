"""The verdict at the end: promises checked against EC2, the registers and the meter, not the database alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import pairwise
from typing import Any

import sqlalchemy as sa

from spotguard.cloud.simulated.state import Machine
from spotguard.domain.drills import OPEN_DRILL
from spotguard.domain.ids import AgentId, InstanceId
from spotguard.domain.instances import InstanceState
from spotguard.domain.money import cents
from spotguard.domain.probes import OPEN_PROBE
from spotguard.domain.replicas import LIVE_REPLICA
from spotguard.domain.signals import SignalType
from spotguard.domain.switches import OPEN_SWITCH, Trigger
from spotguard.domain.tags import MANAGED_TAG, REPLICA_TAG, SWITCH_TAG
from spotguard.execution.launching import AT_ONCE_FOR
from spotguard.planning.invariants import Breach
from spotguard.planning.restore_points import RestorePoint
from spotguard.ports.intentions import TOKEN_TAG, IntentionKind
from spotguard.simulation import lookups, probing, promises, rehearsed, waiting
from spotguard.simulation.lookups import Row
from spotguard.simulation.machine import state_of
from spotguard.simulation.records import Loss
from spotguard.simulation.world import World
from spotguard.store import audit, ledger, restore_points
from spotguard.store.handovers import BY_TICKET
from spotguard.store.tables import (
    agents,
    drills,
    epoch_grants,
    handover_tickets,
    instances,
    intentions,
    ledger_entries,
    probes,
    replica_instances,
    spot_interruption_events,
    storage_resources,
    switches,
)

UNTOLD_SECONDS = 10.0  # between the last pass that a rule looked at and the death itself
HALF_A_CENT = Decimal("0.005")
CLEARED_WITHIN = timedelta(minutes=5)
_UNHEARD = (Trigger.EMERGENCY, Trigger.REBALANCE)


@dataclass(frozen=True)
class Verdict:
    """`checked` counts single checks; `broken` and `orphans` hold one sentence each."""

    checked: int
    broken: list[str]
    orphans: list[str]
    records: dict[str, int]


def judge(world: World, excused: Collection[Breach] = ()) -> Verdict:
    """Look at everything once; the coordinator's own checks of the run are counted in, but for what is `excused`."""
    checks = [
        one_writer(world),
        nothing_lost_on_planned_moves(world),
        losses_are_told(world),
        asked_once(world),
        nobody_doomed_is_promoted(world),
        nothing_doubled(world),
        everybody_serves(world),
        counters(world),
        ledger_is_recomputable(world),
        ledger_equals_meter(world),
        promises.savings_are_of_what_was_served(world),
        promises.stopped_is_stopped(world),
        rehearsed.nothing_missing(world),
        rehearsed.certificates_are_earned(world),
        rehearsed.gates_close_in_time(world),
        rehearsed.clones_are_in_quarantine(world),
        probing.probes_are_charged(world),
        probing.no_pool_is_looked_at_twice(world),
        rehearsed.rehearsals_end(world),
        rehearsed.salvages_tell_the_truth(world),
    ]
    world.coordinator.check_invariants(world.clock.now())
    breaches = [breach for seat in world.seats for breach in seat.breaches if breach not in excused]
    broken = [f"{breach.invariant}: {breach.what}" for breach in breaches]
    broken += [line for lines in checks for line in lines]
    checked = sum(seat.checked for seat in world.seats) + len(checks)
    return Verdict(checked, broken, orphans_of(world), records_of(world))


def one_writer(world: World) -> list[str]:
    """Invariant 1, by the clients' own registers: no record was ever taken by two instances at once."""
    return [f"{name}: {what}" for name, register in world.registers.items() for what in register.overlaps]


def nothing_lost_on_planned_moves(world: World) -> list[str]:
    """Invariant 4: a record may only be missing after a death that nobody heard coming."""
    makers = lookups.Makers(lookups.moves(world))
    broken = []
    for name, register in world.registers.items():
        for loss in register.losses:
            move = makers.of(loss.instance_id, loss.epoch)
            if move is None or move.event_trigger not in _UNHEARD or not move.is_recovery:
                how = "without a move" if move is None else f"by a {move.event_trigger} {move.kind} move"
                broken.append(f"{name}: {loss.count} records lost at {loss.at.isoformat()} {how}")
    return broken


def losses_are_told(world: World) -> list[str]:
    """Invariant 4: after a death that nobody heard coming the gap is bounded and recorded."""
    makers = lookups.Makers(lookups.moves(world))
    broken = []
    for name, register in world.registers.items():
        served = {session.instance_id for session in register.sessions}
        for loss in register.losses:
            told = _told(makers, served, loss)
            lost = loss.count * register.seconds_per_record
            if lost > told + UNTOLD_SECONDS:
                broken.append(
                    f"{name}: {lost:.0f} s of records lost at {loss.at.isoformat()}, told were {told}"
                )
    return broken


def _told(makers: lookups.Makers, served: set[str], loss: Loss) -> float:
    """Seconds, by the move that made it, and by those before it whose own instance died before it ever served."""
    told, move = 0.0, makers.of(loss.instance_id, loss.epoch)
    while move is not None:
        told += float(move.lost_seconds or 0)
        move = None if move.old_instance_id in served else makers.of(move.old_instance_id, move.from_epoch)
    return told


def asked_once(world: World) -> list[str]:
    """Invariant 6: ask twice, get once. Two machines that live at once were never made for one move or one replica.

    But for an emergency's, while EC2 hides the first: its workload waits a minute for that, and no longer.
    """
    made: dict[str, list[Machine]] = {}
    for machine in world.ec2.world.machines.values():
        wish = machine.tags.get(SWITCH_TAG) or machine.tags.get(REPLICA_TAG)
        if wish is not None and MANAGED_TAG in machine.tags:
            made.setdefault(wish, []).append(machine)
    asked = _urgent_ones(world)
    return [
        f"{later.instance_id} was made for {wish} while {former.instance_id} lived"
        for wish, machines in made.items()
        for former, later in pairwise(sorted(machines, key=lambda machine: machine.pending_at))
        if former.ended_at is None or former.ended_at > later.pending_at
        if not _could_not_wait(former, later, asked)
    ]


def _urgent_ones(world: World) -> dict[str, Row]:
    """Each fleet's intention, by its token."""
    fleets = sa.select(intentions).where(intentions.c.kind == IntentionKind.FLEET.value)
    return {row.token: row for row in world.db.read(lambda tx: tx.execute(fleets).all())}


def _could_not_wait(former: Machine, later: Machine, asked: Mapping[str, Row]) -> bool:
    """The second was asked for anew, a minute after the first, which EC2 had not shown when that was given up."""
    first, second = (asked.get(machine.tags.get(TOKEN_TAG, "")) for machine in (former, later))
    if first is None or second is None or first.token == second.token or first.closed_at is None:
        return False
    return bool(former.visible_at > first.closed_at and second.created_at - first.created_at >= AT_ONCE_FOR)


def nobody_doomed_is_promoted(world: World) -> list[str]:
    """Ruling B9: nobody is granted an epoch after the server has heard that EC2 takes it.

    But for what a holder that heard the server no more gave away by a ticket of before: that is written down as it is.
    """
    told, grants, ticket = spot_interruption_events.c, epoch_grants.c, handover_tickets.c
    of_before = sa.exists().where(
        ticket.agent_id == grants.agent_id,
        ticket.epoch == grants.epoch,
        ticket.to_instance_id == grants.instance_id,
        ticket.acknowledged_at < told.detected_at,
    )
    doomed = sa.select(grants.instance_id, grants.epoch).where(
        told.instance_id == grants.instance_id,
        told.signal_type == SignalType.TERMINATION.value,
        told.detected_at < grants.granted_at,
        sa.not_(sa.and_(grants.because.endswith(BY_TICKET), of_before)),
    )
    rows = world.db.read(lambda tx: tx.execute(doomed.distinct()).all())
    return [f"{row.instance_id} was granted epoch {row.epoch} under a termination notice" for row in rows]


def nothing_doubled(world: World) -> list[str]:
    """No record lies twice on the volume of the instance that serves."""
    broken = []
    for name, register in world.registers.items():
        for instance_id in register.serving():
            register.flush(world.clock.now(), instance_id)
            content = state_of(world.ec2, InstanceId(instance_id))
            _, doubled = content.faults_against(register.acknowledged) if content else (0, 0)
            if doubled:
                broken.append(f"{name}: {doubled} records doubled on {instance_id}")
    return broken


def everybody_serves(world: World) -> list[str]:
    """No workload is lost: each has one serving instance, or a move or recovery of it is open, or a person decides."""
    moving = {row.agent_id for row in lookups.moves(world) if row.status in OPEN_SWITCH}
    return [
        f"{name} is served by nobody"
        for name, register in world.registers.items()
        if not register.serving()
        and lookups.agent(world, name).id not in moving
        and not waiting.for_a_person(world, name)
    ]


def counters(world: World) -> list[str]:
    """Ruling S6."""
    return world.db.read(audit.counters_equal_rows)


def ledger_is_recomputable(world: World) -> list[str]:
    """Invariant 9: the same events give the same entries, to the last digit."""
    now = world.clock.now()

    def compare(tx: sa.Connection) -> list[str]:
        again = {
            (entry.resource_id, entry.kind, entry.from_at): entry.usd for entry in ledger.recompute(tx, now)
        }
        stored = {
            (row.resource_id, row.kind, row.from_at): row.usd for row in tx.execute(sa.select(ledger_entries))
        }
        return [
            f"ledger entry {key}: {stored.get(key)} stored, {again.get(key)} recomputed"
            for key in sorted(again.keys() | stored.keys())
            if again.get(key) != stored.get(key)
        ]

    return world.db.read(compare)


def ledger_equals_meter(world: World) -> list[str]:
    """The ledger knows only what EC2 shows; the meter knows all. They agree to the cent.

    What a deleted agent left is its user's own again, and the ledger's no more.
    """
    ledger_usd, meter_usd = ledger_cost(world), world.meter_usd() - let_go_usd(world)
    if abs(ledger_usd - meter_usd) < HALF_A_CENT:
        return []
    return [f"the ledger says {cents(ledger_usd)} USD, EC2's meter {cents(meter_usd)} USD"]


def let_go_usd(world: World) -> Decimal:
    """What the meter has counted since their agent's deletion of all that was left to its user."""
    a, i = agents.c, instances.c
    served = sa.exists().where(epoch_grants.c.instance_id == i.id)
    machines = sa.select(i.id, a.deleted_at).join(agents, a.id == i.agent_id)
    things = sa.select(storage_resources.c.id, a.deleted_at).join(
        agents, a.id == storage_resources.c.agent_id
    )
    released = sa.union_all(
        machines.where(a.deleted_at.is_not(None), sa.or_(i.intention_token.is_(None), served)),
        things.where(a.deleted_at.is_not(None)),
    )
    rows = world.db.read(lambda tx: tx.execute(released).all())
    bills = {at: world.ec2.bill(since=at).by_resource for at in {row.deleted_at for row in rows}}
    return sum((bills[row.deleted_at].get(row.id, Decimal(0)) for row in rows), Decimal(0))


def ledger_cost(world: World) -> Decimal:
    """Everything but the counterfactual."""
    return ledger.paid(world.db.read(lambda tx: ledger.totals(tx, world.client_id)))


def orphans_of(world: World) -> list[str]:
    """Invariant 6: whatever we made belongs to an epoch's holder, a live replica or an open move.

    What the owners made themselves is theirs: SpotGuard neither deletes it nor counts it here. What was let go of
    within the last five minutes is still being cleared away (invariant 7: clean-up is slow on purpose).
    """
    taken = world.ec2.inventory()
    ours = {resource for resource, tags in taken.tags_by_id().items() if MANAGED_TAG in tags}
    wanted = _wanted(world) | (taken.tags_by_id().keys() - ours)
    found = [
        f"{view.instance_id} ({view.state})"
        for view in taken.instances
        if view.instance_id not in wanted and view.state is not InstanceState.SHUTTING_DOWN
    ]
    held = {volume.volume_id for view in taken.instances for volume in view.volumes} | wanted
    found += [view.volume_id for view in taken.volumes if view.volume_id not in held]
    images = {image.image_id: image for image in taken.images}
    lately = world.clock.now() - CLEARED_WITHIN  # made since, it may not have a row yet
    old = [image_id for image_id, image in images.items() if image.created_at <= lately]
    found += [image_id for image_id in old if image_id not in wanted]
    kept = {snapshot for image in images.values() for snapshot in image.snapshots.values()} | wanted
    return found + [view.snapshot_id for view in taken.snapshots if view.snapshot_id not in kept]


_CLONES = sa.union_all(
    sa.select(instances.c.id)
    .join(drills, drills.c.id == instances.c.drill_id)
    .where(drills.c.status.in_([status.value for status in OPEN_DRILL])),
    sa.select(instances.c.id)
    .join(probes, probes.c.id == instances.c.probe_id)
    .where(probes.c.status.in_([status.value for status in OPEN_PROBE])),
)


def _let_go_since(at: datetime) -> sa.Select[Any]:
    """Instances whose move or whose life as a standby is over since then."""
    over = sa.or_(switches.c.completed_at > at, replica_instances.c.terminated_at > at)
    return (
        sa.select(instances.c.id)
        .outerjoin(switches, switches.c.id == instances.c.switch_id)
        .outerjoin(replica_instances, replica_instances.c.id == instances.c.replica_id)
        .where(over)
    )


def _wanted(world: World) -> set[str]:
    lately = world.clock.now() - CLEARED_WITHIN
    being_cleared = (
        sa.select(storage_resources.c.id)
        .outerjoin(instances, instances.c.id == storage_resources.c.last_attached_to)
        .where(sa.or_(instances.c.ended_at > lately, storage_resources.c.created_at > lately))
    )

    def look(tx: sa.Connection) -> set[str]:
        held = tx.scalars(sa.select(epoch_grants.c.instance_id).where(epoch_grants.c.status == "held"))
        images = tx.scalars(sa.select(agents.c.ami_id))
        clones = tx.scalars(_CLONES)
        clearing = {*tx.scalars(being_cleared), *tx.scalars(_let_go_since(lately))}
        return {*held, *clones, *(image for image in images if image), *clearing}

    wanted = world.db.read(look) | waiting.told_volumes(world)
    for name in world.registers:
        agent_id = lookups.agent(world, name).id
        live = [row for row in lookups.replicas(world, agent_id) if row.status in LIVE_REPLICA]
        wanted |= {row.instance_id for row in live if row.instance_id}
        wanted |= {point.image_id for point in world.db.read(partial(_restore_points, AgentId(agent_id)))}
        wanted |= waiting.kept_storage(world, name) | waiting.left_running(world, agent_id)
        moving = [row.id for row in lookups.moves(world, agent_id) if row.status in OPEN_SWITCH]
        wanted |= _of_moves(world, moving)
    return wanted


def _restore_points(agent_id: AgentId, tx: sa.Connection) -> list[RestorePoint]:
    """Those that retention keeps."""
    return restore_points.of_agent(tx, agent_id)


def _of_moves(world: World, switch_ids: list[str]) -> set[str]:
    """Everything tagged for an open move, the two instances of it, and what the old one left, which it deletes last."""
    tags = world.ec2.inventory().tags_by_id()
    mine = {resource for resource, marks in tags.items() if marks.get(SWITCH_TAG) in switch_ids}
    rows = [row for row in lookups.moves(world) if row.id in switch_ids]
    sides = {side for row in rows for side in (row.old_instance_id, row.new_instance_id) if side}
    left = sa.select(storage_resources.c.id).where(
        storage_resources.c.last_attached_to.in_([row.old_instance_id for row in rows])
    )
    return mine | sides | set(world.db.read(lambda tx: tx.scalars(left).all()))


def records_of(world: World) -> dict[str, Any]:
    """What the clients' registers counted."""
    registers = world.registers.values()
    return {
        "acknowledged": sum(register.acknowledged for register in registers),
        "lost_unheard": sum(loss.count for register in registers for loss in register.losses),
        "lost_planned": len(nothing_lost_on_planned_moves(world)),
        "overlaps": sum(len(register.overlaps) for register in registers),
    }
