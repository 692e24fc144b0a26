"""Who may be handed the next epoch by its holder, and when a ticket is asked back."""

from dataclasses import replace

import pytest

from spotguard.domain.agents import KillLevel
from spotguard.domain.ids import InstanceId
from spotguard.planning.tickets import AskBack, Issue, Keep, OutTicket, TicketFacts, plan

A, B = InstanceId("i-0000000a"), InstanceId("i-0000000b")
CALM = TicketFacts(
    enabled=True,
    kill=KillLevel.NONE,
    holder_is_over=False,
    is_moving=False,
    moving_to=None,
    out=None,
    ready=(A, B),
)
OUT = replace(CALM, out=OutTicket(A, is_fit=True), ready=())


def test_the_oldest_ready_standby_is_named():
    assert plan(CALM) == Issue(A)
    assert plan(replace(CALM, ready=())) is None


def test_one_that_is_out_is_told_again():
    assert plan(OUT) == Keep()
    assert plan(replace(OUT, is_moving=True, moving_to=A)) == Keep()
    assert plan(replace(OUT, kill=KillLevel.VOLUNTARY)) == Keep(), "emergencies proceed"


@pytest.mark.parametrize(
    "change",
    [
        {"enabled": False},
        {"kill": KillLevel.ALL},
        {"holder_is_over": True},
        {"is_moving": True, "moving_to": B},
        {"is_moving": True},
    ],
    ids=str,
)
def test_what_lets_none_out_asks_back_the_one_that_is(change):
    assert plan(replace(CALM, **change)) is None
    assert isinstance(plan(replace(OUT, **change)), AskBack)


def test_a_standby_that_is_not_fit_any_more_gives_it_back():
    assert isinstance(plan(replace(OUT, out=OutTicket(A, is_fit=False))), AskBack)


def test_while_the_move_to_its_standby_goes_on_a_dead_holder_changes_nothing():
    assert plan(replace(OUT, holder_is_over=True, is_moving=True, moving_to=A)) == Keep()
