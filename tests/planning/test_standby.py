"""Which standbys an agent should have: every small world, planned, carried out on paper and planned again (B6, B13)."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import combinations_with_replacement, product

import pytest

from spotguard.domain.agents import AgentStatus, KillLevel, Protection
from spotguard.domain.ids import ReplicaId
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.domain.replicas import ReplicaType
from spotguard.planning.standby import (
    LaunchReplica,
    LiveReplica,
    Place,
    RetireReplica,
    StandbyNeed,
    StandbyPlan,
    plan_standbys,
    resume_at,
    resume_in_haste,
    wants_launch,
)

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
HERE = Pool("m6i.large", "eu-west-1a")
THERE = Pool("m6i.large", "eu-west-1b")
SPOT_THERE = Place(THERE, Mode.SPOT, Decimal("0.040"))
ONDEMAND_HERE = Place(HERE, Mode.ONDEMAND, Decimal("0.107"))


def replica(kind=ReplicaType.MANUAL, name="r1", *, pool=THERE, mode=Mode.SPOT, doomed=False):
    return LiveReplica(ReplicaId(name), kind, pool.id, mode, doomed)


KINDS_OF_REPLICA = [
    {"kind": kind, "pool": pool, "mode": mode, "doomed": doomed}
    for kind, (pool, mode), doomed in product(
        (ReplicaType.MANUAL, ReplicaType.REBALANCE),
        ((THERE, Mode.SPOT), (HERE, Mode.SPOT), (HERE, Mode.ONDEMAND)),
        (True, False),
    )
]
CROWDS = [
    tuple(replica(name=f"r{n}", **kind) for n, kind in enumerate(crowd))
    for size in range(3)
    for crowd in combinations_with_replacement(KINDS_OF_REPLICA, size)
]

WISH = StandbyNeed(
    now=NOW,
    status=AgentStatus.ONLINE,
    enabled=True,
    protection=Protection.MANUAL,
    kill=KillLevel.NONE,
    primary_pool=HERE.id,
    serving=True,
    moving=False,
    replicas=(),
    failures=0,
    failed_at=None,
    places=(SPOT_THERE, ONDEMAND_HERE),
)


@dataclass(frozen=True)
class Planned:
    need: StandbyNeed
    plans: tuple[StandbyPlan, ...]

    @property
    def launches(self) -> list[LaunchReplica]:
        return [plan for plan in self.plans if isinstance(plan, LaunchReplica)]

    @property
    def retired(self) -> list[ReplicaId]:
        return [plan.replica_id for plan in self.plans if isinstance(plan, RetireReplica)]

    @property
    def is_free_to_act(self) -> bool:
        need = self.need
        return need.enabled and need.kill is not KillLevel.ALL and need.serving and not need.moving

    @property
    def fit(self) -> list[LiveReplica]:
        """Those that would not fall with the primary and are not about to fall themselves."""
        own = self.need.primary_pool
        return [
            r for r in self.need.replicas if not r.doomed and not (r.mode is Mode.SPOT and r.pool_id == own)
        ]


@cache
def everything() -> tuple[Planned, ...]:
    flags = (True, False)
    statuses = (AgentStatus.ONLINE, AgentStatus.OFFLINE, AgentStatus.DELETED)
    circumstances = product(statuses, flags, Protection, KillLevel, flags, flags)
    needs = [
        replace(
            WISH,
            status=status,
            enabled=enabled,
            protection=mode,
            kill=kill,
            serving=serving,
            moving=moving,
            replicas=crowd,
            places=WISH.places if has_place else (),
            failures=failures,
            failed_at=NOW,
        )
        for (status, enabled, mode, kill, serving, moving), crowd in product(circumstances, CROWDS)
        for has_place, failures in ((True, 0), (True, 3), (False, 0))
    ]
    return tuple(Planned(need, plan_standbys(need)) for need in needs)


def living():
    return [seen for seen in everything() if seen.need.status is not AgentStatus.DELETED]


def test_a_deleted_agents_standbys_are_all_retired_and_none_is_launched():
    for seen in everything():
        if seen.need.status is AgentStatus.DELETED:
            assert seen.retired == [r.replica_id for r in seen.need.replicas]
            assert not seen.launches


def test_hands_off_means_nothing_is_launched_and_nothing_is_retired():
    """B8 and the kill switch; while a move is under way it is about to change who stands by for whom."""
    for seen in living():
        if not seen.is_free_to_act:
            assert seen.plans == ()


def test_while_nobody_serves_the_last_copies_are_left_alone():
    """No workload and no byte is ever lost: the standby may be all that is left of the state."""
    for seen in living():
        if not seen.need.serving:
            assert seen.retired == []


def test_the_kill_switch_at_voluntary_launches_none_and_ends_no_poor_one_for_which_nothing_comes():
    """Invariant 13, and what its note promises: no new standby. Whatever needs no launch goes on as ever."""
    for seen in living():
        if seen.need.kill is KillLevel.VOLUNTARY:
            free = Planned(seen.need, plan_standbys(replace(seen.need, kill=KillLevel.NONE)))
            assert seen.plans == (() if free.launches else free.plans)
            assert not wants_launch(seen.need)


def test_only_manual_mode_keeps_a_standing_replica():
    for seen in living():
        if seen.need.protection is not Protection.MANUAL:
            assert not seen.launches
            gone = {r.replica_id for r in seen.need.replicas if r.replica_type is ReplicaType.MANUAL}
            assert set(seen.retired) == (gone if seen.is_free_to_act else set())


def test_manual_mode_launches_exactly_when_no_fit_standby_is_left_and_it_may():
    for seen in living():
        need = seen.need
        may = seen.is_free_to_act and need.kill is KillLevel.NONE and need.places and need.failures == 0
        wanted = need.protection is Protection.MANUAL and not seen.fit and may
        assert len(seen.launches) == (1 if wanted else 0)


def test_in_manual_mode_an_emergency_replica_does_the_manual_ones_work():
    seen = Planned(need := replace(WISH, replicas=(replica(ReplicaType.REBALANCE),)), plan_standbys(need))
    assert seen.plans == ()


def test_a_fit_standby_is_never_retired_in_manual_mode():
    for seen in living():
        if seen.need.protection is Protection.MANUAL:
            assert not set(seen.retired) & {r.replica_id for r in seen.fit}


def test_a_poor_standby_goes_only_when_a_fit_one_stands_or_its_successor_is_launched_with_it():
    for seen in living():
        if seen.need.protection is Protection.MANUAL and seen.retired:
            assert seen.fit or seen.launches


def test_retirements_come_first_then_at_most_one_launch_and_none_is_retired_twice():
    for seen in everything():
        assert len(seen.launches) <= 1
        assert list(seen.plans[len(seen.retired) :]) == seen.launches
        assert len(set(seen.retired)) == len(seen.retired)
        assert all(plan.because for plan in seen.plans)


def test_what_was_planned_and_done_needs_no_second_plan():
    """One pass, then rest: no replacement loop, no flapping of standbys."""
    for seen in everything():
        kept = [r for r in seen.need.replicas if r.replica_id not in seen.retired]
        made = [
            LiveReplica(
                ReplicaId("new"),
                plan.replica_type,
                plan.place.pool.id,
                plan.place.mode,
                doomed=False,
                launched=False,
                synced=False,
            )
            for plan in seen.launches
        ]
        assert plan_standbys(replace(seen.need, replicas=(*kept, *made))) == ()


def test_without_a_state_sync_no_standby_is_launched_and_those_there_are_go():
    for seen in living():
        plans = plan_standbys(replace(seen.need, can_sync=False))
        assert all(isinstance(plan, RetireReplica) for plan in plans)
        if seen.is_free_to_act and seen.need.protection is Protection.MANUAL:
            assert [plan.replica_id for plan in plans] == [r.replica_id for r in seen.need.replicas]


def test_the_first_place_is_taken():
    [plan] = plan_standbys(WISH)
    assert plan == LaunchReplica(
        ReplicaType.MANUAL, SPOT_THERE, "manual replica mode: a standby is always kept"
    )


def test_a_standby_with_a_signal_of_its_own_is_replaced():
    """B9: it is not ready."""
    [new] = plan_standbys(replace(WISH, replicas=(replica(doomed=True),)))
    assert (new.place, new.replaces) == (SPOT_THERE, ("r1",))
    assert "signal" in new.because


def test_a_standby_that_nobody_hears_is_replaced_as_one_with_a_signal_is():
    """A poor one is better than none: it goes when another is launched."""
    unheard = replace(replica(), unheard=True)
    [new] = plan_standbys(replace(WISH, replicas=(unheard,)))
    assert (new.place, new.replaces) == (SPOT_THERE, ("r1",))
    assert "not been heard for 5 minutes" in new.because
    assert plan_standbys(replace(WISH, replicas=(unheard,), places=())) == ()


def test_the_primary_moved_into_its_standbys_pool():
    """B6: never the primary's own pool; over 92 % of interruptions in one pool fall within three minutes."""
    need = replace(WISH, primary_pool=THERE.id, replicas=(replica(),), places=(ONDEMAND_HERE,))
    [new] = plan_standbys(need)
    assert "fall with it" in new.because
    assert (new.place, new.replaces) == (ONDEMAND_HERE, ("r1",))
    only_wished = replace(replica(), launched=False)
    gone, new = plan_standbys(replace(need, replicas=(only_wished,)))
    assert (gone.replica_id, new.place, new.replaces) == ("r1", ONDEMAND_HERE, ())


