"""The verdict on drills, on what a standby lacked, and on the way back: by what really ran, and what volumes hold."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from spotguard.domain.drills import OPEN_DRILL, DrillKind, DrillStatus
from spotguard.domain.ids import InstanceId, VolumeId
from spotguard.domain.probes import OPEN_PROBE
from spotguard.domain.salvages import OPEN_SALVAGE, PURPOSE, SalvageStatus
from spotguard.domain.switches import MoveKind, Step
from spotguard.domain.tags import DRILL_TAG, PROBE_TAG
from spotguard.simulation import lookups
from spotguard.simulation.machine import state_of
from spotguard.simulation.world import World
from spotguard.store.tables import (
    drills,
    probes,
    salvages,
    spot_interruption_events,
    storage_resources,
    switch_steps,
    switches,
)

LATE = timedelta(minutes=5)


def certificates_are_earned(world: World) -> list[str]:
    """A passed drill is one whose workload ran: of a clone for its probe, of a successor until it was proven."""
    passed = sa.select(drills).where(drills.c.status == DrillStatus.PASSED.value)
    rows = world.db.read(lambda tx: tx.execute(passed).all())
    rehearsed = {instance for register in world.registers.values() for instance in register.rehearsed}
    broken = []
    for row in rows:
        if row.kind == DrillKind.RESTORE and row.instance_id not in rehearsed:
            broken.append(f"drill {row.id} has passed, and the workload of {row.instance_id} never ran")
        if row.kind == DrillKind.FAILOVER and not _proven_at_its_end(world, row):
            broken.append(f"drill {row.id} has passed before its new instance had proven itself")
    return broken


def _proven_at_its_end(world: World, drill: lookups.Row) -> bool:
    s = switch_steps.c
    wanted = sa.select(s.step, switches.c.new_instance_id).join(switches, switches.c.id == s.switch_id)
    heard = wanted.where(
        s.switch_id == drill.switch_id, s.step == Step.VERIFIED.value, s.recorded_at <= drill.completed_at
    )
    proven = world.db.read(lambda tx: tx.execute(heard).first())
    return proven is not None and bool(_served(world, proven.new_instance_id))


def _served(world: World, instance_id: str) -> list[str]:
    """The workloads of which it ever took a record."""
    return [
        name
        for name, register in world.registers.items()
        if register.is_open(instance_id) or any(s.instance_id == instance_id for s in register.sessions)
    ]


def gates_close_in_time(world: World) -> list[str]:
    """Unless EC2 takes it, nobody stops serving for a move whose new instance has not even enrolled."""
    s, told = switch_steps.c, spot_interruption_events.c
    taken = sa.exists().where(told.instance_id == switches.c.old_instance_id)
    query = (
        sa.select(s.switch_id, s.step, s.recorded_at)
        .join(switches, switches.c.id == s.switch_id)
        .where(switches.c.kind == MoveKind.SYNCED.value, sa.not_(switches.c.is_recovery), sa.not_(taken))
    )
    heard: dict[str, dict[str, datetime]] = {}
    for row in world.db.read(lambda tx: tx.execute(query).all()):
        heard.setdefault(row.switch_id, {})[row.step] = row.recorded_at
    never = world.clock.now() + LATE
    return [
        f"switch {switch_id} closed the gate before its new instance had enrolled"
        for switch_id, steps in heard.items()
        if steps.get(Step.GATE_CLOSED, never) < steps.get(Step.ENROLLED, never)
    ]


def clones_are_in_quarantine(world: World) -> list[str]:
    """No clone of a drill, nor a probe, has an address or rights that the world or the account knows, none serves."""
    made = world.ec2.world.machines.values()
    clones = [machine for machine in made if {DRILL_TAG, PROBE_TAG} & machine.tags.keys()]
    known = [
        f"the clone {clone.instance_id} has what its original has of the world"
        for clone in clones
        if clone.shape.public_ip is not False or clone.shape.instance_profile or clone.shape.owner_tags
    ]
    return known + [
        f"the clone {clone.instance_id} took records of {name}"
        for clone in clones
        for name in _served(world, clone.instance_id)
    ]


def rehearsals_end(world: World) -> list[str]:
    """Half an hour and more after the last fault nothing is open whose time was over."""
    late = world.clock.now() - LATE
    broken = []
    for table, open_ones in ((drills, OPEN_DRILL), (probes, OPEN_PROBE), (salvages, OPEN_SALVAGE)):
        states = [status.value for status in open_ones]
        wanted = sa.select(table.c.id).where(table.c.status.in_(states), table.c.deadline_at < late)
        found = world.db.read(lambda tx, wanted=wanted: tx.scalars(wanted).all())  # type: ignore[misc]
        broken += [f"{table.name} {row_id} is open past its deadline" for row_id in found]
    return broken


def salvages_tell_the_truth(world: World) -> list[str]:
    """What a standby is said to lack is what the client's register knows it lacked; no copy is anybody's."""
    query = sa.select(salvages, switches.c.old_instance_id).join(
        switches, switches.c.id == salvages.c.switch_id
    )
    rows = world.db.read(lambda tx: tx.execute(query).all())
    broken = []
    for row in rows:
        first = _next_to_serve(world, row.old_instance_id) or row.instance_id
        lost = sum(
            loss.count for r in world.registers.values() for loss in r.losses if loss.instance_id == first
        )
        if row.status == SalvageStatus.OFFERED and row.files != lost:
            broken.append(f"{row.volume_id} is said to have {row.files} records that {first} lacks: {lost}")
        volume = world.ec2.world.volumes.get(VolumeId(row.volume_id or ""))
        if (
            volume is not None
            and volume.machine is not None
            and volume.machine.instance_id == row.instance_id
        ):
            broken.append(f"{row.volume_id} itself is shown to {row.instance_id}")
        copy = world.ec2.world.volumes.get(VolumeId(row.copy_id or ""))
        if row.completed_at is not None and copy is not None and copy.machine is not None:
            broken.append(f"{row.copy_id} was looked at, and is still with {copy.machine.instance_id}")
    kept = sa.select(storage_resources.c.id, storage_resources.c.last_attached_to).where(
        storage_resources.c.purpose == PURPOSE, storage_resources.c.last_attached_to.is_not(None)
    )
    taken = world.db.read(lambda tx: tx.execute(kept).all())
    return broken + [f"{copy_id} is shown for a look, and counts as {has_it}'s" for copy_id, has_it in taken]


def _next_to_serve(world: World, dead: str) -> str | None:
    """Who opened after it: the heir of its move, or a later one, where that had died before it ever served."""
    pairs = (pair for register in world.registers.values() for pair in register.handovers())
    after = [later.instance_id for earlier, later in pairs if earlier.instance_id == dead]
    return after[-1] if after else None


def nothing_missing(world: World) -> list[str]:
    """On the volume of whoever serves lie all acknowledged records but those that are known to be lost."""
    broken = []
    for name, register in world.registers.items():
        known = sum(loss.count for loss in register.losses)
        for instance_id in register.serving():
            register.flush(world.clock.now(), instance_id)
            content = state_of(world.ec2, InstanceId(instance_id))
            missing, _ = content.faults_against(register.acknowledged) if content else (0, 0)
            if missing > known:
                broken.append(
                    f"{name}: {instance_id} lacks {missing} records, and {known} are known to be lost"
                )
    return broken
