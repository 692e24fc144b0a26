"""A death that EC2 confirms (B9, B10): every small world of what is left, and how the workload comes back."""

from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from itertools import combinations, product

import pytest

from spotguard.domain.agents import KillLevel
from spotguard.domain.ids import ReplicaId
from spotguard.domain.replicas import LIVE_REPLICA, ReplicaStatus
from spotguard.planning.emergency import (
    RECENT_PASS_SECONDS,
    DeathFacts,
    Recovery,
    RecoveryPlan,
    StandbyFacts,
    recover,
)

EVERY_STANDBY = [
    StandbyFacts(ReplicaId(f"r{number:02}"), status, enrolled, age, under_signal)
    for number, (status, enrolled, age, under_signal) in enumerate(
        product(sorted(LIVE_REPLICA), (True, False), (None, 5.0, 600.0), (True, False))
    )
]
PAIRED = [s for s in EVERY_STANDBY if s.enrolled and s.complete_pass_age_seconds is not None]
STANDING = [(), *((s,) for s in EVERY_STANDBY), *combinations(PAIRED, 2)]

BARE = DeathFacts(
    enabled=True,
    kill=KillLevel.NONE,
    standbys=(),
    volume_survives=True,
    same_az_has_capacity=True,
    gate_was_closed=False,
    handed_over_to=None,
)
READY = StandbyFacts(ReplicaId("ready"), ReplicaStatus.READY, True, 4.0, False)
SYNCING = StandbyFacts(ReplicaId("syncing"), ReplicaStatus.SYNCING, True, 30.0, False)


@dataclass(frozen=True)
class Death:
    facts: DeathFacts
    plan: RecoveryPlan

    @property
    def usable(self) -> list[StandbyFacts]:
        """Those that run and hold a whole pass: half a pass is never promoted (invariant 4)."""
        return [s for s in self.facts.standbys if s.enrolled and s.complete_pass_age_seconds is not None]

    @property
    def safe(self) -> list[StandbyFacts]:
        return [s for s in self.usable if not s.under_signal]

    @property
    def chosen(self) -> StandbyFacts:
        return next(s for s in self.facts.standbys if s.replica_id == self.plan.replica_id)


def _worlds():
    flags = (True, False)
    for standbys in STANDING:
        heirs = (None, *(s.replica_id for s in standbys))
        for volume, capacity, gate, heir in product(flags, flags, flags, heirs):
            yield replace(
                BARE,
                standbys=standbys,
                volume_survives=volume,
                same_az_has_capacity=capacity,
                gate_was_closed=gate or heir is not None,  # a last delta is sent behind a closed gate
                handed_over_to=heir,
            )


@cache
def everything() -> tuple[Death, ...]:
    return tuple(Death(facts, recover(facts)) for facts in _worlds())


def test_the_enumeration_meets_every_way_back():
    assert {death.plan.how for death in everything()} == set(Recovery)


def test_a_state_that_lies_on_the_root_comes_back_by_a_standby_or_a_restore_point_or_by_a_person():
    """Its other volumes are none of it, and the root itself nothing here starts from."""
    for death in everything():
        facts = replace(death.facts, volume_survives=False, state_on_root=True)
        without, point = recover(facts), recover(replace(facts, image_age_seconds=3600.0))
        assert without.how in (Recovery.STANDBY, None)
        assert point.how is (without.how or Recovery.IMAGE)
        assert without.how is not None or "root disk, which is kept" in without.because
        assert (
            without.how is not None
            or "another logical_agent_id in its /etc/spotguard/agent.toml" in without.because
        )


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("kill", KillLevel)
def test_only_the_user_and_the_highest_kill_switch_stop_a_rescue(enabled, kill):
    hands_off = not enabled or kill is KillLevel.ALL
    for death in everything():
        plan = recover(replace(death.facts, enabled=enabled, kill=kill))
        if hands_off:
            assert (plan.how, plan.replica_id, plan.lost_seconds) == (None, None, None)
            assert plan.because
        else:
            assert plan == death.plan


def test_a_plan_names_a_standby_exactly_when_a_standby_is_promoted():
    for death in everything():
        assert (death.plan.how is Recovery.STANDBY) is (death.plan.replica_id is not None)


def test_only_a_running_standby_with_a_whole_pass_is_promoted():
    for death in everything():
        if death.plan.how is Recovery.STANDBY:
            assert death.chosen in death.usable


def test_a_standby_under_a_signal_is_taken_only_when_no_volume_is_left_and_no_other_has_as_much():
    """B9 calls it not ready: `test_the_newest_pass`."""
    for death in everything():
        if death.plan.how is Recovery.STANDBY and death.chosen.under_signal:
            assert not death.facts.volume_survives
            if death.facts.handed_over_to != death.chosen.replica_id:
                age = death.chosen.complete_pass_age_seconds
                assert all(s.complete_pass_age_seconds > age for s in death.safe)


def test_a_silent_standby_is_taken_where_one_under_a_signal_would_be():
    for death in everything():
        standbys = tuple(replace(s, silent=s.under_signal, under_signal=False) for s in death.facts.standbys)
        assert recover(replace(death.facts, standbys=standbys)) == death.plan


def test_the_image_is_the_last_resort():
    for death in everything():
        nothing_else = not death.usable and not death.facts.volume_survives
        assert (death.plan.how is Recovery.IMAGE) is nothing_else


def test_while_ec2_does_not_tell_what_is_left_only_a_fit_standby_is_taken():
    for death in everything():
        plan = recover(replace(death.facts, looked=False))
        assert plan.how in (Recovery.STANDBY, None)
        if plan.how is Recovery.STANDBY:
            assert plan.replica_id in {s.replica_id for s in death.safe}
            assert plan.lost_seconds == 0 or not death.facts.gate_was_closed


