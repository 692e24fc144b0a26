"""Silence: when an agent counts as offline (B16), and when so many are silent that nothing voluntary is done (B10a)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotguard.domain.ids import AgentId
from spotguard.planning.presence import (
    TOGETHER,
    Listening,
    Presence,
    frozen_because,
    is_heard,
    is_silent,
    still_listening,
)

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=9)


def heard(seconds_ago, name="a", since=LONG_AGO):
    return Presence(AgentId(name), NOW - timedelta(seconds=seconds_ago), since)


def fleet(silent, speaking, seconds_ago=600):
    return [
        *(heard(seconds_ago, f"s{n}") for n in range(silent)),
        *(heard(30, f"h{n}") for n in range(speaking)),
    ]


@pytest.mark.parametrize(
    ("seconds_ago", "silent"), [(0, False), (120, False), (120.001, True), (86_400, True)]
)
def test_an_agent_is_offline_after_120_seconds_without_its_serving_instance(seconds_ago, silent):
    """B16."""
    assert is_silent(heard(seconds_ago), NOW) is silent


@pytest.mark.parametrize(("listened_for", "silent"), [(0, False), (120, False), (120.001, True), (900, True)])
def test_who_was_away_itself_calls_nobody_silent_before_it_has_listened_for_as_long(listened_for, silent):
    at = replace(heard(600), listened_since=NOW - timedelta(seconds=listened_for))
    assert is_silent(at, NOW) is silent
    assert not is_heard(at, NOW), "neither is it called heard"


def test_a_new_holder_is_given_its_time_even_if_it_was_never_heard():
    just_granted = Presence(AgentId("a"), None, NOW - timedelta(seconds=60))
    assert not is_silent(just_granted, NOW)
    assert is_silent(just_granted, NOW + timedelta(seconds=61))


def test_a_standby_that_was_silent_before_its_grant_is_not_silent_at_its_grant():
    assert not is_silent(heard(1_000, since=NOW - timedelta(seconds=10)), NOW)


@pytest.mark.parametrize(("silent", "speaking"), [(s, n - s) for n in range(13) for s in range(n + 1)])
def test_a_fleet_freezes_from_five_agents_and_from_exactly_a_third(silent, speaking):
    """B10a, every fleet of up to a dozen."""
    size = silent + speaking
    frozen = frozen_because(fleet(silent, speaking), NOW) is not None
    assert frozen is (size >= 5 and 3 * silent >= size)


def test_exactly_a_third_freezes_and_one_fewer_does_not():
    assert frozen_because(fleet(2, 4), NOW) is not None
    assert frozen_because(fleet(1, 5), NOW) is None
    assert frozen_because(fleet(3, 6), NOW) is not None
    assert frozen_because(fleet(2, 7), NOW) is None


def test_four_agents_never_freeze_and_five_do_with_two():
    assert frozen_because(fleet(4, 0), NOW) is None
    assert frozen_because(fleet(1, 4), NOW) is None
    assert frozen_because(fleet(2, 3), NOW) is not None


def test_the_reason_says_how_many_of_how_many():
    assert frozen_because(fleet(2, 4), NOW).startswith("2 of 6 agents fell silent together")


@pytest.mark.parametrize(("apart", "together"), [(TOGETHER, True), (TOGETHER + timedelta(seconds=1), False)])
def test_silences_that_began_apart_are_not_one(apart, together):
    """At once: one that died on Monday and one that died on Tuesday are two misfortunes, not a partition."""
    first = heard(3_600, "first")
    second = Presence(AgentId("second"), first.last_heard_at + apart, LONG_AGO)
    rest = [heard(30, f"h{n}") for n in range(4)]
    assert (frozen_because([first, second, *rest], NOW) is not None) is together


def test_an_old_silence_counts_from_the_grant_not_from_before_it():
    """Two holders granted in the same moment fall silent together, whenever their machines spoke as standbys."""
    granted = NOW - timedelta(minutes=10)
    one = Presence(AgentId("one"), granted - timedelta(days=1), granted)
    other = Presence(AgentId("other"), None, granted)
    assert frozen_because([one, other, *(heard(30, f"h{n}") for n in range(4))], NOW) is not None


@given(st.lists(st.integers(0, 1_000), max_size=12), st.randoms(use_true_random=False))
def test_the_order_of_the_fleet_decides_nothing_and_a_further_silence_never_thaws(ages, dice):
    agents = [heard(age, f"a{n}") for n, age in enumerate(ages)]
    shuffled = dice.sample(agents, len(agents))
    frozen = frozen_because(agents, NOW)
    assert frozen_because(shuffled, NOW) == frozen
    if frozen is not None and agents:
        newest = min(ages)
        worse = [
            p if age != newest else heard(max(a for a in ages if a > 120), p.agent_id)
            for p, age in zip(agents, ages, strict=True)
        ]
        assert frozen_because(worse, NOW) is not None


def test_nobody_is_frozen_who_can_be_heard():
    for size, age in product(range(12), (0, 60, 120)):
        assert frozen_because([heard(age, f"a{n}") for n in range(size)], NOW) is None


def test_a_server_whose_clock_was_stepped_back_listens_anew_and_not_for_as_long_as_the_step():
    longest = timedelta(seconds=15)
    listening = Listening.begun(NOW).at(NOW + longest, longest)
    assert listening.since == NOW
    assert listening.at(NOW + timedelta(seconds=14), longest).since == NOW, "a question that waited"
    stepped = NOW - timedelta(hours=1)
    again = replace(listening, present_at=NOW + longest).at(stepped, longest)
    assert still_listening(again.since, stepped + timedelta(minutes=3)) is None
