"""Which standbys an agent should have, and where the next one is looked for (rulings B6, B13)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from spotguard.domain.agents import AgentStatus, KillLevel, Protection
from spotguard.domain.decisions import PoolAssessment
from spotguard.domain.ids import PoolId, ReplicaId
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.domain.replicas import ReplicaType
from spotguard.planning.guard_rails import above_the_limit
from spotguard.planning.presence import REPLACED_AFTER
from spotguard.planning.switching import NO_SYNC

_FIRST_PAUSE = timedelta(seconds=30)
_LONGEST_PAUSE = timedelta(minutes=30)
_TRIED_AT_ONCE = 3
_PAUSE_IN_HASTE = timedelta(seconds=15)
_NO_LIMIT = Decimal(1)  # of a probability


@dataclass(frozen=True)
class Place:
    """Somewhere to launch, with what it costs there; None unknown.

    `last_resort`: in quarantine, or the pool that the workload has just lost: only when nothing else has capacity.
    """

    pool: Pool
    mode: Mode
    usd_per_hour: Decimal | None
    last_resort: bool = False


@dataclass(frozen=True)
class LiveReplica:
    """A replica row that is alive. `doomed`: its own instance has a signal. `unheard`: nobody has heard it for long.
    `launched`: EC2 has named its instance. `synced`: a whole pass has reached it once.
    """

    replica_id: ReplicaId
    replica_type: ReplicaType
    pool_id: PoolId | None
    mode: Mode
    doomed: bool
    unheard: bool = False
    launched: bool = True
    synced: bool = True


@dataclass(frozen=True)
class StandbyNeed:
    """What the standing wish for replicas depends on."""

    now: datetime
    status: AgentStatus
    enabled: bool
    protection: Protection
    kill: KillLevel
    primary_pool: PoolId | None  # None: on demand
    serving: bool  # somebody holds the epoch and lives
    moving: bool
    replicas: tuple[LiveReplica, ...]
    failures: int  # replicas in a row that came to nothing
    failed_at: datetime | None
    places: tuple[Place, ...]  # in the order in which they should be tried
    can_sync: bool = True  # the serving instance's state can be copied to a standby
    signalled: bool = False  # AWS has said that the serving instance may be taken, or will be


@dataclass(frozen=True)
class LaunchReplica:
    """A standby is wanted here. `replaces`: poor ones, better than none until a whole pass has reached it."""

    replica_type: ReplicaType
    place: Place
    because: str
    replaces: tuple[ReplicaId, ...] = ()


@dataclass(frozen=True)
class RetireReplica:
    """This standby is not wanted any more."""

    replica_id: ReplicaId
    because: str


StandbyPlan = LaunchReplica | RetireReplica


def wants_launch(need: StandbyNeed) -> bool:
    """Whether places matter at all: a manual replica is due, may be made, and none that is fit lives."""
    if not need.serving or need.moving or need.protection is not Protection.MANUAL or not need.can_sync:
        return False
    if why_none_is_made(enabled=need.enabled, kill=need.kill, is_emergency=False) is not None:
        return False
    return all(_unfit(need, replica) is not None for replica in need.replicas)


def plan_standbys(need: StandbyNeed) -> tuple[StandbyPlan, ...]:
    """Retirements first; then at most one launch. Nothing at all for who is disabled or stopped by the kill switch."""
    if need.status is AgentStatus.DELETED:
        return tuple(RetireReplica(r.replica_id, "its agent is deleted") for r in need.replicas)
    hands_off = not need.enabled or need.kill is KillLevel.ALL
    if hands_off or need.moving or not need.serving:
        return ()  # who stands by for whom is about to change, or the standby holds what is left of the state
    if need.protection is not Protection.MANUAL:
        return _retire_manual(need)
    if not need.can_sync:
        return tuple(RetireReplica(r.replica_id, NO_SYNC) for r in need.replicas)
    return _keep_one(need)


def _keep_one(need: StandbyNeed) -> tuple[StandbyPlan, ...]:
    """What is poor goes when a whole pass has reached a fit one: it may be all that is left until then."""
    unfit = {r.replica_id: retire for r in need.replicas if (retire := _unfit(need, r)) is not None}
    fit = [r for r in need.replicas if r.replica_id not in unfit]
    if any(r.synced for r in fit):
        return tuple(unfit.values())
    poor = tuple(r.replica_id for r in need.replicas if r.replica_id in unfit and r.launched)
    only_wished = tuple(retire for name, retire in unfit.items() if name not in poor)
    if fit:
        return only_wished
    launch = _launch(need, tuple(unfit.values()))
    return () if launch is None else (*only_wished, replace(launch, replaces=poor))


def _retire_manual(need: StandbyNeed) -> tuple[RetireReplica, ...]:
    """While a signal counts one does in automatic mode what an emergency replica would be made for."""
    needed = need.protection is Protection.AUTOMATIC and need.signalled
    manual = [
        r for r in need.replicas if r.replica_type is ReplicaType.MANUAL and not (needed and r.launched)
    ]
    return tuple(RetireReplica(r.replica_id, "manual replicas were switched off") for r in manual)


def why_none_is_made(*, enabled: bool, kill: KillLevel, is_emergency: bool) -> str | None:
    """Why no standby is launched now, or None. One that its user keeps is voluntary (invariant 13), also in the
    place of one that was lost; one that a signal asks for is an emergency.
    """
    if not enabled:
        return "the agent is disabled: no standby is made"
    if kill is KillLevel.ALL or (kill is KillLevel.VOLUNTARY and not is_emergency):
        return f"the kill switch stands at {kill.name.lower()}: no new standby is made"
    return None


def _launch(need: StandbyNeed, unfit: tuple[RetireReplica, ...]) -> LaunchReplica | None:
    place = next(iter(need.places), None)
    if why_none_is_made(enabled=need.enabled, kill=need.kill, is_emergency=False) is not None:
        return None
    if place is None or need.now < resume_at(need.failures, need.failed_at, need.now):
        return None
    because = unfit[0].because if unfit else "manual replica mode: a standby is always kept"
    return LaunchReplica(ReplicaType.MANUAL, place, because)


def _unfit(need: StandbyNeed, replica: LiveReplica) -> RetireReplica | None:
    if replica.doomed:
        return RetireReplica(replica.replica_id, "its own instance has an interruption signal: replaced")
    if replica.unheard:
        minutes = REPLACED_AFTER.total_seconds() / 60
        because = f"it has not been heard for {minutes:.0f} minutes in which its primary was: replaced"
        return RetireReplica(replica.replica_id, because)
    if replica.mode is Mode.SPOT and replica.pool_id is not None and replica.pool_id == need.primary_pool:
        return RetireReplica(
            replica.replica_id, "the primary came to its pool and would fall with it: replaced"
        )
    return None


def resume_at(failures: int, failed_at: datetime | None, now: datetime) -> datetime:
    """Back-off while replicas keep failing (ruling B13): 30 s doubling to half an hour."""
    if failures == 0 or failed_at is None:
        return now
    pause: timedelta = min(_FIRST_PAUSE * 2 ** min(failures - 1, 10), _LONGEST_PAUSE)
    return failed_at + pause


def resume_in_haste(failures: int, failed_at: datetime | None, now: datetime) -> datetime:
    """The same within a termination notice: the next pools are tried at once, and what every pool refuses is no
    matter of haste.
    """
    if failures < _TRIED_AT_ONCE or failed_at is None:
        return now
    return failed_at + _PAUSE_IN_HASTE


def standby_places(
    assessments: Sequence[PoolAssessment],
    *,
    primary: Pool | None,
    primary_mode: Mode | None,
    ondemand: dict[str, Decimal],
    now: datetime,
    risk_limit: Decimal = _NO_LIMIT,
) -> tuple[Place, ...]:
    """Safe spot pools, calm ones first, then on demand (in the primary's zone last: one zone's trouble takes both).

    Safe: allowed, priced, not in quarantine, never the primary's own pool. A spot pool that costs as much as
    on-demand is not worth its risk. Calm: see `_calm_first`.
    """
    safe = [
        Place(a.pool, Mode.SPOT, a.usd_per_hour)
        for a in _calm_first(safe_pools(assessments, now), risk_limit)
        if not (primary_mode is Mode.SPOT and primary is not None and a.pool.id == primary.id)
        and not _as_dear_as_ondemand(a, ondemand)
    ]
    return (*safe, *_ondemand_places(assessments, primary, ondemand, same_az_first=False))


def emergency_places(
    assessments: Sequence[PoolAssessment],
    *,
    present: Pool,
    ondemand: dict[str, Decimal],
    now: datetime,
    only_az: str | None = None,
    risk_limit: Decimal = _NO_LIMIT,
) -> tuple[Place, ...]:
    """Safe spot pools, calm ones first, then on demand in the same zone, then elsewhere; what is in quarantine comes
    last.

    `only_az`: a volume binds it there.
    """
    safe = [
        Place(a.pool, Mode.SPOT, a.usd_per_hour)
        for a in _calm_first(safe_pools(assessments, now), risk_limit)
        if a.pool.id != present.id
    ]
    taken = {place.pool.id for place in safe}
    priced = (a for a in assessments if a.allowed and a.usd_per_hour is not None and a.pool.id not in taken)
    unsafe = [
        Place(a.pool, Mode.SPOT, a.usd_per_hour, last_resort=True)
        for a in sorted(priced, key=lambda a: (a.usd_per_hour, a.pool.id))
    ]
    places = (*safe, *_ondemand_places(assessments, present, ondemand, same_az_first=True), *unsafe)
    return tuple(p for p in places if only_az is None or p.pool.az == only_az)


def safe_pools(assessments: Sequence[PoolAssessment], now: datetime) -> list[PoolAssessment]:
    """Allowed, priced and not in quarantine, cheapest first."""
    fit = [
        a
        for a in assessments
        if a.allowed
        and a.usd_per_hour is not None
        and (a.quarantined_until is None or a.quarantined_until <= now)
    ]
    return sorted(fit, key=lambda a: (a.usd_per_hour, a.pool.id))


def _calm_first(pools: Sequence[PoolAssessment], risk_limit: Decimal) -> list[PoolAssessment]:
    """In the order given, but those above the risk limit last: a standby is worth what its pool is, and after a
    promotion the workload lives there. They still come before on demand: a standby that is lost is made anew.
    """
    return sorted(pools, key=lambda a: above_the_limit(a.risk_6h, risk_limit) is not None)


def _as_dear_as_ondemand(assessment: PoolAssessment, ondemand: dict[str, Decimal]) -> bool:
    fixed = ondemand.get(assessment.pool.instance_type)
    return fixed is not None and assessment.usd_per_hour is not None and assessment.usd_per_hour >= fixed


def _ondemand_places(
    assessments: Sequence[PoolAssessment],
    primary: Pool | None,
    ondemand: dict[str, Decimal],
    *,
    same_az_first: bool,
) -> tuple[Place, ...]:
    """Every allowed zone and type on demand; the primary's own type and zone even where no pool is known."""
    pools = {a.pool.id: a.pool for a in assessments if a.allowed}
    if primary is not None:
        pools.setdefault(primary.id, primary)
    own_type = primary.instance_type if primary is not None else None
    own_az = primary.az if primary is not None else None

    def order(pool: Pool) -> tuple[bool, Decimal, bool, str]:
        fixed = ondemand.get(pool.instance_type)
        foreign = pool.instance_type != own_type
        near = (pool.az == own_az) is not same_az_first
        return (foreign, fixed if fixed is not None else Decimal("Infinity"), near, pool.id)

    return tuple(
        Place(pool, Mode.ONDEMAND, ondemand.get(pool.instance_type))
        for pool in sorted(pools.values(), key=order)
    )
