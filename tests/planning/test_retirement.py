"""When an emergency replica is given up (B7): every small world, and the edge of the two hours."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from spotguard.domain.agents import KillLevel, Protection
from spotguard.domain.ids import ReplicaId
from spotguard.domain.replicas import ReplicaType
from spotguard.planning.retirement import EmergencyReplica, RetirementFacts, plan_retirements

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
FRESH, OLD = timedelta(minutes=119), timedelta(hours=2)


def replica(kind=ReplicaType.REBALANCE, created=OLD, signalled=OLD, name="r"):
    at = None if signalled is None else NOW - signalled
    return EmergencyReplica(ReplicaId(name), kind, NOW - created, at)


def retired(
    *replicas,
    enabled=True,
    kill=KillLevel.NONE,
    protection=Protection.AUTOMATIC,
    notice=False,
    moving=False,
    serving=True,
):
    facts = RetirementFacts(NOW, enabled, kill, protection, notice, moving, serving, replicas)
    return [plan.replica_id for plan in plan_retirements(facts)]


WORLDS = list(
    product(
        (True, False),
        KillLevel,
        Protection,
        (True, False),
        (True, False),
        (True, False),
        ReplicaType,
        (FRESH, OLD),
        (None, FRESH, OLD),
    )
)


def test_in_every_small_world_exactly_the_unneeded_are_retired():
    for enabled, kill, protection, notice, moving, serving, kind, created, signalled in WORLDS:
        gone = retired(
            replica(kind, created, signalled),
            enabled=enabled,
            kill=kill,
            protection=protection,
            notice=notice,
            moving=moving,
            serving=serving,
        )
        is_free = enabled and kill is not KillLevel.ALL and not notice and not moving and serving
        is_unneeded = kind is not ReplicaType.MANUAL and created >= OLD and signalled != FRESH
        assert bool(gone) is (is_free and is_unneeded and protection is not Protection.MANUAL)


def test_the_worlds_hold_both_outcomes():
    assert len(WORLDS) == 2 * 3 * 3 * 2 * 2 * 2 * 3 * 2 * 3


def test_two_hours_without_a_termination_and_it_goes():
    assert retired(replica()) == ["r"]


@pytest.mark.parametrize("short", [timedelta(microseconds=1), timedelta(seconds=1), timedelta(minutes=30)])
def test_not_a_moment_before(short):
    assert retired(replica(created=OLD - short, signalled=None)) == []


def test_a_newer_recommendation_begins_the_two_hours_again():
    assert retired(replica(created=timedelta(hours=5), signalled=FRESH)) == []


def test_a_recommendation_older_than_the_replica_does_not_shorten_its_stay():
    assert retired(replica(created=FRESH, signalled=timedelta(hours=9))) == []


def test_an_open_notice_keeps_it_however_old():
    assert retired(replica(created=timedelta(days=1), signalled=timedelta(days=1)), notice=True) == []


def test_in_manual_mode_it_does_the_manual_replicas_work():
    assert retired(replica(), protection=Protection.MANUAL) == []


def test_only_the_unneeded_of_several_go_and_each_says_why():
    crowd = (
        replica(name="old"),
        replica(name="new", created=FRESH),
        replica(ReplicaType.MANUAL, name="manual"),
    )
    facts = RetirementFacts(NOW, True, KillLevel.NONE, Protection.AUTOMATIC, False, False, True, crowd)
    plans = plan_retirements(facts)
    assert [(p.replica_id, p.because) for p in plans] == [
        ("old", "two hours without a termination notice: no longer needed")
    ]
