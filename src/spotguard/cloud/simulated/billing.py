"""What it costs: the rule for one run of an instance, and the meter over everything that ever was.

The rule (EC2 On-Demand and Spot pricing pages): billed by the second from the start of running to the instant when it
begins to end, at least 60 s a run; spot at the pool's price as it changes; a spot instance that AWS interrupts within
its first hour costs nothing. Volumes and snapshots: GiB × seconds at the monthly rate, a month being 730 h.

Sums are exact: products of whole seconds and decimal prices are added up, and the one division comes last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from spotguard.cloud.simulated.state import Machine, Snapshot, Volume
from spotguard.cloud.simulated.world import World
from spotguard.domain.instances import EndReason, Mode
from spotguard.domain.money import SECONDS_PER_HOUR, ZERO
from spotguard.market.history import PriceHistory, Step

LEAST_SECONDS = 60
FREE_WHEN_INTERRUPTED_WITHIN = 3600
SECONDS_PER_MONTH = 730 * SECONDS_PER_HOUR


@dataclass(frozen=True)
class Bill:
    """USD in all and by resource id. The total is divided once, so it is the truer one in the last digits."""

    usd: Decimal
    by_resource: Mapping[str, Decimal]


def run_cost(started: datetime, ended: datetime, steps: Sequence[Step]) -> Decimal:
    """USD/h × seconds of one run; divide by 3600 for USD.

    `steps` begins with the price in force at `started`. Seconds missing to the minimum cost what the last one did.
    """
    total, price = ZERO, steps[0].usd_per_hour
    ends = [step.at for step in steps[1:]] + [ended]
    for step, until in zip(steps, ends, strict=True):
        seconds = _seconds(max(step.at, started), min(until, ended))
        if seconds > 0:
            price = step.usd_per_hour
            total += seconds * price
    return total + max(0, LEAST_SECONDS - _seconds(started, ended)) * price


def is_waived(mode: Mode, reason: EndReason | None, seconds: int) -> bool:
    """AWS took a spot instance before it had run for an hour."""
    return mode is Mode.SPOT and reason is EndReason.INTERRUPTED and seconds < FREE_WHEN_INTERRUPTED_WITHIN


class Meter:
    """Reads everything that ever was, deleted and forgotten things included."""

    def __init__(self, world: World, history: PriceHistory, ondemand: Mapping[str, Decimal]) -> None:
        self._world = world
        self._history = history
        self._ondemand = ondemand
        self._closed: dict[str, Decimal] = {}  # instances that have ended, as of any later time

    def bill(self, at: datetime, since: datetime | None = None) -> Bill:
        """All costs until `at`; with `since` what they have grown by, which a waived first hour can make negative."""
        hourly, monthly = self._hourly(at), self._monthly(at)
        if since is not None:
            _subtract(hourly, self._hourly(since))
            _subtract(monthly, self._monthly(since))
        by_resource = {key: cost / SECONDS_PER_HOUR for key, cost in hourly.items()}
        by_resource |= {key: cost / SECONDS_PER_MONTH for key, cost in monthly.items()}
        usd = _sum(hourly.values()) / SECONDS_PER_HOUR + _sum(monthly.values()) / SECONDS_PER_MONTH
        return Bill(usd, by_resource)

    def _hourly(self, at: datetime) -> dict[str, Decimal]:
        return {
            machine_id: self._machine(machine, at) for machine_id, machine in self._world.machines.items()
        }

    def _machine(self, machine: Machine, at: datetime) -> Decimal:
        known = self._closed.get(machine.instance_id)
        over = not machine.is_live and machine.ended_at is not None and machine.ended_at <= at
        if known is not None and over:
            return known
        cost = self._runs(machine, at)
        if over:
            self._closed[machine.instance_id] = cost
        return cost

    def _runs(self, machine: Machine, at: datetime) -> Decimal:
        total = ZERO
        for run in machine.runs:
            ended = at if run.ended is None else min(run.ended, at)
            last = run is machine.runs[-1] and run.ended is not None and run.ended <= at
            waived = last and is_waived(machine.mode, machine.end_reason, _seconds(run.started, ended))
            if run.started <= at and not waived:
                total += run_cost(run.started, ended, self._steps(machine, run.started, ended))
        return total

    def _steps(self, machine: Machine, started: datetime, ended: datetime) -> Sequence[Step]:
        if machine.mode is Mode.ONDEMAND:
            return [Step(started, self._ondemand[machine.pool.instance_type])]
        return self._history.steps(machine.pool, started, max(ended, started + timedelta(seconds=1)))

    def _monthly(self, at: datetime) -> dict[str, Decimal]:
        physics = self._world.physics
        costs: dict[str, Decimal] = {}
        for volume in self._world.volumes.values():
            rate = physics.volume_usd_per_gib_month
            costs[volume.volume_id] = _stored(volume, volume.created_at, rate, at)
        for copy in self._world.snapshots.values():
            if not copy.is_public:
                rate = physics.snapshot_usd_per_gib_month
                costs[copy.snapshot_id] = _stored(copy, copy.started_at, rate, at)
        return costs


def _stored(thing: Volume | Snapshot, made_at: datetime, rate: Decimal, at: datetime) -> Decimal:
    """USD a month × seconds."""
    until = at if thing.deleted_at is None else min(thing.deleted_at, at)
    return max(0, _seconds(made_at, until)) * thing.size_gib * rate


def _subtract(costs: dict[str, Decimal], earlier: Mapping[str, Decimal]) -> None:
    for key, cost in earlier.items():
        costs[key] -= cost


def _sum(costs: Iterable[Decimal]) -> Decimal:
    return sum(costs, ZERO)


def _seconds(since: datetime, until: datetime) -> int:
    return int((until - since).total_seconds())
