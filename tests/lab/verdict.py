"""What must be true after a move, whatever died in it: asked of EC2, the workload's client, the disks, the rows."""

import contextlib
from collections import Counter
from itertools import pairwise
from pathlib import Path

import sqlalchemy as sa

from spotguard.domain.commands import OPEN_COMMAND
from spotguard.domain.instances import InstanceState
from spotguard.domain.switches import PLANNED_STEPS, RECOVERY_STEPS, MoveKind, SwitchStatus
from spotguard.domain.tags import MANAGED_TAG, SWITCH_TAG
from spotguard.planning.invariants import check
from spotguard.ports.checked_lines import Damaged, value_of
from spotguard.store import audit, grants, invariant_facts
from spotguard.store.steps import recorded_steps
from spotguard.store.tables import commands, epoch_grants, storage_resources
from tests.lab.lab import NotInTime

SETTLE_SECONDS = 180.0  # a leftover is found by one look and deleted by another, each a minute apart at least
_GONE = (InstanceState.SHUTTING_DOWN, InstanceState.TERMINATED)


def complaints(lab, switch_id, *, must_complete=True):
    """One sentence each; none when all is well."""
    row = lab.switch(switch_id)
    held = lab.db.read(lambda tx: grants.holder(tx, row.agent_id))
    found = [
        *_of_the_move(lab, row, must_complete=must_complete),
        *_of_serving(lab, row, held),
        *_of_effects(lab, row),
        *_of_orphans(lab, held),
        *_of_reports(lab, row),
        *_of_records(lab, held),
        *_of_rows(lab),
    ]
    return [str(one) for one in found]


def settled(lab, switch_id, **asked):
    """What is still wrong when everything has had the time to come right."""
    found = []

    def is_well():
        found[:] = complaints(lab, switch_id, **asked)
        return not found

    try:
        lab.until(is_well, seconds=SETTLE_SECONDS)
    except NotInTime:
        return list(found)
    return []


def _of_the_move(lab, row, *, must_complete):
    if row.status != SwitchStatus.COMPLETED:
        if must_complete or row.status != SwitchStatus.UNWOUND:
            yield f"the move is {row.status}: {row.ended_because}"
        return
    kind = MoveKind(row.kind)
    wanted = (RECOVERY_STEPS if row.is_recovery else PLANNED_STEPS)[kind]
    recorded = lab.db.read(lambda tx: recorded_steps(tx, row.id))
    missing = [step.value for step in wanted if step not in recorded]
    if missing:
        yield f"steps without a record: {', '.join(missing)}"


def _of_serving(lab, row, held):
    """Exactly one instance serves, and it is the one that holds the epoch."""
    if held is None:
        yield "nobody holds the epoch"
        return
    serving = [home.name for home in (lab.root / "i").iterdir() if (home / "pid").exists()]
    if serving != [held.instance_id]:
        yield f"epoch {held.epoch} is {held.instance_id}'s, and there serve: {', '.join(serving) or 'nobody'}"
    if row.status == SwitchStatus.COMPLETED and held.instance_id != row.new_instance_id:
        yield f"{held.instance_id} holds the epoch, the move went to {row.new_instance_id}"
    overlaps = lab.root / "overlaps"
    if overlaps.exists():
        yield f"two served at once: {overlaps.read_text().strip()}"


def _of_effects(lab, row):
    """Nothing was made twice, and the epoch was granted once."""
    with lab.wire.exclusively() as ec2:
        mine = {SWITCH_TAG: row.id}.items()
        machines = [m for m in ec2.world.machines.values() if mine <= m.tags.items()]
        images = [i for i in ec2.world.images.values() if mine <= i.tags.items()]
    if len(machines) > 1:
        yield f"{len(machines)} instances were launched: {', '.join(m.instance_id for m in machines)}"
    if len(images) > 1:
        yield f"{len(images)} images were made"
    granted = sa.select(sa.func.count()).where(epoch_grants.c.switch_id == row.id)
    count = lab.db.read(lambda tx: tx.execute(granted).scalar_one())
    if count > 1 or (row.status == SwitchStatus.COMPLETED and count != 1):
        yield f"{count} grants by one move"


