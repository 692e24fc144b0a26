"""The verdict on probes: what EC2's meter counts of them is charged, and no pool is asked again at once."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa

from spotguard.cloud.simulated.state import Machine
from spotguard.domain.probes import ProbeStatus
from spotguard.domain.tags import PROBE_TAG
from spotguard.planning.probes import SAME_POOL_AFTER, cost
from spotguard.simulation import lookups
from spotguard.simulation.world import World
from spotguard.store.tables import probes


def probes_are_charged(world: World) -> list[str]:
    """The day's budget is charged each second for which EC2 bills, at the price of the order, and a minute at least."""
    ran: dict[str, Decimal] = {}
    for machine in world.ec2.world.machines.values():
        if (probe_id := machine.tags.get(PROBE_TAG)) is not None:
            ran[probe_id] = ran.get(probe_id, Decimal(0)) + _billed_seconds(machine)
    return [
        f"probe {row.id} of {row.pool_id} was charged {row.usd} USD, and EC2 bills {ran[row.id]} s"
        for row in _rows(world)
        if row.status == ProbeStatus.OVER
        and ran.get(row.id)
        and row.usd < cost(row.usd_per_hour, ran[row.id])
    ]


def _billed_seconds(machine: Machine) -> Decimal:
    """0 where it was ended before it ran."""
    ran = sum(((run.ended - run.started).total_seconds() for run in machine.runs if run.ended), 0.0)
    return Decimal(str(ran))


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
