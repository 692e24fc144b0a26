"""When each step of a move is due: every kind, walked step by step, and what happens when time is over."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from spotguard.domain.switches import AFTER_GRANT, PLANNED, RECOVERY, MoveKind, Step, WhenLate, rules_of
from spotguard.planning.deadlines import KEEP_AFTER_LOSS, OpenMove, closed_at_most, next_due, prepares_within

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVERY = [(kind, False) for kind in PLANNED] + [(kind, True) for kind in RECOVERY]


def walk(move, rules, minutes=1):
    """Each step happens a minute after the one before it."""
    heard, at = {}, move.begun_at
    for rule in rules:
        yield rule, next_due(move, heard), at
        at += timedelta(minutes=minutes)
        heard[rule.step] = at


@pytest.mark.parametrize(("kind", "is_recovery"), EVERY)
def test_a_move_waits_for_one_step_after_the_other_and_each_has_its_time(kind, is_recovery):
    move = OpenMove(kind, is_recovery, NOW)
    for rule, due, since in walk(move, rules_of(kind, is_recovery=is_recovery)):
        assert due.step is rule.step
        assert due.at == since + timedelta(seconds=rule.seconds)
        assert due.late is rule.late


@pytest.mark.parametrize(("kind", "is_recovery"), EVERY)
def test_a_move_that_has_done_everything_waits_for_nothing(kind, is_recovery):
    heard = {rule.step: NOW for rule in rules_of(kind, is_recovery=is_recovery)}
    assert next_due(OpenMove(kind, is_recovery, NOW), heard) is None


@pytest.mark.parametrize("kind", PLANNED)
def test_before_the_grant_a_late_move_is_given_up_and_after_it_people_are_told(kind):
    """Issue 3: before the grant everything unwinds, after it everything goes forward."""
    for rule in PLANNED[kind]:
        takes_back = rule.late in (WhenLate.UNWIND, WhenLate.FORWARD)
        assert takes_back is (rule.step not in AFTER_GRANT or rule.step is Step.GRANTED)


@pytest.mark.parametrize("kind", RECOVERY)
def test_a_recovery_is_never_unwound_into_nothing(kind):
    """There is nobody who could serve on: another way, or people are told and it goes on."""
    assert {rule.late for rule in RECOVERY[kind][1:]} <= {WhenLate.OTHER_WAY, WhenLate.ALARM}


def test_only_the_moved_volume_makes_a_release_superfluous():
    forward = [
        (kind, rule.step) for kind in PLANNED for rule in PLANNED[kind] if rule.late is WhenLate.FORWARD
    ]
    assert forward == [(MoveKind.VOLUME, Step.RELEASED)]


def test_a_big_state_has_longer_for_its_first_pass():
    enrolled = dict.fromkeys((Step.DECIDED, Step.LAUNCHED, Step.ENROLLED), NOW)
    small, big = (next_due(OpenMove(MoveKind.SYNCED, False, NOW, gib), enrolled) for gib in (20, 1000))
    assert (small.at - NOW, big.at - NOW) == (timedelta(hours=1), timedelta(seconds=20_000))


def test_a_report_that_skips_a_step_has_got_past_it():
    """The last pass may be the first one too; reports come in any order."""
    heard = {Step.DECIDED: NOW, Step.GATE_CLOSED: NOW + timedelta(minutes=9)}
    due = next_due(OpenMove(MoveKind.SYNCED, False, NOW), heard)
    assert (due.step, due.at) == (Step.DELTA_SENT, NOW + timedelta(minutes=10))


def test_an_old_one_that_ended_by_itself_leaves_the_new_one_to_be_proven():
    opened = (Step.DECIDED, Step.GRANTED, Step.OPENED, Step.TRAFFIC_MOVED)
    heard = dict.fromkeys((*opened, Step.OLD_ENDED), NOW)
    move = OpenMove(MoveKind.SYNCED, False, NOW)
    assert next_due(move, heard).step is Step.VERIFIED
    assert next_due(move, heard | {Step.VERIFIED: NOW}).step is Step.PRUNED


def test_the_waiting_time_and_the_day_for_lost_writes_are_no_delay():
    verified = {rule.step: NOW for rule in PLANNED[MoveKind.SYNCED]}
    del verified[Step.OLD_ENDED], verified[Step.PRUNED]
    usual, waits = (
        next_due(OpenMove(MoveKind.SYNCED, False, NOW, None, wait), verified) for wait in (0, 86_400)
    )
    assert waits.at - usual.at == timedelta(days=1)
    ended = verified | {Step.OLD_ENDED: NOW}
    pruned, kept = (
        next_due(OpenMove(MoveKind.SYNCED, False, NOW, keeps_lost=lost), ended) for lost in (False, True)
    )
    assert kept.at - pruned.at == KEEP_AFTER_LOSS


@pytest.mark.parametrize(("kind", "is_recovery"), EVERY)
def test_no_move_prepares_for_ever(kind, is_recovery):
    """Invariant 18."""
    assert timedelta(minutes=2) <= prepares_within(kind, is_recovery=is_recovery) <= timedelta(hours=2)


@pytest.mark.parametrize("kind", PLANNED)
def test_a_gate_is_closed_for_the_time_of_the_steps_that_need_it_closed(kind):
    assert timedelta(minutes=1) < closed_at_most(kind) < prepares_within(kind)


def test_the_closed_gate_of_a_synced_move_waits_for_seconds_not_minutes():
    assert closed_at_most(MoveKind.SYNCED) == timedelta(minutes=2)


ARCHITECTURE = Path(__file__).parents[2] / "docs" / "architecture.md"


@pytest.mark.parametrize("kind", PLANNED)
def test_the_documents_tell_the_times_of_the_table(kind):
    table = [
        line.split("|") for line in ARCHITECTURE.read_text(encoding="utf-8").splitlines() if " | " in line
    ]
    column = next(line for line in table if "synced" in line[2:3][0]).index(f" {kind} ")
    told = {}
    for line in table:
        names = [name.strip() for name in line[1].split(",")]
        if len(line) > column and names[0] in set(Step) and re.search(r"\d s", line[2]):
            text = line[column] if re.search(r"\d", line[column]) else line[2]
            told |= dict.fromkeys(names, text)
    for rule in PLANNED[kind][1:]:
        assert f"{rule.seconds} s" in told[rule.step], rule
