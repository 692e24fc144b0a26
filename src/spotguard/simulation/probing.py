"""The verdict on probes: what EC2's meter counts of them is charged, and no pool is asked again at once."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa

from spotguard.domain.probes import ProbeStatus
from spotguard.domain.tags import PROBE_TAG
from spotguard.planning.probes import SAME_POOL_AFTER
from spotguard.simulation import lookups
from spotguard.simulation.world import World
from spotguard.store.tables import probes


def probes_are_charged(world: World) -> list[str]:
    """The day's budget is charged what EC2 bills for each, or more: a minute, where it was ended before it ran."""
    machines = [m for m in world.ec2.world.machines.values() if PROBE_TAG in m.tags]
    bill = world.ec2.bill().by_resource if machines else {}
    billed: dict[str, Decimal] = {}
    for machine in machines:
        probe_id = machine.tags[PROBE_TAG]
        billed[probe_id] = billed.get(probe_id, Decimal(0)) + bill[machine.instance_id]
    return [
        f"probe {row.id} of {row.pool_id} was charged {row.usd} USD, and EC2 bills {billed[row.id]:.9f}"
        for row in _rows(world)
        if row.status == ProbeStatus.OVER and row.id in billed and row.usd + _A_DIGIT < billed[row.id]
    ]


_A_DIGIT = Decimal("0.00001")  # the price may have moved while it ran


def no_pool_is_looked_at_twice(world: World) -> list[str]:
    """Within five minutes."""
    last: dict[str, datetime] = {}
    broken = []
    for row in _rows(world):
        before = last.get(row.pool_id)
        if before is not None and row.created_at - before < SAME_POOL_AFTER:
            broken.append(f"{row.pool_id} was probed at {before:%H:%M:%S} and at {row.created_at:%H:%M:%S}")
        last[row.pool_id] = row.created_at
    return broken


def _rows(world: World) -> list[lookups.Row]:
    return world.db.read(lambda tx: list(tx.execute(sa.select(probes).order_by(probes.c.created_at))))
