"""A primary that hangs is ended only when its user wants it and everything that could still hear it has lost it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from spotguard.domain.agents import KillLevel
from spotguard.planning.fencing import FenceFacts, StandbyEar, why_not

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


LOST = StandbyEar(heard_at=ago(0.5), pass_at=ago(11))
HANGS = FenceFacts(
    now=NOW,
    fence_after=timedelta(minutes=10),
    enabled=True,
    kill=KillLevel.NONE,
    frozen=False,
    is_moving=False,
    heard_at=ago(11),
    impaired_since=ago(10),
    standbys=(LOST,),
)


def test_it_is_ended_when_everybody_has_lost_it_for_that_long():
    assert why_not(HANGS) is None
    assert why_not(replace(HANGS, kill=KillLevel.VOLUNTARY)) is None, "it is an emergency"


@pytest.mark.parametrize(
    "change",
    [
        {"fence_after": None},
        {"enabled": False},
        {"kill": KillLevel.ALL},
        {"frozen": True},
        {"is_moving": True},
        {"heard_at": ago(9.9)},
        {"heard_at": None},
        {"impaired_since": None},
        {"impaired_since": ago(9.9)},
        {"standbys": ()},
        {"standbys": (replace(LOST, heard_at=None),)},
        {"standbys": (replace(LOST, heard_at=ago(3)),)},
        {"standbys": (replace(LOST, pass_at=ago(9)),)},
        {"standbys": (replace(LOST, pass_at=None),)},
        {"standbys": (LOST, replace(LOST, pass_at=ago(1)))},
    ],
    ids=str,
)
def test_anything_that_speaks_for_it_saves_it(change):
    assert why_not(replace(HANGS, **change)) is not None
