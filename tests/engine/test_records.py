"""What is seen of a pool, look by look."""

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotguard.engine.records import seen
from tests.engine.market import NOW


def after(hours):
    return NOW + timedelta(hours=hours)


def watched(*looks):
    record = None
    for hours, up in looks:
        record = seen(record, after(hours), up=up)
    return record


def test_a_pool_that_was_never_seen_down_has_no_spell():
    record = watched((0, True), (5, True), (9, True))
    assert not record.flipped
    assert (record.since, record.drops, record.up_hours) == (NOW, 0, 9)


def test_its_age_begins_with_the_look_that_saw_it_up_again():
    record = watched((0, True), (1, False), (2, False), (3, True), (4, True))
    assert record.flipped
    assert (record.since, record.drops) == (after(3), 1)


def test_between_two_looks_it_is_taken_to_have_stayed_as_it_was():
    record = watched((0, True), (6, False))
    assert record.up_hours == 6
    assert math.isclose(record.uptime_short, 1 - math.exp(-1))
    assert record.uptime_short == record.weight_short


def test_the_past_fades():
    young, old = (
        watched((0, True), (1, False), (2, True)),
        watched((0, True), (1, False), (2, True), (50, True)),
    )
    assert old.drops_short < 0.001 < young.drops_short
    assert old.uptime_short > 0.999 > young.uptime_short
    assert young.drops == old.drops == 1


def test_a_late_look_changes_nothing():
    record = watched((0, True), (2, True))
    assert seen(record, after(1), up=False) == record


def test_a_look_vouches_for_an_hour_and_an_instance_for_as_long_as_it_ran():
    looked = watched((0, True), (0.5, True), (12, True))
    ran = seen(seen(None, NOW, up=True), after(12), up=True, throughout=True)
    assert (looked.proven_hours, ran.proven_hours) == (1.5, 12)
    assert looked.up_hours == ran.up_hours == 12


def test_what_was_proven_is_lost_with_a_fall():
    record = seen(seen(None, NOW, up=True), after(50), up=True, throughout=True)
    fallen = seen(record, after(51), up=False)
    risen = seen(fallen, after(52), up=True)
    assert (fallen.proven_hours, risen.proven_hours) == (0, 0)
    assert seen(risen, after(52.5), up=True).proven_hours == 0.5


@given(st.lists(st.tuples(st.floats(0.01, 30), st.booleans()), min_size=1, max_size=30))
def test_shares_stay_shares(steps):
    record, hours = None, 0.0
    for more, up in steps:
        hours += more
        record = seen(record, after(hours), up=up)
        assert -1e-9 <= record.uptime_short <= record.weight_short + 1e-9 <= 1 + 2e-9
        assert -1e-9 <= record.uptime_long <= record.weight_long + 1e-9 <= 1 + 2e-9
        assert record.since <= record.seen_at


@pytest.mark.parametrize("up", [True, False])
def test_the_first_look_is_a_beginning(up):
    record = watched((0, up))
    assert (record.since, record.up, record.flipped) == (NOW, up, not up)
