"""Restore points: when one is due, and that the newest complete one always stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from spotguard.planning.restore_points import DropPoint, MakePoint, RestorePoint, plan_restore_points

NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)
HOUR = timedelta(hours=1)
EVERY = 6 * HOUR


def point(name: str, hours_ago: float, *, complete: bool | None = True, needed: bool = False) -> RestorePoint:
    return RestorePoint(name, NOW - hours_ago * HOUR, complete, needed)


def makes(*points: RestorePoint, keep: int = 3) -> list[str]:
    return [p.because for p in plan_restore_points(points, NOW, EVERY, keep) if isinstance(p, MakePoint)]


def drops(*points: RestorePoint, keep: int = 3) -> list[str]:
    return [p.image_id for p in plan_restore_points(points, NOW, EVERY, keep) if isinstance(p, DropPoint)]


def test_the_first_is_due_at_once_and_the_next_when_the_newest_is_old_enough():
    assert makes() == ["there is no restore point yet"]
    assert makes(point("a", 5.9)) == []
    assert makes(point("a", 6.1)) == ["the newest restore point is 6.1 h old"]


def test_while_one_is_being_made_no_other_is_begun_unless_it_takes_for_ever():
    assert makes(point("a", 7), point("b", 1, complete=None)) == []
    assert makes(point("a", 30), point("b", 25, complete=None)) != []


def test_one_that_came_to_nothing_is_deleted_and_counts_for_nothing():
    assert drops(point("a", 7), point("b", 1, complete=False)) == ["b"]
    assert makes(point("a", 7), point("b", 1, complete=False)) != []


def test_the_oldest_go_when_enough_newer_ones_are_complete():
    assert drops(point("a", 1), point("b", 7), point("c", 13), point("d", 19)) == ["d"]
    assert drops(point("a", 1, complete=None), point("b", 7), point("c", 13), point("d", 19)) == []


def test_one_from_which_machines_are_made_stays_however_old_it_is_and_takes_no_newer_ones_place():
    assert drops(point("a", 1), point("b", 7), point("c", 13), point("d", 19, needed=True)) == []
    assert drops(point("a", 1), point("b", 7, needed=True), point("c", 13), point("d", 19)) == ["d"]


@pytest.mark.parametrize("keep", [0, 1, 2])
def test_the_newest_complete_one_is_never_deleted(keep):
    for states in product((None, True, False), repeat=4):
        points = [point(str(n), 1 + 7 * n, complete=state) for n, state in enumerate(states)]
        complete = [p.image_id for p in points if p.complete]
        gone = drops(*points, keep=keep)
        assert complete[:1] == [p for p in complete if p not in gone][:1]
        assert len([p for p in complete if p not in gone]) == min(len(complete), max(keep, 1))


def test_one_that_lacks_a_volume_replaces_none_and_goes_when_enough_newer_ones_are_whole():
    lacks = replace(point("b", 7), is_partial=True)
    assert makes(point("a", 13), lacks) == ["the newest restore point is 7.0 h old"]
    assert drops(point("a", 13), lacks, keep=1) == []
    assert drops(point("a", 13), lacks, point("c", 1), keep=1) == ["b", "a"]
    assert drops(point("a", 13), lacks, point("c", 1), keep=2) == []
    newer = replace(point("c", 1), is_partial=True)
    assert drops(point("a", 13), lacks, newer, keep=1) == ["b"]
