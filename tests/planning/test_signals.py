"""A signal on the serving instance: every small world there is gets an answer, and the rulings hold in each."""

from dataclasses import dataclass, fields, replace
from functools import cache
from itertools import combinations, product

import pytest

from spotguard.domain.agents import KillLevel, Protection
from spotguard.domain.ids import ReplicaId
from spotguard.domain.replicas import LIVE_REPLICA, ReplicaStatus
from spotguard.domain.signals import SignalAction, SignalType
from spotguard.planning.emergency import (
    DeathFacts,
    SignalAnswer,
    SignalFacts,
    StandbyFacts,
    answer,
    best_standby,
)

EVERY_STANDBY = [
    StandbyFacts(ReplicaId(f"r{number:02}"), status, enrolled, age, under_signal)
    for number, (status, enrolled, age, under_signal) in enumerate(
        product(sorted(LIVE_REPLICA), (True, False), (None, 5.0, 600.0), (True, False))
    )
]
PAIRED = [s for s in EVERY_STANDBY if s.enrolled and s.complete_pass_age_seconds != 600.0]
STANDING = [(), *((s,) for s in EVERY_STANDBY), *combinations(PAIRED, 2)]

QUIET = SignalFacts(
    signal=SignalType.TERMINATION,
    enabled=True,
    protection=Protection.AUTOMATIC,
    kill=KillLevel.NONE,
    standbys=(),
    move_under_way=False,
)
READY = StandbyFacts(ReplicaId("ready"), ReplicaStatus.READY, True, 4.0, False)
SYNCING = StandbyFacts(ReplicaId("syncing"), ReplicaStatus.SYNCING, True, 30.0, False)
LAUNCHING = StandbyFacts(ReplicaId("launching"), ReplicaStatus.LAUNCHING, False, None, False)


@dataclass(frozen=True)
class Told:
    facts: SignalFacts
    answer: SignalAnswer

    @property
    def fit(self) -> list[StandbyFacts]:
        return [s for s in self.facts.standbys if not s.under_signal]

    @property
    def is_hands_off(self) -> bool:
        return not self.facts.enabled or self.facts.kill is KillLevel.ALL


@cache
def everything() -> tuple[Told, ...]:
    worlds = product(SignalType, (True, False), Protection, KillLevel, STANDING, (True, False))
    return tuple(
        Told(facts, answer(facts))
        for signal, enabled, protection, kill, standbys, moving in worlds
        if (facts := SignalFacts(signal, enabled, protection, kill, standbys, moving))
    )


def acting(signal):
    return [told for told in everything() if not told.is_hands_off and told.facts.signal is signal]


def test_the_enumeration_is_not_empty_and_meets_every_answer_that_a_signal_can_get():
    assert {told.answer.action for told in everything()} == set(SignalAction) - {SignalAction.RELAUNCH}
    assert len(everything()) > 5_000


def test_disabled_means_hands_off_whatever_comes():
    """B8: `enabled = FALSE` records, notifies and does nothing."""
    for told in everything():
        if not told.facts.enabled:
            assert told.answer.action is SignalAction.NONE
            assert told.answer.replica_id is None
            assert "disabled" in told.answer.because


def test_the_kill_switch_at_all_stops_emergencies_and_says_so():
    for told in everything():
        if told.facts.enabled and told.facts.kill is KillLevel.ALL:
            assert told.answer == SignalAnswer(
                SignalAction.NONE, None, "the kill switch stops everything, emergencies too"
            )


def test_the_kill_switch_at_voluntary_never_stops_an_emergency():
    """It holds a manual replica back: whoever waits for one is given an emergency replica in its place."""
    for told in everything():
        if told.facts.kill is KillLevel.VOLUNTARY:
            free = answer(replace(told.facts, kill=KillLevel.NONE))
            awaited = free.action is SignalAction.MONITOR and "manual replica is being made" in free.because
            if awaited:
                assert told.answer.action is SignalAction.CREATE_REPLICA
            else:
                assert told.answer == free


def test_who_is_not_hands_off_is_never_left_without_an_answer():
    for told in everything():
        if not told.is_hands_off:
            assert told.answer.action is not SignalAction.NONE
        assert told.answer.because


def test_a_named_replica_is_one_that_stands_by_and_has_no_signal_of_its_own():
    """B9: a standby under a signal of its own is not ready."""
    for told in everything():
        if told.answer.replica_id is not None:
            assert told.answer.replica_id in {s.replica_id for s in told.fit}


def test_the_same_facts_in_another_order_get_the_same_answer():
    for told in everything():
        turned = replace(told.facts, standbys=told.facts.standbys[::-1])
        assert answer(turned) == told.answer


def test_a_termination_notice_is_answered_alike_in_every_mode():
    """B8: emergencies are for both modes, and with neither the agent still hands over if it can."""
    for told in acting(SignalType.TERMINATION):
        others = {answer(replace(told.facts, protection=p)) for p in Protection}
        assert others == {told.answer}


def test_a_termination_notice_takes_the_move_under_way_else_a_standby_else_makes_one():
    for told in acting(SignalType.TERMINATION):
        answered = (
            {SignalAction.PROMOTE, SignalAction.HAND_OVER} if told.fit else {SignalAction.CREATE_REPLICA}
        )
        assert told.answer.action in ({SignalAction.HAND_OVER} if told.facts.move_under_way else answered)