def test_a_poor_standby_stays_until_a_whole_pass_has_reached_its_successor():
    poor = replica(doomed=True)
    wished = replace(replica(), replica_id="r2", launched=False, synced=False)
    launched = replace(wished, launched=True)
    for successor in (wished, launched):
        assert plan_standbys(replace(WISH, replicas=(poor, successor))) == ()
    [gone] = plan_standbys(replace(WISH, replicas=(poor, replace(launched, synced=True))))
    assert gone.replica_id == "r1"


def test_a_primary_on_demand_has_no_pool_to_share():
    assert plan_standbys(replace(WISH, primary_pool=None, replicas=(replica(pool=HERE),))) == ()


PAUSES = [
    (0, 0),
    (1, 30),
    (2, 60),
    (3, 120),
    (4, 240),
    (5, 480),
    (6, 960),
    (7, 1_800),
    (8, 1_800),
    (1_000, 1_800),
]


@pytest.mark.parametrize(("failures", "seconds"), PAUSES)
def test_replicas_that_keep_failing_are_tried_less_and_less_often(failures, seconds):
    """B13: created immediately, with back-off when they keep failing."""
    again = resume_at(failures, NOW, NOW)
    assert again == NOW + timedelta(seconds=seconds)
    failing = replace(WISH, failures=failures, failed_at=NOW)
    if seconds:
        assert plan_standbys(replace(failing, now=again - timedelta(microseconds=1))) == ()
    assert len(plan_standbys(replace(failing, now=again))) == 1


def test_a_failure_without_a_time_does_not_stop_it_for_ever():
    assert resume_at(5, None, NOW) == NOW


@pytest.mark.parametrize(("failures", "seconds"), [(0, 0), (1, 0), (2, 0), (3, 15), (40, 15)])
def test_within_a_notice_some_pools_are_tried_at_once_and_then_with_pauses(failures, seconds):
    assert resume_in_haste(failures, NOW, NOW) == NOW + timedelta(seconds=seconds)
    assert resume_in_haste(failures, None, NOW) == NOW
