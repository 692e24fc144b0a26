"""Which of the three plans a move follows (B1): every combination, and what is shown before it starts."""

from dataclasses import replace
from decimal import Decimal
from itertools import product

import pytest

from spotguard.domain.switches import PLANNED_STEPS, MoveKind
from spotguard.planning.switching import Measured, MoveFacts, choose, why_impossible

FLAGS = (True, False)
EVERY = [
    MoveFacts(same_az=same_az, standby=standby, state_gib=gib, can_sync=can_sync)
    for same_az, standby, gib, can_sync in product(FLAGS, FLAGS, (None, 20, 500), FLAGS)
]


def test_left_to_itself_a_planned_move_always_has_steps():
    assert {choose(facts).kind for facts in EVERY} == set(PLANNED_STEPS)


def test_a_standby_that_holds_the_state_is_always_used():
    assert {choose(facts).kind for facts in EVERY if facts.standby} == {MoveKind.SYNCED}


def test_the_volume_itself_moves_only_within_its_zone():
    """A volume belongs to one AZ; single attachment is the fence (B1)."""
    for facts in EVERY:
        if choose(facts).kind is MoveKind.VOLUME:
            assert facts.same_az
            assert facts.state_gib is not None


def test_no_volume_moves_for_a_state_that_stays_on_the_root():
    for facts in EVERY:
        stays = replace(facts, state_on_root=True)
        assert choose(stays).kind is not MoveKind.VOLUME
        assert "boots from" in (why_impossible(replace(stays, forced=MoveKind.VOLUME)) or "")


def test_an_image_is_for_a_state_that_nothing_else_can_carry():
    """B1: no verified sync."""
    for facts in EVERY:
        alone = (
            not facts.standby and not facts.can_sync and not (facts.same_az and facts.state_gib is not None)
        )
        assert (choose(facts).kind is MoveKind.IMAGE) is alone


@pytest.mark.parametrize("kind", [None, *MoveKind])
def test_what_nothing_can_sync_is_refused_to_standbys_and_synced_moves_alone(kind):
    for facts in EVERY:
        asked = replace(facts, forced=kind)
        needs_sync = facts.standby or kind is MoveKind.SYNCED
        assert (why_impossible(asked) is not None) is (needs_sync and not facts.can_sync)
        if why_impossible(asked) is None:
            assert facts.can_sync or choose(asked).kind is not MoveKind.SYNCED


@pytest.mark.parametrize("kind", MoveKind)
def test_what_was_asked_for_is_what_is_done(kind):
    for facts in EVERY:
        plan = choose(MoveFacts(facts.same_az, facts.standby, facts.state_gib, facts.can_sync, forced=kind))
        assert plan.kind is kind
        assert str(kind) in plan.because


def test_every_plan_is_shown_with_its_minutes_and_its_reason():
    for facts in EVERY:
        plan = choose(facts)
        assert plan.downtime_minutes > 0
        assert plan.overlap_minutes >= 0
        assert plan.because
        assert plan.overlap_usd is None


def test_synced_takes_seconds_and_an_image_minutes():
    """B1: seconds; minutes."""
    by_kind = {choose(facts).kind: choose(facts).downtime_minutes for facts in EVERY}
    assert by_kind[MoveKind.SYNCED] < by_kind[MoveKind.VOLUME] <= 1 < by_kind[MoveKind.IMAGE]


def test_both_run_until_the_wait_is_over_and_that_is_what_it_costs():
    facts = MoveFacts(
        same_az=False, standby=True, state_gib=20, overlap_usd_per_hour=Decimal("0.06"), wait_seconds=1_800
    )
    plan = choose(facts)
    assert (plan.overlap_minutes, plan.overlap_usd) == (Decimal("30.0"), Decimal("0.030000"))


def test_a_bigger_state_copies_longer():
    short, long = (choose(MoveFacts(False, False, gib)).overlap_minutes for gib in (6, 600))
    assert (short, long) == (Decimal("3.0"), Decimal("102.0"))


def test_what_former_moves_took_is_shown_instead_of_what_is_assumed():
    measured = {MoveKind.SYNCED: Measured(7, Decimal("0.0213"), Decimal("3.5"))}
    facts = MoveFacts(same_az=False, standby=False, state_gib=60, wait_seconds=60, measured=measured)
    plan = choose(facts)
    assert (plan.downtime_minutes, plan.downtime_from) == (Decimal("0.02"), "measured over 7 moves")
    assert (plan.overlap_minutes, plan.overlap_from) == (Decimal("4.50"), "measured over 7 moves")
    of_another_kind = choose(replace(facts, forced=MoveKind.IMAGE))
    assert (of_another_kind.downtime_from, of_another_kind.overlap_from) == ("assumed", "assumed")


def test_promotions_alone_tell_nothing_of_a_launch():
    measured = {MoveKind.SYNCED: Measured(3, Decimal("0.05"), None)}
    plan = choose(MoveFacts(same_az=False, standby=False, state_gib=None, measured=measured))
    assert (plan.downtime_from, plan.overlap_from) == ("measured over 3 moves", "assumed")