def test_a_placeholder_is_never_promoted():
    """S9: a row whose instance EC2 has not named, or that holds no complete pass, has nothing to serve."""
    for told in acting(SignalType.TERMINATION):
        if told.answer.action is SignalAction.PROMOTE:
            chosen = next(s for s in told.fit if s.replica_id == told.answer.replica_id)
            assert chosen.enrolled
            assert chosen.status is ReplicaStatus.READY or chosen.complete_pass_age_seconds is not None


def test_a_rebalance_recommendation_never_moves_the_workload():
    """B7: AWS promises nothing with it."""
    gentle = {SignalAction.MONITOR, SignalAction.CREATE_REPLICA}
    assert {told.answer.action for told in acting(SignalType.REBALANCE)} == gentle


def test_a_rebalance_recommendation_makes_a_replica_when_nothing_else_is_there_or_comes():
    for told in acting(SignalType.REBALANCE):
        lonely = not told.fit and not told.facts.move_under_way
        held_back = told.facts.protection is Protection.MANUAL and told.facts.kill is KillLevel.VOLUNTARY
        wanted = lonely and (told.facts.protection is Protection.AUTOMATIC or held_back)
        assert (told.answer.action is SignalAction.CREATE_REPLICA) is wanted


def test_without_a_state_sync_no_standby_is_made_and_every_other_answer_stays():
    for told in everything():
        given = answer(replace(told.facts, can_sync=False))
        assert given.action is not SignalAction.CREATE_REPLICA
        if told.answer.action is SignalAction.CREATE_REPLICA:
            assert "sync" in given.because
        elif told.answer.action is not SignalAction.MONITOR:
            assert given == told.answer
    assert answer(replace(QUIET, can_sync=False)).action is SignalAction.RELAUNCH


def test_a_promoted_standby_is_ready_if_any_is():
    """B9: the best ready replica; else the newest complete pass of a syncing one."""
    for told in acting(SignalType.TERMINATION):
        if told.answer.action is SignalAction.PROMOTE:
            chosen = next(s for s in told.fit if s.replica_id == told.answer.replica_id)
            ready = [s for s in told.fit if s.status is ReplicaStatus.READY]
            assert chosen in (ready or told.fit)


def test_of_two_standbys_neither_a_worse_status_nor_an_older_pass_wins():
    order = {ReplicaStatus.READY: 0, ReplicaStatus.SYNCING: 1, ReplicaStatus.LAUNCHING: 2}
    for one, other in combinations(EVERY_STANDBY, 2):
        chosen = best_standby((one, other))
        assert chosen == best_standby((other, one))
        if one.under_signal and other.under_signal:
            assert chosen is None
            continue
        if one.under_signal or other.under_signal:
            assert chosen == (other if one.under_signal else one)
            continue
        rejected = other if chosen == one else one
        assert order[chosen.status] <= order[rejected.status]
        if chosen.status is rejected.status and chosen.enrolled is rejected.enrolled:
            ages = [s.complete_pass_age_seconds or 0.0 for s in (chosen, rejected)]
            known = [s.complete_pass_age_seconds is not None for s in (chosen, rejected)]
            assert known[0] or not known[1]
            assert ages[0] <= ages[1] or not all(known)


STORIES = {
    "a notice, and the ready standby takes over": (
        replace(QUIET, standbys=(SYNCING, READY)),
        SignalAction.PROMOTE,
        "ready",
    ),
    "a notice while the standby still copies: its newest pass is taken": (
        replace(QUIET, standbys=(LAUNCHING, SYNCING)),
        SignalAction.PROMOTE,
        "syncing",
    ),
    "a notice while the only standby boots: it is the one to hand over to": (
        replace(QUIET, standbys=(LAUNCHING,)),
        SignalAction.HAND_OVER,
        "launching",
    ),
    "the whole zone is going: the standby has a notice too, another is made": (
        replace(QUIET, standbys=(replace(READY, under_signal=True),)),
        SignalAction.CREATE_REPLICA,
        None,
    ),
    "a recommendation in manual mode: the standing replica is enough": (
        replace(QUIET, signal=SignalType.REBALANCE, protection=Protection.MANUAL, standbys=(READY,)),
        SignalAction.MONITOR,
        "ready",
    ),
    "a recommendation in manual mode, no replica yet: the standing wish makes it, not the signal": (
        replace(QUIET, signal=SignalType.REBALANCE, protection=Protection.MANUAL),
        SignalAction.MONITOR,
        None,
    ),
    "a recommendation with neither mode: watched until a notice": (
        replace(QUIET, signal=SignalType.REBALANCE, protection=Protection.NONE),
        SignalAction.MONITOR,
        None,
    ),
}


@pytest.mark.parametrize(("facts", "action", "replica_id"), STORIES.values(), ids=STORIES)
def test_story(facts, action, replica_id):
    told = answer(facts)
    assert (told.action, told.replica_id) == (action, replica_id)


def test_nothing_is_handed_over_to_a_silent_standby():
    """It is answered as if it had a signal of its own."""
    for told in everything():
        standbys = tuple(replace(s, silent=s.under_signal, under_signal=False) for s in told.facts.standbys)
        assert answer(replace(told.facts, standbys=standbys)) == told.answer


def test_no_emergency_knows_of_money():
    """B13: spend caps bind voluntary and standby launches, never an emergency: its facts have no place for one."""
    known = {field.name for of in (SignalFacts, DeathFacts, StandbyFacts) for field in fields(of)}
    assert not {
        name for name in known if "usd" in name or "cap_" in name or "spend" in name or "price" in name
    }
