"""What the figures say of stories, and how rules-v1 weighs them."""

import math
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from spotguard.domain.decisions import Aim
from spotguard.domain.instances import Mode
from spotguard.engine import forecast
from spotguard.engine.forecast import Ask, Prospect
from spotguard.engine.rules_v1 import propose, why_stay
from spotguard.engine.stakes import Stakes, standby
from tests.engine.market import FAR, HOME, NEXT, NOW, ONDEMAND_USD, on_demand, on_spot, pool

CALM, STORMY = Prospect(1e-4, 0.0006), Prospect(0.5, 0.95)
STATELESS, CRITICAL = (Stakes(0.1, weight * 0.1 / 60, wait_hours=0.5) for weight in (10, 1000))


def judged(situation, stakes=STATELESS, **prospects):
    """The situation with its figures; a pool is calm unless it is named."""
    names = {"home": HOME, "next_": NEXT, "far": FAR}
    known = {p.id: CALM for p in names.values()} | {names[n].id: p for n, p in prospects.items()}
    on_spot_now = situation.mode is Mode.SPOT
    ask = Ask(
        present=situation.present_pool,
        present_usd=situation.present_usd,
        pools=situation.pools,
        stakes=stakes,
        least_saving_percent=situation.min_savings_percent if on_spot_now else Decimal(0),
        risk_limit=Decimal("0.30") if on_spot_now else Decimal(1),
    )
    return replace(situation, figures=forecast.figures([ask], known)[0])


def proposed(situation):
    proposal = propose(situation)
    return None if proposal is None else (proposal.aim, proposal.target)


def test_in_a_calm_market_it_moves_to_the_cheaper_pool_and_says_why():
    situation = judged(on_spot(pool(HOME, "0.050"), pool(NEXT, "0.040")))
    proposal = propose(situation)
    assert (proposal.aim, proposal.target) == (Aim.SAVE, NEXT)
    assert "is 20.0 % cheaper" in proposal.because
    assert "net of the move" in proposal.because


def test_it_does_not_move_into_a_storm_to_save():
    situation = judged(on_spot(pool(HOME, "0.050"), pool(NEXT, "0.030"), pool(FAR, "0.040")), next_=STORMY)
    assert proposed(situation) == (Aim.SAVE, FAR)


def test_where_nothing_saves_enough_it_does_nothing():
    situation = judged(on_spot(pool(HOME, "0.050"), pool(NEXT, "0.049")))
    assert proposed(situation) is None
    assert "would save 2.0 %, less than the minimum of 5 %" in why_stay(situation)


def test_a_saving_that_is_refused_for_the_risk_is_told_with_the_risk():
    stormy = pool(NEXT, "0.030", risk_6h=Decimal("0.95"))
    situation = judged(on_spot(pool(HOME, "0.050"), stormy), next_=STORMY)
    assert proposed(situation) is None
    assert why_stay(situation).endswith(
        "would save 40.0 %, but is above a limit of this agent's or not known well enough: "
        "its risk is 95.0 % within 6 h"
    )


def test_a_pool_that_the_limits_rule_out_is_not_called_allowed_however_little_it_would_save():
    stormy = pool(NEXT, "0.049", risk_6h=Decimal("0.95"))
    situation = judged(on_spot(pool(HOME, "0.050"), stormy), next_=STORMY)
    assert why_stay(situation) == (
        f"the cheapest other pool, {NEXT.id}, would save 2.0 %, less than the minimum of 5 %"
    )


@pytest.mark.parametrize(
    ("rate", "returns"), [(0.05, True), (0.3, True), (0.6, True), (0.75, False), (2.0, False)]
)
def test_it_returns_once_the_hazard_has_fallen_below_what_a_return_earns(rate, returns):
    """A saving of 0.6 of on-demand an hour; a return and the fall after it cost about 0.9: so 0.67 an hour."""
    situation = judged(on_demand(pool(NEXT, "0.040")), next_=Prospect(rate, 0.9))
    assert (proposed(situation) == (Aim.RECOVER, NEXT)) is returns


def test_who_cannot_be_down_returns_to_the_calmest_pools_only():
    storm = Prospect(0.1, 0.45)
    assert proposed(judged(on_demand(pool(NEXT, "0.040")), next_=storm)) == (Aim.RECOVER, NEXT)
    assert proposed(judged(on_demand(pool(NEXT, "0.040")), CRITICAL, next_=storm)) is None
    assert proposed(judged(on_demand(pool(NEXT, "0.040")), CRITICAL)) == (Aim.RECOVER, NEXT)


def test_who_cannot_be_down_leaves_a_pool_that_is_likely_to_fall():
    here = on_spot(pool(HOME, "0.050"))
    assert proposed(judged(here, CRITICAL, home=STORMY)) == (Aim.ESCAPE, None)
    assert proposed(judged(here, STATELESS, home=STORMY)) is None  # the minutes are not worth it to this one
    assert proposed(judged(here, CRITICAL)) is None


