"""No volume of the dead holder is left: of all the standbys that live, who lacks the fewest writes takes over."""

from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import product

import pytest

from spotguard.domain.ids import InstanceId, ReplicaId
from spotguard.domain.replicas import ReplicaStatus
from spotguard.planning.emergency import DeathFacts, Recovery, StandbyFacts, recover
from tests.planning import test_deaths

NEWER = StandbyFacts(
    ReplicaId("newer"), ReplicaStatus.READY, True, 1.0, False, instance_id=InstanceId("i-new")
)
OLDER = StandbyFacts(
    ReplicaId("older"), ReplicaStatus.READY, True, 3.0, False, instance_id=InstanceId("i-old")
)
SILENT, DEAF = replace(NEWER, silent=True), replace(NEWER, is_deaf=True)
BARE = replace(test_deaths.BARE, volume_survives=False)


@dataclass(frozen=True)
class Pair:
    """Two standbys, and what is done with them."""

    facts: DeathFacts

    @property
    def plan(self):
        return recover(self.facts)

    @property
    def chosen(self):
        return next((s for s in self.facts.standbys if s.replica_id == self.plan.replica_id), None)


def pairs():
    flags = (True, False)
    states = [
        replace(
            NEWER, status=status, under_signal=signal or ending, silent=silent, is_deaf=deaf, is_ending=ending
        )
        for status, signal, silent, deaf, ending in product(
            (ReplicaStatus.READY, ReplicaStatus.SYNCING), flags, flags, flags, flags
        )
    ]
    for one, age, other in product(states, (1.0, 3.0, 600.0), states):
        standbys = (
            replace(one, replica_id=ReplicaId("one"), instance_id=InstanceId("i-one")),
            replace(other, replica_id=ReplicaId("other"), complete_pass_age_seconds=age),
        )
        for heir, closed in ((None, False), (None, True), ("one", True), ("other", True)):
            yield Pair(replace(BARE, standbys=standbys, handed_over_to=heir, gate_was_closed=closed))


def test_whoever_has_less_is_taken_only_where_the_other_is_about_to_be_taken_or_it_received_the_last_delta():
    for pair in pairs():
        if pair.chosen is None:
            continue
        (left,) = (s for s in pair.facts.standbys if s is not pair.chosen)
        has_all = pair.chosen.replica_id == pair.facts.handed_over_to
        is_older = left.complete_pass_age_seconds < pair.chosen.complete_pass_age_seconds
        assert not is_older or has_all or left.is_ending


def test_who_received_the_last_delta_is_left_only_where_aws_is_about_to_take_it():
    for pair in pairs():
        heir = next((s for s in pair.facts.standbys if s.replica_id == pair.facts.handed_over_to), None)
        if heir is not None and not heir.is_ending and pair.chosen is not None:
            assert (pair.chosen, pair.plan.lost_seconds) == (heir, Decimal(0))


def test_nobody_waits_unsaid_for_one_that_hears_nothing():
    for pair in pairs():
        assert pair.chosen is None or not pair.chosen.is_deaf
        if pair.plan.how is None:
            deaf = [s.instance_id for s in pair.facts.standbys if s.is_deaf]
            assert any(
                f"the standby {machine}, which has the newest state" in pair.plan.because for machine in deaf
            )


def test_of_equals_the_one_that_answers_takes_over():
    for bad in ("silent", "is_deaf", "under_signal"):
        worse = replace(OLDER, replica_id=ReplicaId("a"), **{bad: True})
        assert recover(replace(BARE, standbys=(worse, OLDER))).replica_id == "older"


@pytest.mark.parametrize(
    "older", [OLDER, replace(OLDER, status=ReplicaStatus.SYNCING, complete_pass_age_seconds=600.0)]
)
def test_seconds_more_are_worth_the_wait_and_people_are_told_why(older):
    plan = recover(replace(BARE, standbys=(SILENT, older)))
    assert (plan.how, plan.replica_id, plan.lost_seconds) == (Recovery.STANDBY, "newer", Decimal("1.0"))
    age = older.complete_pass_age_seconds
    assert f"the complete pass of 1.0 s ago is promoted, not that of {age} s ago" in plan.because
    assert "no write may be lost" in plan.because


def test_a_volume_that_is_left_has_what_the_older_one_lacks_and_is_kept():
    plan = recover(replace(BARE, standbys=(SILENT, OLDER), volume_survives=True))
    assert plan.replica_id == "older"


@pytest.mark.parametrize("unsure", [{"looked": False}, {"may_be_hidden": True}])
def test_while_nobody_knows_whether_a_volume_is_left_the_older_one_is_not_taken(unsure):
    assert recover(replace(BARE, standbys=(SILENT, OLDER), **unsure)).how is None


SERVED = {
    "an older standby": (replace(BARE, standbys=(DEAF, OLDER)), "an older complete pass is taken"),
    "a restore point": (replace(BARE, standbys=(DEAF,), image_age_seconds=60.0), "the newest image is taken"),
    "nothing": (replace(BARE, standbys=(DEAF,), keeps_state=True), "restore a backup of your own"),
    "another deaf one": (
        replace(BARE, standbys=(DEAF, replace(OLDER, is_deaf=True))),
        "no volume is left, and the standby i-old",
    ),
}


@pytest.mark.parametrize(("facts", "then"), SERVED.values(), ids=SERVED)
def test_of_a_deaf_one_people_are_told_what_is_served_without_it(facts, then):
    plan = recover(facts)
    assert plan.how is None
    assert "the standby i-new, which has the newest state, hears nothing of the server" in plan.because
    assert then in plan.because.split("and then: ", 1)[1]


def test_what_they_are_told_is_the_same_a_minute_later():
    """Else it would be news each time."""
    facts, _ = SERVED["a restore point"]
    later = replace(facts, standbys=(replace(DEAF, complete_pass_age_seconds=61.0),), image_age_seconds=120.0)
    assert recover(later) == recover(facts)