def test_the_image_is_never_taken_while_a_volume_is_left_of_which_nobody_knows_whose_it_was():
    for death in everything():
        plan = recover(replace(death.facts, stray_volumes=("vol-1",)))
        if death.plan.how is Recovery.IMAGE:
            assert plan.how is None
            assert "vol-1" in plan.because
        else:
            assert plan == death.plan


def test_while_ec2_need_not_show_the_newest_state_yet_nothing_older_is_taken():
    for death in everything():
        if death.facts.volume_survives:
            continue
        plan = recover(replace(death.facts, may_be_hidden=True, keeps_state=True))
        assert plan.how in (Recovery.STANDBY, None)
        if plan.how is Recovery.STANDBY:
            assert plan.replica_id in {s.replica_id for s in death.safe}
            assert plan.lost_seconds == 0 or not death.facts.gate_was_closed


def test_an_image_from_before_the_state_is_no_resort_where_there_is_state():
    for death in everything():
        bare = recover(replace(death.facts, keeps_state=True))
        kept = recover(replace(death.facts, keeps_state=True, image_age_seconds=60.0))
        if death.plan.how is Recovery.IMAGE:
            assert (bare.how, kept.how, kept.lost_seconds) == (None, Recovery.IMAGE, Decimal("60.0"))
        else:
            assert bare == kept == death.plan


def test_who_received_the_last_delta_takes_over_and_nothing_is_lost():
    """Invariant 4: no acknowledged write is lost on a noticed hand-over, however good another standby looks."""
    for death in everything():
        heir = death.facts.handed_over_to
        if heir in {s.replica_id for s in death.safe}:
            assert (death.plan.replica_id, death.plan.lost_seconds) == (heir, Decimal(0))


def test_behind_a_closed_gate_nothing_is_lost_while_the_volume_survives():
    for death in everything():
        if death.facts.gate_was_closed and death.facts.volume_survives:
            assert death.plan.lost_seconds == 0


def test_with_an_open_gate_and_a_volume_that_keeps_what_it_lacks_a_ready_standby_is_promoted_first():
    for death in everything():
        ready = [s for s in death.safe if s.status is ReplicaStatus.READY]
        if ready and death.facts.volume_survives and not death.facts.gate_was_closed:
            assert death.chosen in ready


def test_a_syncing_standby_is_preferred_to_the_volume_only_by_a_recent_pass():
    for death in everything():
        plan = death.plan
        if plan.how is Recovery.STANDBY and death.facts.volume_survives and plan.lost_seconds:
            assert death.chosen.status is ReplicaStatus.READY or plan.lost_seconds <= RECENT_PASS_SECONDS


def test_a_volume_is_attached_in_its_zone_and_snapshotted_only_when_the_zone_is_dry():
    """B9: re-attached in its AZ, or snapshotted for another."""
    for death in everything():
        if death.plan.how in (Recovery.VOLUME, Recovery.SNAPSHOT):
            assert death.facts.volume_survives
            assert (death.plan.how is Recovery.VOLUME) is death.facts.same_az_has_capacity


def test_the_gap_is_the_age_of_the_promoted_pass_and_always_recorded():
    """Invariant 4: after an unheard death the gap is bounded and recorded."""
    for death in everything():
        if death.plan.how is Recovery.STANDBY:
            age = Decimal(str(death.chosen.complete_pass_age_seconds))
            heir = death.facts.handed_over_to == death.chosen.replica_id
            assert death.plan.lost_seconds == (0 if heir else age)
        if death.plan.lost_seconds is None:
            assert death.plan.how is Recovery.IMAGE


def test_the_order_of_the_standbys_decides_nothing():
    for death in everything():
        assert recover(replace(death.facts, standbys=death.facts.standbys[::-1])) == death.plan


STORIES = {
    "the ready standby follows": (replace(BARE, standbys=(SYNCING, READY)), Recovery.STANDBY, "4.0"),
    "a pass of half a minute ago beats the minutes that the volume costs": (
        replace(BARE, standbys=(SYNCING,)),
        Recovery.STANDBY,
        "30.0",
    ),
    "a pass of ten minutes ago does not": (
        replace(BARE, standbys=(replace(SYNCING, complete_pass_age_seconds=600.0),)),
        Recovery.VOLUME,
        "0",
    ),
    "it does when the volume is gone": (
        replace(BARE, standbys=(replace(SYNCING, complete_pass_age_seconds=600.0),), volume_survives=False),
        Recovery.STANDBY,
        "600.0",
    ),
    "it closed its gate before it died: the volume has what the standby lacks": (
        replace(BARE, standbys=(READY,), gate_was_closed=True),
        Recovery.VOLUME,
        "0",
    ),
    "no standby, capacity in the zone": (BARE, Recovery.VOLUME, "0"),
    "no standby, the zone is dry": (replace(BARE, same_az_has_capacity=False), Recovery.SNAPSHOT, "0"),
    "nothing is left but the image": (replace(BARE, volume_survives=False), Recovery.IMAGE, None),
}


@pytest.mark.parametrize(("facts", "how", "lost"), STORIES.values(), ids=STORIES)
def test_story(facts, how, lost):
    plan = recover(facts)
    assert plan.how is how
    assert plan.lost_seconds == (None if lost is None else Decimal(lost))


def test_a_stopped_holder_keeps_its_volume():
    """Somebody may start it again: a snapshot carries the state, and nothing is taken from it."""
    plan = recover(replace(BARE, is_stopped=True))
    assert (plan.how, plan.lost_seconds) == (Recovery.SNAPSHOT, Decimal(0))
    assert recover(replace(BARE, is_stopped=True, standbys=(READY,))).how is Recovery.STANDBY