def test_who_cannot_be_down_goes_only_where_a_pool_has_proven_itself():
    """On demand, and a pool of which little is known: the stateless tries it, the critical waits until it is."""
    unproven, proven = replace(CALM, doubt_per_hour=1.0), replace(CALM, doubt_per_hour=0.01)
    market = on_demand(pool(NEXT, "0.040"))
    assert proposed(judged(market, next_=unproven)) == (Aim.RECOVER, NEXT)
    assert proposed(judged(market, CRITICAL, next_=unproven)) is None
    assert proposed(judged(market, CRITICAL, next_=proven)) == (Aim.RECOVER, NEXT)


def test_nobody_leaves_a_pool_for_a_doubt_alone():
    assert (
        proposed(judged(on_spot(pool(HOME, "0.050")), CRITICAL, home=replace(CALM, doubt_per_hour=1.0)))
        is None
    )


def test_caution_and_proof_grow_with_what_a_minute_is_worth():
    by_minute = [Stakes(0.1, weight * 0.1 / 60, wait_hours=0.5) for weight in (1, 10, 100, 1000)]
    assert [round(stakes.caution(), 3) for stakes in by_minute] == [0.0, 0.009, 0.611, 1.0]
    assert [round(stakes.proof_hours(0.05), 1) for stakes in by_minute] == [0.1, 0.6, 5.8, 58.3]
    assert CRITICAL.proof_hours(0.1) == math.inf


def test_a_calm_pool_in_its_zone_is_a_refuge_from_which_no_way_back_is_paid():
    beside = replace(HOME, instance_type="m6a.large")
    known = {HOME.id: Prospect(0.2, 0.7), NEXT.id: CALM, beside.id: CALM}
    here = pool(HOME, "0.050")
    assert not forecast.has_refuge(HOME.id, [here, pool(NEXT, "0.050")], known)
    assert forecast.has_refuge(HOME.id, [here, pool(beside, "0.060")], known)
    assert not forecast.has_refuge(HOME.id, [here, pool(beside, "0.060", allowed=False)], known)
    assert not forecast.has_refuge(HOME.id, [here, pool(beside, "0.060")], {**known, beside.id: STORMY})
    alone = judged(here := on_spot(pool(HOME, "0.050")), home=known[HOME.id])
    sheltered = forecast.figures(
        [Ask(HOME.id, Decimal("0.050"), [*here.pools, pool(beside, "0.060")], STATELESS)], known
    )[0]
    assert sheltered.present_usd_per_hour < alone.figures.present_usd_per_hour


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_rate_that_is_no_number_is_never_acted_on(broken):
    situation = judged(on_spot(pool(HOME, "0.050"), pool(NEXT, "0.010")), next_=Prospect(broken, broken))
    assert situation.figures.pool is None
    assert proposed(situation) is None


def test_a_pool_in_quarantine_or_not_allowed_is_never_chosen():
    held = pool(NEXT, "0.010", quarantined_until=NOW + timedelta(minutes=5))
    barred = pool(FAR, "0.010", allowed=False)
    assert judged(on_spot(pool(HOME, "0.050"), held, barred)).figures.pool is None


def test_figures_are_stored_without_what_json_cannot_say():
    told = judged(on_spot(pool(HOME, "0.050"))).figures.told()
    assert told["pool"] is None
    assert told["gain_usd"] is None
    assert told["horizon_hours"] == 72.0


def test_every_asker_gets_the_answer_that_it_would_get_alone():
    known = {HOME.id: CALM, NEXT.id: STORMY, FAR.id: CALM}
    pools = [pool(HOME, "0.050"), pool(NEXT, "0.020"), pool(FAR, "0.040")]
    asks = [
        Ask(HOME.id, Decimal("0.050"), pools, STATELESS),
        Ask(None, ONDEMAND_USD, pools[:2], CRITICAL),
        Ask(FAR.id, Decimal("0.040"), pools, STATELESS, cap_usd=Decimal("0.03")),
    ]
    together = forecast.figures(asks, known)
    alone = [forecast.figures([ask], known)[0] for ask in asks]
    assert [figures.pool for figures in together] == [figures.pool for figures in alone]
    assert [figures.gain_usd for figures in together] == pytest.approx([f.gain_usd for f in alone])


def test_a_standby_pays_for_the_critical_in_a_storm_alone():
    assert not standby(0.05, 0.04, 1e-4, STATELESS).pays
    assert not standby(1e-4, 0.04, 1e-4, CRITICAL).pays
    worth = standby(0.05, 0.04, 1e-4, CRITICAL)
    assert worth.pays
    assert "a standby costs 0.0400" in worth.because