def _of_orphans(lab, held):
    """Of what carries our tag there lives the holder, with its volumes; copies are known to the rows until they go."""
    with lab.wire.exclusively() as ec2:
        taken = ec2.inventory()
    holder = None if held is None else held.instance_id
    tags = taken.tags_by_id()
    ours = {resource for resource, marks in tags.items() if MANAGED_TAG in marks}
    mine = [view for view in taken.instances if view.instance_id == holder]
    its_volumes = {volume.volume_id for view in mine for volume in view.volumes}
    for view in taken.instances:
        if view.instance_id in ours and view.state not in _GONE and view.instance_id != holder:
            yield f"{view.instance_id} runs ({view.state}) without a role"
    for view in taken.volumes:
        if view.volume_id in ours and view.volume_id not in its_volumes:
            yield f"{view.volume_id} lies about ({view.state}, attached to {view.attached_to})"
    known = lab.db.read(
        lambda tx: set(
            tx.scalars(sa.select(storage_resources.c.id).where(storage_resources.c.ended_at.is_(None)))
        )
    )
    for copy in [*(i.image_id for i in taken.images), *(s.snapshot_id for s in taken.snapshots)]:
        if copy in ours and copy not in known:
            yield f"{copy} is not known to any row"


def _of_reports(lab, row):
    """Every agent of the move has been heard out, and nothing that it said was refused."""
    for instance_id in (row.old_instance_id, row.new_instance_id):
        disk = lab.supervisor.disks.get(instance_id)
        if disk is None:
            continue
        pending = {}
        for line in _lines(disk / "outbox"):
            if "put" in line:
                pending[line["put"]["id"]] = line
            else:
                pending.pop(line["gone"], None)
        heard = _what_was_heard(lab, row)
        lost = [report for report in pending if not heard(report)]
        if lost:
            yield f"{instance_id} has not been heard: {', '.join(lost)}"
        for letter in _lines(disk / "dead-letters"):
            yield f"{instance_id} was refused {letter['report']['id']}: {letter['answer']}"
    left = sa.select(commands).where(
        commands.c.agent_id == row.agent_id, commands.c.status.in_([status.value for status in OPEN_COMMAND])
    )
    for command in lab.db.read(lambda tx: tx.execute(left).all()):
        yield f"a {command.command_type} command is still {command.status}"


def _what_was_heard(lab, row):
    """Whether the rows have what a report says: an instance that has ended cannot be told that they do."""
    recorded = lab.db.read(lambda tx: recorded_steps(tx, row.id))
    answered = lab.db.read(
        lambda tx: set(
            tx.scalars(
                sa.select(commands.c.id).where(commands.c.status.not_in([s.value for s in OPEN_COMMAND]))
            )
        )
    )

    def heard(report_id):
        kind, _, rest = report_id.partition(":")
        if kind == "result":
            return rest in answered
        return kind == "switch" and set(rest.partition(":")[2].split(",")) <= set(recorded)

    return heard


def _lines(path: Path):
    with contextlib.suppress(FileNotFoundError):
        for line in path.read_bytes().split(b"\n"):
            with contextlib.suppress(Damaged):
                if line:
                    yield value_of(line)


def _of_records(lab, held):
    """No acknowledged record is missing on the state volume, and none is there twice."""
    if held is None or not (lab.root / "acks").exists():
        return
    notes = lab.acks()
    gaps = [line for line in notes if " missing " in line]
    if gaps:
        yield f"a record was lost: {gaps[0]}"
    numbers = [int(line.split()[0]) for line in notes]
    if any(later != earlier + 1 for earlier, later in pairwise(numbers)):
        yield "the client does not count on: what it finds proves nothing"
    if notes and notes[-1].split()[2] != held.instance_id:
        yield f"no record has been acknowledged by {held.instance_id}"
    lost, doubled = missing_and_doubled(lab)
    if lost or doubled:
        yield f"{lost} records are missing on the state volume, {doubled} are there twice"


def missing_and_doubled(lab):
    """(acknowledged records that are not on the state volume of who serves, records that are there more than once)."""
    acknowledged = lab.acknowledged()
    written = Counter(int(line) for line in lab.records(lab.agent().instance_id))
    missing = sum(number not in written for number in range(1, acknowledged + 1))
    return missing, sum(count > 1 for count in written.values())


def _of_rows(lab):
    now = lab.clock.now()
    yield from lab.db.read(audit.counters_equal_rows)
    for breach in check(lab.db.read(lambda tx: invariant_facts.gather(tx, now))):
        yield f"{breach.invariant}: {breach.what}"
