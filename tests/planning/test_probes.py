"""Whether a look is bought: every combination of the rules, the order of pools, and what the last cent buys."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product

import pytest

from spotguard.domain.agents import KillLevel
from spotguard.domain.ids import AgentId
from spotguard.domain.pools import Pool
from spotguard.planning.probes import LaunchProbe, Lookable, NoProbe, ProbeFacts, cost, plan

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HERE, THERE = Pool("m5.large", "eu-west-1a"), Pool("m5.large", "eu-west-1b")
FIT = Lookable(HERE, AgentId("web"), Decimal("0.06"), worth_usd=2.0)
READY = ProbeFacts(
    now=NOW,
    usd_per_day=Decimal("0.50"),
    spent_usd=Decimal(0),
    kill=KillLevel.NONE,
    frozen=None,
    busy=None,
    throttled=False,
    is_open=False,
    fruitless=None,
    looks_to_prove=8,
    pools=(FIT,),
)

# what forbids it, one after the other: a change of the facts or of the pool, and what is then said
TENANT = {
    "probes are off: their budget is 0 USD a day": {"usd_per_day": Decimal(0)},
    "the kill switch stands at voluntary": {"kill": KillLevel.VOLUNTARY},
    "a third of the agents fell silent": {"frozen": "a third of the agents fell silent"},
    "web-1 is being rescued": {"busy": "web-1 is being rescued"},
    "EC2 throttles: what it still takes is left to real launches": {"throttled": True},
    "another probe is under way": {"is_open": True},
    "the last probe told nothing of its pool, and is not repeated within the hour: no right": {
        "fruitless": "no right"
    },
}
POOL = {
    "its price is not known": {"usd_per_hour": None},
    "it was looked at 299 s ago": {"seen_at": NOW - timedelta(seconds=299)},
    "nothing new is expected there before 2026-03-01 12:01 UTC": {"due_at": NOW + timedelta(minutes=1)},
    "knowing it is worth 0.0080 USD, and takes looks for 0.0080": {"worth_usd": 0.008},
    "the limit of 3 instances is reached": {"no_room": "the limit of 3 instances is reached"},
}


def test_whatever_is_allowed_is_bought_and_it_says_why():
    told = plan(READY)
    assert told == LaunchProbe(
        FIT,
        Decimal("0.06"),
        "m5.large.eu-west-1a, never looked at: if it is calm, knowing it is worth 2.0000 USD",
    )
    assert told.usd == Decimal("0.001")


def test_in_every_combination_the_first_rule_that_forbids_is_told_and_else_it_is_bought():
    rules = [*TENANT.items(), *((f"{HERE.id}: {why}", change) for why, change in POOL.items())]
    for stops in product([False, True], repeat=len(rules)):
        told = [rule for rule, stop in zip(rules, stops, strict=True) if stop]
        of_tenant = {name: value for why, change in told if why in TENANT for name, value in change.items()}
        of_pool = {name: value for why, change in told if why not in TENANT for name, value in change.items()}
        answer = plan(replace(READY, **of_tenant, pools=(replace(FIT, **of_pool),)))
        if told:
            assert answer == NoProbe(told[0][0])
        else:
            assert isinstance(answer, LaunchProbe)


@pytest.mark.parametrize(
    ("spent", "bought"), [("0.499", True), ("0.499000001", False), ("0.5", False), ("0.7", False)]
)
def test_the_last_cent_of_the_day_is_bought_and_not_one_more(spent, bought):
    answer = plan(replace(READY, spent_usd=Decimal(spent)))
    assert isinstance(answer, LaunchProbe) is bought
    if not bought:
        left = max(Decimal("0.5") - Decimal(spent), Decimal(0)).normalize()
        assert answer.because.endswith(f"a look costs 0.001 USD, and of today's budget {left:f} are left")


def test_a_budget_below_a_single_look_buys_none():
    assert isinstance(plan(replace(READY, usd_per_day=Decimal("0.000999999"))), NoProbe)


def test_the_pool_of_the_greatest_worth_comes_first_and_the_next_where_that_one_is_forbidden():
    dearer = Lookable(THERE, AgentId("db"), Decimal("0.08"), worth_usd=3.0)
    assert plan(replace(READY, pools=(FIT, dearer))).target is dearer
    seen = replace(dearer, seen_at=NOW)
    assert plan(replace(READY, pools=(FIT, seen))).target is FIT
    alike = replace(dearer, worth_usd=2.0)
    assert plan(replace(READY, pools=(alike, FIT))).target is FIT, "the cheaper of equals"


def test_where_nobody_gains_nothing_is_bought():
    assert plan(replace(READY, pools=())) == NoProbe("no agent would gain by knowing a pool better")


@pytest.mark.parametrize(("seconds", "usd"), [(0, "0.001"), (60, "0.001"), (90, "0.0015"), (3600, "0.06")])
def test_a_probe_costs_a_minute_at_least(seconds, usd):
    assert cost(Decimal("0.06"), seconds) == Decimal(usd)
