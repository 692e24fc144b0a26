"""Moving traffic: every reading, every failure and every loss of the epoch, at each of its two calls."""

from itertools import product

import pytest

from spotguard.domain.errors import Doubtful, NeedsPerson, NotVisible, Throttled
from spotguard.domain.ids import InstanceId
from spotguard.domain.traffic import ElasticIp
from spotguard.execution.traffic import Arrived, Errand, OnTheWay, Overtaken, Stuck, carry
from spotguard.ports.traffic import Arrival, Endpoint, Handing, Reading

ME = Endpoint(InstanceId("i-00000000000000001"), "10.0.0.1")
ERRAND = Errand(ElasticIp("eipalloc-00000001"), Handing(ME, 7))
LATER = (
    Throttled("RequestLimitExceeded"),
    Doubtful("InternalError"),
    NotVisible("InvalidInstanceID.NotFound"),
)


class World:
    """`before` and `after` are what is read back around the call; an error is raised instead."""

    def __init__(self, before, after=Arrival.HERE, call=None):
        self.readings, self.call = [before, after], call
        self.calls, self.order = 0, []

    def read_back(self, route, handing, receipt):
        self.order.append("look")
        found = self.readings[min(self.calls, 1)]
        if isinstance(found, Exception):
            raise found
        return Reading(found, f"{found} {receipt}")

    def switch(self, route, handing):
        self.order.append("call")
        self.calls += 1
        if self.call is not None:
            raise self.call
        return "receipt"


def holds(*answers):
    left = list(answers)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


def test_who_is_reached_already_is_left_alone():
    world = World(Arrival.HERE)
    assert isinstance(carry(world, ERRAND, holds(True)), Arrived)
    assert world.order == ["look"]


def test_what_is_on_its_way_is_not_ordered_again():
    world = World(Arrival.COMING)
    assert isinstance(carry(world, ERRAND, holds(True)), OnTheWay)
    assert world.calls == 0


@pytest.mark.parametrize("proven", [True, False])
def test_without_a_receipt_only_what_was_proven_before_is_believed(proven):
    world = World(Arrival.UNCONFIRMED, Arrival.COMING)
    done = carry(world, Errand(ERRAND.route, ERRAND.handing, proven=proven), holds(True))
    assert isinstance(done, Arrived if proven else OnTheWay)
    assert world.calls == (0 if proven else 1)


@pytest.mark.parametrize("after", [Arrival.HERE, Arrival.COMING, Arrival.ELSEWHERE])
def test_it_is_read_back_after_the_call(after):
    world = World(Arrival.ELSEWHERE, after)
    done = carry(world, ERRAND, holds(True))
    assert world.order == ["look", "call", "look"]
    assert isinstance(done, Arrived if after is Arrival.HERE else OnTheWay)
    assert done.receipt == "receipt"


@pytest.mark.parametrize(("answers", "calls"), [((False,), 0), ((True, False), 1)])
def test_a_later_epoch_wins_before_the_call_and_after_it(answers, calls):
    world = World(Arrival.ELSEWHERE)
    assert isinstance(carry(world, ERRAND, holds(*answers)), Overtaken)
    assert world.calls == calls


@pytest.mark.parametrize(("error", "where"), list(product(LATER, ("before", "call", "after"))))
def test_no_clear_answer_is_asked_again_with_the_receipt_that_was_known(error, where):
    world = World(
        error if where == "before" else Arrival.ELSEWHERE,
        error if where == "after" else Arrival.HERE,
        error if where == "call" else None,
    )
    done = carry(world, Errand(ERRAND.route, ERRAND.handing, "known"), holds(True))
    assert isinstance(done, OnTheWay)
    assert done.receipt == "known"


@pytest.mark.parametrize("where", ["before", "call"])
def test_what_a_person_must_mend_is_asked_seldom(where):
    error = NeedsPerson("UnauthorizedOperation")
    world = World(error if where == "before" else Arrival.ELSEWHERE, call=error)
    done = carry(world, ERRAND, holds(True))
    assert isinstance(done, Stuck)
    assert "UnauthorizedOperation" in done.because
    assert done.again_seconds > 10
