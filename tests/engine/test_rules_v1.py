"""The transparent policy, rule by rule in stories, then whatever the dice say (B14)."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotguard.domain.decisions import Aim, Proposal
from spotguard.domain.instances import Mode
from spotguard.engine.rules_v1 import NEAR_ONDEMAND, RULES, UP_SECONDS, WELL_BELOW_ONDEMAND, propose, why_stay
from tests.engine.market import (
    BIGGER,
    FAR,
    HOME,
    NEXT,
    NOW,
    ONDEMAND_USD,
    on_demand,
    on_spot,
    pool,
    situations,
    spot_situations,
)


def proposed(situation):
    """Aim and target, or None to stay."""
    proposal = propose(situation)
    return None if proposal is None else (proposal.aim, proposal.target)


# A cheaper pool


def test_a_pool_that_is_a_fifth_cheaper_is_proposed():
    assert propose(on_spot(pool(NEXT, "0.040"), present="0.050")) == Proposal(
        Aim.SAVE,
        Mode.SPOT,
        NEXT,
        Decimal("0.040"),
        Decimal(20),
        "m6i.large.eu-west-1b is 20.0 % cheaper than m6i.large.eu-west-1a",
    )


@pytest.mark.parametrize(
    ("price", "goes"), [("0.0475", True), ("0.047501", False), ("0.050", False), ("0.060", False)]
)
def test_it_moves_from_exactly_the_minimum_saving_on(price, goes):
    """Guard-rails: minimum saving 5 % of the present hourly price."""
    assert (propose(on_spot(pool(NEXT, price))) is not None) is goes


@pytest.mark.parametrize("minimum", ["0", "5", "100"])
def test_a_pool_of_the_same_price_is_never_worth_a_move(minimum):
    assert propose(on_spot(pool(NEXT, "0.050"), min_savings_percent=Decimal(minimum))) is None


def test_of_several_it_is_the_cheapest_and_among_equals_always_the_same():
    one, other = pool(NEXT, "0.030"), pool(FAR, "0.030")
    assert proposed(on_spot(pool(BIGGER, "0.031"), other, one)) == (Aim.SAVE, NEXT)
    assert proposed(on_spot(one, other, pool(BIGGER, "0.029"))) == (Aim.SAVE, BIGGER)


def test_its_own_pool_is_no_target():
    assert propose(on_spot(pool(HOME, "0.010"))) is None


UNFIT = {
    "not allowed": {"allowed": False},
    "without a price": {"usd_per_hour": None},
    "in quarantine": {"quarantined_until": NOW + timedelta(minutes=15)},
    "not up for an hour": {"up_seconds": 3599.0},
}


@pytest.mark.parametrize("unfit", UNFIT.values(), ids=UNFIT)
def test_an_unfit_pool_is_passed_over_for_the_next(unfit):
    good = pool(FAR, "0.040")
    assert proposed(on_spot(pool(NEXT, "0.010", **unfit), good)) == (Aim.SAVE, FAR)


def test_a_pool_that_has_been_up_for_an_hour_is_one_again():
    assert proposed(on_spot(pool(NEXT, up_seconds=UP_SECONDS))) == (Aim.SAVE, NEXT)


def test_without_a_present_price_nothing_is_compared():
    assert propose(situation := on_spot(pool(), present=None)) is None
    assert why_stay(situation) == "the present price is not known: nothing can be compared"


# Near on-demand


def test_a_price_that_nears_on_demand_drives_it_to_a_much_cheaper_pool():
    proposal = propose(on_spot(pool(NEXT, "0.080"), present="0.090"))
    assert (proposal.aim, proposal.target) == (Aim.ESCAPE, NEXT)
    assert proposal.because == (
        "m6i.large.eu-west-1a costs 90 % of on-demand; m6i.large.eu-west-1b costs 0.080 USD/h"
    )


@pytest.mark.parametrize("market", [(), (pool(NEXT, "0.080001"),), (pool(NEXT, "0.010", allowed=False),)])
def test_on_demand_is_the_last_resort_when_no_safe_pool_is_well_below(market):
    proposal = propose(on_spot(*market, present="0.095"))
    assert (proposal.aim, proposal.mode, proposal.target) == (Aim.ESCAPE, Mode.ONDEMAND, None)
    assert proposal.usd_per_hour == ONDEMAND_USD
    assert proposal.saving_percent < 0


def test_just_below_nine_tenths_it_is_only_a_saving():
    assert proposed(on_spot(pool(NEXT, "0.080"), present="0.089999")) == (Aim.SAVE, NEXT)
    assert propose(on_spot(pool(NEXT, "0.089"), present="0.089999")) is None


def test_without_an_on_demand_price_nothing_nears_it():
    assert propose(on_spot(present="0.099", ondemand_usd=None)) is None


# Back to spot


def test_after_a_forced_stay_it_returns_to_spot():
    proposal = propose(on_demand(pool(NEXT, "0.040")))
    assert (proposal.aim, proposal.mode, proposal.target) == (Aim.RECOVER, Mode.SPOT, NEXT)
    assert "has never refused or interrupted us and costs 40 % of on-demand" in proposal.because


def test_on_demand_by_a_persons_wish_leaving_it_is_a_saving_with_every_limit():
    assert proposed(on_demand(pool(NEXT, "0.040"), forced=False)) == (Aim.SAVE, NEXT)


@pytest.mark.parametrize(("up", "returns"), [(None, True), (3600.0, True), (3599.0, False), (0.0, False)])
def test_it_returns_only_to_a_pool_that_has_been_up_for_an_hour(up, returns):
    assert (propose(on_demand(pool(NEXT, "0.040", up_seconds=up))) is not None) is returns


@pytest.mark.parametrize(("price", "returns"), [("0.080", True), ("0.080001", False), ("0.100", False)])
def test_it_returns_only_well_below_on_demand(price, returns):
    assert (propose(on_demand(pool(NEXT, price))) is not None) is returns


def test_on_demand_in_a_smaller_type_a_dearer_pool_is_no_return():
    small = {"present_usd": Decimal("0.050")}
    assert propose(on_demand(pool(NEXT, "0.060"), **small)) is None
    assert propose(on_demand(pool(NEXT, "0.050"), **small)) is None
    assert proposed(on_demand(pool(NEXT, "0.049"), **small)) == (Aim.RECOVER, NEXT)


def test_it_does_not_go_to_and_fro_between_spot_and_on_demand():
    """What it fled from at nine tenths it returns to at eight tenths, not before."""
    assert WELL_BELOW_ONDEMAND < NEAR_ONDEMAND
    fled = propose(on_spot(present="0.095"))
    assert fled.mode is Mode.ONDEMAND
    assert propose(on_demand(pool(HOME, "0.095"))) is None
    assert propose(on_demand(pool(HOME, "0.085"))) is None
    assert proposed(on_demand(pool(HOME, "0.079"))) == (Aim.RECOVER, HOME)


# Reasons


def test_the_first_rule_that_applies_wins():
    situation = on_spot(pool(NEXT, "0.010"), present="0.095")
    assert [rule(situation) is not None for rule in RULES] == [True, False, False, True]
    assert propose(situation).aim is Aim.ESCAPE


def test_who_stays_says_why():
    assert why_stay(on_spot(pool(NEXT, "0.049"))) == (
        "the cheapest other allowed pool, m6i.large.eu-west-1b, would save 2.0 %, less than the minimum of 5 %"
    )
    assert why_stay(on_spot(pool(NEXT, "0.055"))) == (
        "the cheapest other allowed pool, m6i.large.eu-west-1b, costs 10.0 % more"
    )
    assert why_stay(on_spot()) == "no other allowed, priced and safe pool"


# Whatever the market


@given(situations)
def test_never_a_disallowed_unpriced_or_quarantined_pool_and_never_its_own(situation):
    proposal = propose(situation)
    if proposal is not None and proposal.target is not None:
        [chosen] = [a for a in situation.pools if a.pool == proposal.target]
        assert chosen.allowed
        assert chosen.usd_per_hour == proposal.usd_per_hour
        assert chosen.quarantined_until is None
        assert chosen.up_seconds is None or chosen.up_seconds >= UP_SECONDS
        assert chosen.pool.id != situation.present_pool


@given(situations)
def test_never_a_dearer_or_equal_one_unless_it_flees_to_on_demand(situation):
    proposal = propose(situation)
    if proposal is not None and situation.present_usd is not None and proposal.mode is Mode.SPOT:
        assert proposal.usd_per_hour < situation.present_usd
        assert proposal.saving_percent > 0


@given(situations)
def test_a_saving_from_pool_to_pool_is_at_least_the_minimum(situation):
    proposal = propose(situation)
    if proposal is not None and proposal.aim is Aim.SAVE and situation.mode is Mode.SPOT:
        assert proposal.saving_percent >= situation.min_savings_percent
        exact = (1 - proposal.usd_per_hour / situation.present_usd) * 100
        assert abs(proposal.saving_percent - exact) < Decimal("1e-20")


@given(situations)
def test_no_cheaper_fit_pool_is_left_behind(situation):
    proposal = propose(situation)
    if proposal is not None and proposal.mode is Mode.SPOT:
        without = tuple(a for a in situation.pools if a.pool != proposal.target)
        second = propose(replace(situation, pools=without))
        if second is not None and second.mode is Mode.SPOT:
            assert second.usd_per_hour >= proposal.usd_per_hour


@given(situations, st.randoms(use_true_random=False))
def test_the_same_market_in_any_order_gives_the_same_proposal(situation, dice):
    shuffled = tuple(dice.sample(situation.pools, len(situation.pools)))
    assert propose(replace(situation, pools=shuffled)) == propose(situation)
    assert why_stay(replace(situation, pools=shuffled)) == why_stay(situation)


@given(spot_situations, st.decimals(0, 60, places=2))
def test_a_higher_minimum_never_brings_a_move_and_never_changes_its_target(situation, minimum):
    """Monotone: asking for more saving only ever turns a move into a stay."""
    strict = replace(situation, min_savings_percent=max(minimum, situation.min_savings_percent))
    assert propose(strict) in (None, propose(situation))


@given(situations)
def test_rules_v1_leaves_on_demand_and_flees_to_it_but_never_both(situation):
    proposal = propose(situation)
    if proposal is None:
        return
    assert proposal.because
    if situation.mode is Mode.ONDEMAND:
        assert proposal.mode is Mode.SPOT
    if proposal.mode is Mode.ONDEMAND:
        assert (proposal.aim, proposal.target) == (Aim.ESCAPE, None)
        assert situation.present_usd >= NEAR_ONDEMAND * situation.ondemand_usd
    assert (proposal.aim is Aim.RECOVER) is (situation.mode is Mode.ONDEMAND and situation.forced_stay)


@given(situations)
def test_where_it_has_moved_it_stays_while_the_prices_do(situation):
    """No flapping by the policy itself: in the same market it has nothing more to propose."""
    proposal = propose(situation)
    if proposal is not None and proposal.mode is Mode.SPOT:
        moved = {
            "mode": Mode.SPOT,
            "present_pool": proposal.target.id,
            "present_usd": proposal.usd_per_hour,
            "forced_stay": False,
        }
        assert propose(replace(situation, **moved)) is None
