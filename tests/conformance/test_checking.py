"""Checking all promises: within the budget, one after the other, nothing left behind."""

from decimal import Decimal

import pytest

from spotguard.cloud.promises.all import PROMISES
from spotguard.cloud.promises.checking import Outcome, check, most_it_may_cost, require_budget
from spotguard.domain.errors import NeedsPerson, Refused
from spotguard.ports.cloud import StorageRates
from tests.cloud.scene import A
from tests.conformance.providers import memory

RATES = StorageRates(Decimal("0.08"), Decimal("0.05"))


def test_every_launch_is_counted_against_the_budget():
    most = most_it_may_cost(Decimal("0.0104"), RATES)
    assert most > len(PROMISES) * Decimal("0.0104")
    require_budget(most, most)
    with pytest.raises(Refused, match="budget"):
        require_budget(most, most - Decimal("0.000001"))


def test_the_strict_simulator_keeps_what_is_checked_and_is_empty_afterwards():
    told = []
    with memory() as stage:
        results = check(lambda _: stage, ["on demand"], told.append)
        assert [result.outcome for result in results] == [Outcome.KEPT, Outcome.KEPT]
        assert told == results
        assert not stage.cloud.inventory().instances


def test_no_capacity_is_no_verdict():
    with memory() as stage:
        stage.cloud.controls.make_dry(A)
        (result,) = check(lambda _: stage, ["the same call again"], lambda _: None)
    assert result.outcome is Outcome.NOT_JUDGED
    assert "InsufficientInstanceCapacity" in result.because


def test_a_cloud_that_breaks_a_promise_is_told_and_still_cleared():
    with memory() as stage:
        stage.cloud.faults.next("describe_shape", NeedsPerson("UnauthorizedOperation"))
        (result,) = check(lambda _: stage, ["a clone keeps"], lambda _: None)
        assert result.outcome is Outcome.BROKEN
        assert result.left is None
        assert not stage.cloud.inventory().instances
