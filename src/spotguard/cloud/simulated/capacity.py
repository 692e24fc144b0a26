"""What may be launched: the pool exists, the quota leaves room, the pool has capacity."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from random import Random

from spotguard.cloud.simulated.physics import Climate, Quotas
from spotguard.cloud.simulated.world import World
from spotguard.domain.clock import LATEST
from spotguard.domain.errors import NeedsPerson, PoolDry, QuotaReached
from spotguard.domain.ids import PoolId
from spotguard.domain.instances import InstanceState, Mode
from spotguard.domain.pools import LINUX, Pool
from spotguard.domain.quotas import QuotaClass, VcpuQuota
from spotguard.market.history import PriceHistory
from spotguard.market.instance_types import quota_class, vcpus

_USES_NO_QUOTA = frozenset({InstanceState.STOPPED, InstanceState.TERMINATED})
_class_of = lru_cache(maxsize=None)(quota_class)
_vcpus_of = lru_cache(maxsize=None)(vcpus)


class Capacity:
    """Refuses launches, in EC2's order: parameters, quota, capacity."""

    def __init__(
        self,
        world: World,
        history: PriceHistory,
        ondemand: Mapping[str, Decimal],
        quotas: Quotas,
        climate: Climate,
    ) -> None:
        self._world = world
        self._history = history
        self._ondemand = ondemand
        self._quotas = quotas
        self._climate = climate
        self.types = frozenset(pool.instance_type for pool in history.pools())
        self.zones = frozenset(pool.az for pool in history.pools())
        self._dry_until: dict[tuple[PoolId, Mode], datetime] = {}
        self._spells: dict[PoolId, DrySpells] = {}

    def existing(self, wanted: Pool, mode: Mode) -> Pool:
        """The pool as the market knows it. A pool without a price is not offered."""
        if wanted.az not in self.zones:
            raise NeedsPerson("InvalidParameterValue", f"no availability zone {wanted.az} in this region")
        if wanted.instance_type not in self.types:
            raise NeedsPerson(
                "InvalidParameterValue", f"no instance type {wanted.instance_type} in this region"
            )
        pool = self._history.pool(wanted.id)
        if pool is None or self._history.price_at(pool, self._world.now) is None:
            raise PoolDry("Unsupported", f"{wanted.instance_type} is not offered in {wanted.az}")
        if mode is Mode.ONDEMAND and (pool.product != LINUX or pool.instance_type not in self._ondemand):
            raise PoolDry("Unsupported", f"{pool.instance_type} has no on-demand price here")
        return pool

    def require_room(self, pool: Pool, mode: Mode) -> None:
        self._require_quota(pool, mode)
        if self.is_dry(pool, mode):
            raise PoolDry("InsufficientInstanceCapacity", pool.id)

    def _require_quota(self, pool: Pool, mode: Mode) -> None:
        quota = self.quota(_class_of(pool.instance_type), mode)
        if quota.used_vcpus + _vcpus_of(pool.instance_type) > quota.limit_vcpus:
            code = "MaxSpotInstanceCountExceeded" if mode is Mode.SPOT else "VcpuLimitExceeded"
            in_use = (
                f"{quota.used_vcpus} of {quota.limit_vcpus} vCPUs of class {quota.quota_class} are in use"
            )
            raise QuotaReached(code, in_use)

    def quota(self, wanted: QuotaClass, mode: Mode) -> VcpuQuota:
        """The limit, and what everything that has not stopped or ended uses of it."""
        used = sum(
            _vcpus_of(machine.pool.instance_type)
            for machine in self._world.shown.values()
            if machine.mode is mode
            and machine.state not in _USES_NO_QUOTA
            and _class_of(machine.pool.instance_type) is wanted
        )
        return VcpuQuota(wanted, mode, self._quotas.limit(wanted, mode), used)

    def is_dry(self, pool: Pool, mode: Mode) -> bool:
        """On-demand has capacity unless it was made dry by hand."""
        until = self._dry_until.get((pool.id, mode))
        if until is not None and self._world.now < until:
            return True
        return mode is Mode.SPOT and self._spells_of(pool.id).cover(self._world.now)

    def dry(self, pool_id: PoolId, until: datetime | None, mode: Mode = Mode.SPOT) -> None:
        self._dry_until[pool_id, mode] = LATEST if until is None else until

    def end_dryness(self, pool_id: PoolId) -> None:
        """What was made dry by hand or by a wave has capacity again."""
        for mode in Mode:
            self._dry_until.pop((pool_id, mode), None)

    def _spells_of(self, pool_id: PoolId) -> DrySpells:
        found = self._spells.get(pool_id)
        if found is None:
            per_hour = interruptions_per_hour(self._climate, pool_id, self._world)
            found = self._spells[pool_id] = DrySpells(
                self._world.dice(f"dry:{pool_id}"),
                self._world.start,
                per_hour * self._climate.dry_spells_per_interruption,
                self._climate.dry_spell_hours,
            )
        return found


class DrySpells:
    """Spells in which nothing new starts in a pool and what runs there runs on; drawn as far as anybody asks."""

    def __init__(self, dice: Random, start: datetime, per_hour: float, mean_hours: float) -> None:
        self._dice = dice
        self._per_hour = per_hour
        self._mean_hours = mean_hours
        self._from = self._until = start  # the newest spell drawn; the first is empty

    def cover(self, at: datetime) -> bool:
        """Ask in the order of time."""
        while self._per_hour and at >= self._until:
            gap = timedelta(hours=self._dice.expovariate(self._per_hour))
            self._from = min(self._until + gap, LATEST)
            self._until = min(
                self._from + timedelta(hours=self._dice.expovariate(1 / self._mean_hours)), LATEST
            )
        return self._from <= at < self._until


def interruptions_per_hour(climate: Climate, pool_id: PoolId, world: World) -> float:
    """The rate of a pool: its own, or that of its kind."""
    if pool_id in climate.per_hour:
        return climate.per_hour[pool_id]
    if climate.stormy is not None:
        stormy = pool_id in climate.stormy
    else:
        stormy = world.dice(f"kind:{pool_id}").random() < climate.stormy_share
    return climate.stormy_per_hour if stormy else climate.calm_per_hour
