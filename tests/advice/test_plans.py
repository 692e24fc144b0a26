"""Every rule of the plan, from figures made by hand: nothing is replayed."""

from dataclasses import replace
from decimal import Decimal

import pytest

from spotguard.advice import plans
from spotguard.advice.figures import Estimate, PolicyFigures
from spotguard.advice.interruptions import Basis, Interruptions
from spotguard.advice.plans import Plan, Situation, choose
from spotguard.advice.standby_worth import StandbyWorth
from spotguard.advice.wish import StandbyWish, Wish

MINUTE = Decimal("0.1")


def about(value, spread=2.0):
    return Estimate(value, value - spread, value + spread)


def figures(saving, *, net=None, interruptions=None, returns=0.3, name="engine"):
    """On demand costs 100 in 30 days, a Savings Plan 72."""
    net = saving if net is None else net
    return PolicyFigures(
        name=name,
        what="",
        cost_usd=about(100 - saving),
        saving_usd=about(saving),
        saving_share=about(saving / 100, 0.02),
        plan_saving_usd=about(saving - 28),
        net_usd=about(net),
        plan_net_usd=about(net - 28),
        moves=0.0,
        returns=returns,
        interruptions=interruptions,
        minutes_down=about(0.5, 0.1),
        worst_recovery_seconds=15.0,
        standby_usd=0.0,
        disks_usd=0.0,
    )


def told(basis=Basis.ADVISOR, low=0.05, high=0.1):
    return Interruptions(basis, low, high, low, high, "so they say")


def worth(pays):
    return StandbyWorth(None, 20.0, 1.5, 5.0, 10.0, 1.0, pays, "as worked out")


def situation(automatic, standby=None, *, wish=None, interruptions=None, pays=False, days=30.0, pools=3):
    wish = wish or Wish(minute_usd=MINUTE)
    return Situation(
        wish=wish,
        days=days,
        stakes=wish.stakes(0.139),
        automatic=automatic,
        standby=standby or figures(40, name="manual-standby"),
        interruptions=interruptions or told(),
        worth=worth(pays),
        pools=pools,
        interruption_usd=0.5,
    )


UNKNOWN = told(Basis.UNKNOWN, None, None)
STORM = told(Basis.MEASURED, 90.0, 90.0)
ALWAYS, NEVER = (Wish(minute_usd=MINUTE, standby=wish) for wish in (StandbyWish.ALWAYS, StandbyWish.NEVER))

CASES = [
    ("few days", situation(figures(70), days=5), Plan.ON_DEMAND, "5.0 days"),
    ("no cheap pool", situation(figures(70), pools=0), Plan.ON_DEMAND, "no pool is well below"),
    ("stays itself", situation(figures(0, returns=0.0)), Plan.ON_DEMAND, "would stay on demand"),
    ("may save nothing", situation(figures(1.5)), Plan.ON_DEMAND, "may be nothing: -0.50 to 3.50"),
    (
        "a storm that costs more than it saves",
        situation(figures(40, net=-5, interruptions=90.0), interruptions=STORM),
        Plan.ON_DEMAND,
        "its downtime may cost more than is saved",
    ),
    (
        "the Savings Plan may save as much",
        situation(figures(29)),
        Plan.ON_DEMAND,
        "(28 % off) may save as much",
    ),
    ("the Savings Plan saves more", situation(figures(20)), Plan.ON_DEMAND, "(28 % off) saves more"),
    ("it saves", situation(figures(60)), Plan.AUTOMATIC, "saves 58.00 to 62.00"),
    ("unknown", situation(figures(60), interruptions=UNKNOWN), Plan.AUTOMATIC, "less than 116.0 times"),
    ("a standby that pays", situation(figures(60), pays=True), Plan.STANDBY, "the standby pays"),
    ("one that may pay", situation(figures(60), pays=None), Plan.AUTOMATIC, "saves"),
    ("one that is wanted", situation(figures(60), wish=ALWAYS), Plan.STANDBY, "as wanted"),
    ("one that is not", situation(figures(60), wish=NEVER, pays=True), Plan.AUTOMATIC, "saves"),
    (
        "one that is wanted and leaves nothing",
        situation(figures(60), figures(1, name="manual-standby"), wish=ALWAYS),
        Plan.AUTOMATIC,
        "a standby would cost more than is saved",
    ),
]


@pytest.mark.parametrize(("case", "plan", "why"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_the_plan_and_its_reason(case, plan, why):
    choice = choose(case)
    assert (choice.plan, why in choice.because) == (plan, True), choice.because
    assert choice.because.startswith("do nothing: ") is (plan is Plan.ON_DEMAND)


def test_every_rule_speaks_in_some_case():
    spoken = {next(rule for rule in plans.RULES if rule(case[1]) is not None) for case in CASES}
    assert spoken == set(plans.RULES)


def test_of_unknown_interruptions_one_a_month_is_weighed_and_named():
    dear = replace(situation(figures(60), interruptions=UNKNOWN), interruption_usd=59.0)
    choice = choose(dear)
    assert choice.plan is Plan.ON_DEMAND
    assert "pays only below 0.98 interruptions in 30 days" in choice.because
    assert "1 is assumed" in choice.because


def test_a_band_without_an_upper_edge_is_weighed_as_the_unknown_is():
    worst = told(high=None)
    assert (
        choose(replace(situation(figures(60), interruptions=worst), interruption_usd=59.0)).plan
        is Plan.ON_DEMAND
    )
    assert choose(situation(figures(60), interruptions=worst)).plan is Plan.AUTOMATIC
