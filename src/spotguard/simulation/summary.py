"""What a demo came to: every figure is counted in the database, the registers or the meter of the simulated EC2."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from spotguard.domain.replicas import ReplicaStatus, ReplicaType
from spotguard.domain.switches import SwitchStatus, Trigger
from spotguard.planning.metering import EntryKind
from spotguard.simulation import lookups
from spotguard.simulation.audit import Verdict, let_go_usd
from spotguard.simulation.world import World
from spotguard.store import ledger
from spotguard.store.tables import (
    decisions,
    replica_instances,
    spot_interruption_events,
    spot_price_snapshots,
)

USD_SHOWN = Decimal("0.0001")
_UNPLANNED = (Trigger.EMERGENCY, Trigger.REBALANCE)


@dataclass(frozen=True)
class Gap:
    """A stretch in which nobody served, between two sessions, and the switch that ended it."""

    seconds: float
    trigger: str
    planned: bool


def summary_of(
    world: World, verdict: Verdict, wall_seconds: float, acts_left: list[str], *, interrupted: bool
) -> dict[str, Any]:
    """The contract's keys (command line, `demo --headless --json`) and a few more."""
    now = world.clock.now()
    gaps = gaps_of(world)
    unplanned = sorted(gap.seconds for gap in gaps if not gap.planned)
    usd = world.db.read(lambda tx: ledger.totals(tx, world.client_id))
    cost, ondemand = ledger.paid(usd), usd[EntryKind.ONDEMAND] - usd[EntryKind.UNPRICED]
    moved = [
        row for row in lookups.moves(world) if row.status in (SwitchStatus.COMMITTED, SwitchStatus.COMPLETED)
    ]
    kinds = Counter(row.event_trigger for row in moved)
    roles = _replicas(world)
    return {
        "prices_source": world.plan.market.source,
        "interruptions_source": "semi-synthetic (seeded) and the script",
        "agents": len(world.servers),
        "seed": world.plan.seed,
        "simulated_hours": round((now - world.started_at).total_seconds() / 3600, 3),
        "interrupted": interrupted,
        "wall_seconds": round(wall_seconds, 1),
        "heartbeats": world.link.calls.get("heartbeat", 0),
        "price_reports": world.link.calls.get("pricing-report", 0),
        "price_rows": _count(world, spot_price_snapshots),
        "decisions": _count(world, decisions),
        "switches": {trigger.value: kinds.get(trigger.value, 0) for trigger in Trigger},
        "move_kinds": dict(Counter(row.kind for row in moved)),
        "unwound": sum(row.status == SwitchStatus.UNWOUND for row in lookups.moves(world)),
        "interruptions": _count(world, spot_interruption_events),
        "failovers": len(unplanned),
        "failover_seconds": _spread(unplanned),
        "planned_downtime_seconds": _spread(sorted(gap.seconds for gap in gaps if gap.planned)),
        "downtime_seconds": round(_downtime(world, now), 1),
        "cost_usd": str(cost.quantize(USD_SHOWN)),
        "ondemand_cost_usd": str(ondemand.quantize(USD_SHOWN)),
        "savings_percent": float(round(100 * (ondemand - cost) / ondemand, 2)) if ondemand else None,
        "replicas_created": len(roles),
        "manual_replicas_completed": sum(
            row.replica_type == ReplicaType.MANUAL
            and row.status in (ReplicaStatus.PROMOTED, ReplicaStatus.TERMINATED)
            for row in roles
        ),
        "emergency_replicas": {
            "promoted": _emergency(roles, ReplicaStatus.PROMOTED),
            "retired": _emergency(roles, ReplicaStatus.TERMINATED),
        },
        "ledger_usd": str(cost.quantize(USD_SHOWN)),
        "meter_usd": str(world.meter_usd().quantize(USD_SHOWN)),
        "meter_of_deleted_agents_usd": str(let_go_usd(world).quantize(USD_SHOWN)),
        "records": verdict.records,
        "invariants_checked": verdict.checked,
        "invariants_broken": len(verdict.broken),
        "broken": verdict.broken,
        "orphans": len(verdict.orphans),
        "orphaned": verdict.orphans,
        "acts_not_played": acts_left,
    }


def gaps_of(world: World) -> list[Gap]:
    """Every gap between two sessions of an agent's workload, with the switch that the later session came from."""
    makers = lookups.Makers(lookups.moves(world))
    gaps = []
    for register in world.registers.values():
        for before, after in register.handovers():
            move = makers.of(after.instance_id, after.epoch)
            seconds = max(0.0, (after.opened_at - before.closed_at).total_seconds())
            if before.instance_id == after.instance_id:  # a move that was unwound: down for nothing
                gaps.append(Gap(seconds, "unwound", planned=True))
            elif move is not None:
                gaps.append(Gap(seconds, move.event_trigger, move.event_trigger not in _UNPLANNED))
    return gaps


def _downtime(world: World, now: datetime) -> float:
    return sum(register.downtime_seconds(world.started_at, now) for register in world.registers.values())


def _spread(seconds: list[float]) -> dict[str, float | None]:
    """Nearest-rank percentiles of an ascending list; None for an empty one."""
    if not seconds:
        return {"p50": None, "p99": None, "max": None}
    return {
        "p50": round(seconds[(len(seconds) - 1) // 2], 2),
        "p99": round(seconds[min(len(seconds) - 1, int(len(seconds) * 0.99))], 2),
        "max": round(seconds[-1], 2),
    }


def _replicas(world: World) -> list[Any]:
    return world.db.read(lambda tx: list(tx.execute(sa.select(replica_instances))))


def _emergency(rows: list[Any], status: ReplicaStatus) -> int:
    return sum(row.replica_type != ReplicaType.MANUAL and row.status == status for row in rows)


def _count(world: World, table: sa.Table) -> int:
    return world.db.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())
