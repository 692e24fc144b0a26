"""Interruptions: a seeded schedule for each pool, and the same by hand for stories and drills.

A wave takes every spot instance of its pool within three minutes: notice, two minutes later the end, whatever the
guest does; some come unheard. Recommendations come before some waves, and some come for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from random import Random

from spotguard.cloud.simulated.capacity import Capacity, interruptions_per_hour
from spotguard.cloud.simulated.lifecycle import Lifecycle
from spotguard.cloud.simulated.physics import Climate
from spotguard.cloud.simulated.state import HappeningKind, Machine
from spotguard.cloud.simulated.world import World
from spotguard.domain.clock import LATEST
from spotguard.domain.ids import PoolId
from spotguard.domain.instances import EndReason, InstanceState, Mode
from spotguard.domain.pools import Pool
from spotguard.ports.metadata import InterruptionNotice, RebalanceRecommendation

_RUNS = frozenset({InstanceState.PENDING, InstanceState.RUNNING})


class Weather:
    """Signals and reclaims spot instances."""

    def __init__(
        self,
        world: World,
        lifecycle: Lifecycle,
        capacity: Capacity,
        climate: Climate,
        pools: tuple[Pool, ...],
    ) -> None:
        self._world = world
        self._lifecycle = lifecycle
        self._capacity = capacity
        self._climate = climate
        self._next: dict[PoolId, list[datetime]] = {}
        for pool in pools:
            per_hour = interruptions_per_hour(climate, pool.id, world)
            if per_hour > 0:
                self._forecast(pool.id, per_hour, world.dice(f"waves:{pool.id}"))
                self._forecast_false_alarm(pool.id, per_hour, world.dice(f"alarms:{pool.id}"))

    def _forecast(self, pool_id: PoolId, per_hour: float, dice: Random) -> None:
        """Draw the pool's next wave, and its recommendation where it has one."""
        strike = self._in(dice.expovariate(per_hour) * 3600)
        self._plan(pool_id, strike, partial(self._strike, pool_id, per_hour, dice))
        if dice.random() < self._climate.rebalance_share:
            lead = timedelta(seconds=int(dice.expovariate(1 / self._climate.rebalance_lead_seconds)))
            self._plan(pool_id, max(self._world.now, strike - lead), partial(self._recommend_all, pool_id))

    def _forecast_false_alarm(self, pool_id: PoolId, per_hour: float, dice: Random) -> None:
        rate = per_hour * self._climate.rebalance_share * self._climate.false_alarms_per_true_one
        if rate > 0:
            at = self._in(dice.expovariate(rate) * 3600)
            self._plan(pool_id, at, partial(self._false_alarm, pool_id, per_hour, dice))

    def _in(self, seconds: float) -> datetime:
        room = (LATEST - self._world.now).total_seconds()
        return self._world.now + timedelta(seconds=int(min(seconds, room)))

    def _plan(self, pool_id: PoolId, at: datetime, action: partial[None]) -> None:
        if at < LATEST:
            self._next.setdefault(pool_id, []).append(at)
            self._world.at(at, action)

    def _strike(self, pool_id: PoolId, per_hour: float, dice: Random) -> None:
        self.wave(pool_id, self._climate.notice_seconds, self._climate.unheard_share)
        self._forecast(pool_id, per_hour, dice)

    def _false_alarm(self, pool_id: PoolId, per_hour: float, dice: Random) -> None:
        self._recommend_all(pool_id)
        self._forecast_false_alarm(pool_id, per_hour, dice)

    def _recommend_all(self, pool_id: PoolId) -> None:
        for machine in self._in_pool(pool_id):
            self.recommend(machine)

    def _in_pool(self, pool_id: PoolId) -> Iterator[Machine]:
        machines = list(self._world.shown.values())
        return (m for m in machines if m.mode is Mode.SPOT and m.state in _RUNS and m.pool.id == pool_id)

    def wave(self, pool_id: PoolId, notice_seconds: int, unheard_share: float = 0.0) -> None:
        """Every spot instance of the pool within three minutes; the pool is dry for a while."""
        dice = self._world.dice(f"wave:{pool_id}:{self._world.now.isoformat()}")
        hours = dice.expovariate(1 / self._climate.dry_after_hours)
        wave_over = self._climate.together_seconds + notice_seconds
        self._capacity.dry(pool_id, self._in(max(hours * 3600, wave_over)))
        for machine in self._in_pool(pool_id):
            at = self._in(dice.randint(0, self._climate.together_seconds))
            unheard = dice.random() < unheard_share
            if unheard:
                at += timedelta(seconds=notice_seconds)
            self._world.plan(machine, at, partial(self.interrupt, machine, 0 if unheard else notice_seconds))

    def recommend(self, machine: Machine) -> None:
        """There is no all-clear: once shown it stays."""
        if machine.mode is Mode.SPOT and machine.state in _RUNS and machine.rebalance is None:
            machine.rebalance = RebalanceRecommendation(self._world.now)
            machine.metadata_version += 1
            self._world.happened(HappeningKind.SIGNALLED, machine)

    def interrupt(self, machine: Machine, notice_seconds: int) -> None:
        """Notice now and the end afterwards, or the end at once."""
        if machine.mode is not Mode.SPOT or machine.state not in _RUNS or machine.notice is not None:
            return
        if notice_seconds <= 0:
            self._reclaim(machine)
            return
        end = self._world.now + timedelta(seconds=notice_seconds)
        machine.notice = InterruptionNotice("terminate", end)
        machine.metadata_version += 1
        self._world.happened(HappeningKind.SIGNALLED, machine)
        self._world.plan(machine, end, partial(self._take, machine, machine.notice))

    def withdraw(self, machine: Machine) -> None:
        """EC2 does not take it after all, and its metadata shows the notice no more."""
        machine.notice = None
        machine.metadata_version += 1

    def _take(self, machine: Machine, notice: InterruptionNotice) -> None:
        if machine.notice is notice:
            self._reclaim(machine)

    def _reclaim(self, machine: Machine) -> None:
        self._lifecycle.end(machine, EndReason.INTERRUPTED)

    def next_signal(self, machine: Machine) -> datetime | None:
        """The earliest planned instant at which this machine's metadata may change by itself."""
        own = [at for at in machine.due if at > self._world.now]
        shared: list[datetime] = []
        if machine.mode is Mode.SPOT and machine.pool.id in self._next:
            shared = [at for at in self._next[machine.pool.id] if at > self._world.now]
            self._next[machine.pool.id] = shared
        return min([*own, *shared], default=None)
