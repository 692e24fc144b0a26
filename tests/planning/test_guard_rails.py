"""The guard-rails: each alone, every pair, the exact edge of each, and what is outside them (B13, B14, B17)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import combinations, product

import pytest

from spotguard.domain.agents import Autonomy, GuardRails, KillLevel
from spotguard.domain.decisions import Aim, PoolAssessment, Proposal, Verdict
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.planning import guard_rails as rails
from spotguard.planning.guard_rails import (
    RAILS,
    Fruitless,
    PastSwitch,
    RailFacts,
    SpendFacts,
    refusal,
    verdict,
)

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
HERE = Pool("m6i.large", "eu-west-1a")
THERE = Pool("m6i.large", "eu-west-1b")
ELSEWHERE = Pool("m6i.large", "eu-west-1c")
HOUR = timedelta(hours=1)


def assessed(pool=THERE, **known):
    facts = PoolAssessment(
        pool=pool,
        usd_per_hour=Decimal("0.040"),
        age_seconds=30.0,
        up_seconds=None,
        risk_6h=None,
        quarantined_until=None,
        allowed=True,
        because="allowed",
    )
    return replace(facts, **known)


def proposal(aim=Aim.SAVE):
    return Proposal(aim, Mode.SPOT, THERE, Decimal("0.040"), Decimal(20), "cheaper")


def facts(aim=Aim.SAVE, **known):
    """A move that every guard-rail agrees with."""
    agreeable = RailFacts(
        proposal=proposal(aim),
        now=NOW,
        rails=GuardRails(),
        kill=KillLevel.NONE,
        frozen=None,
        in_pool_since=NOW - 10 * HOUR,
        history=(),
        target=assessed(),
        spend=SpendFacts(None, None, None, None),
    )
    return replace(agreeable, **known)


def to_ondemand(aim=Aim.ESCAPE, **known):
    leave = Proposal(aim, Mode.ONDEMAND, None, Decimal("0.107"), Decimal(-7), "nears on-demand")
    return facts(proposal=leave, target=None, **known)


def switched(hours_ago, *, voluntary=True, left=ELSEWHERE):
    return PastSwitch(NOW - hours_ago * HOUR, voluntary, None if left is None else left.id)


def with_target(seen, **known):
    return replace(seen, target=replace(seen.target, **known))


def with_saving(seen, percent):
    return replace(seen, proposal=replace(seen.proposal, saving_percent=Decimal(percent)))


def with_history(seen, *more):
    return replace(seen, history=(*seen.history, *more))


def with_spend(seen, agent=None, client=None, now=None):
    return replace(seen, spend=SpendFacts(agent, client, now, now))


@dataclass(frozen=True)
class Obstacle:
    """One reason to refuse: which rail sees it, and for which aims."""

    rail: rails.Rail
    put: Callable[[RailFacts], RailFacts]
    aims: frozenset[Aim] = frozenset(Aim)


NOT_RECOVERY = frozenset({Aim.SAVE, Aim.ESCAPE})
OBSTACLES = {
    "voluntary is stopped": Obstacle(
        rails.the_kill_switch_is_off, lambda f: replace(f, kill=KillLevel.VOLUNTARY)
    ),
    "everything is stopped": Obstacle(rails.the_kill_switch_is_off, lambda f: replace(f, kill=KillLevel.ALL)),
    "a third fell silent": Obstacle(
        rails.nothing_is_frozen, lambda f: replace(f, frozen="2 of 5 are silent")
    ),
    "the pool is not allowed": Obstacle(
        rails.the_target_is_allowed_and_safe,
        lambda f: with_target(f, allowed=False, because="not among the allowed zones"),
    ),
    "the pool is in quarantine": Obstacle(
        rails.the_target_is_allowed_and_safe, lambda f: with_target(f, quarantined_until=NOW + HOUR)
    ),
    "the pool has no price": Obstacle(
        rails.the_target_is_allowed_and_safe, lambda f: with_target(f, usd_per_hour=None)
    ),
    "the price is of an hour ago": Obstacle(
        rails.the_target_is_allowed_and_safe, lambda f: with_target(f, age_seconds=3600.0)
    ),
    "the risk is high": Obstacle(
        rails.the_risk_is_bearable, lambda f: with_target(f, risk_6h=Decimal("0.31")), NOT_RECOVERY
    ),
    "it saves too little": Obstacle(
        rails.the_saving_is_worth_it, lambda f: with_saving(f, "4.99"), frozenset({Aim.SAVE})
    ),
    "only an image carries it": Obstacle(
        rails.it_does_not_stop_the_workload_to_save,
        lambda f: replace(f, imaging_minutes=Decimal(10)),
        frozenset({Aim.SAVE}),
    ),
    "what it left still runs": Obstacle(
        rails.what_it_left_before_has_ended,
        lambda f: replace(f, left_running="i-0123456789abcdef0"),
        frozenset({Aim.SAVE, Aim.RECOVER}),
    ),
    "the last one came to nothing": Obstacle(
        rails.it_rests_after_moves_that_came_to_nothing,
        lambda f: replace(f, fruitless=Fruitless(1, NOW - timedelta(minutes=20))),
    ),
    "it has just come": Obstacle(
        rails.it_has_stayed_long_enough, lambda f: replace(f, in_pool_since=NOW - HOUR), NOT_RECOVERY
    ),
    "three switches today": Obstacle(
        rails.the_switch_limits_hold,
        lambda f: with_history(f, switched(20), switched(21), switched(22)),
        NOT_RECOVERY,
    ),
    "ten switches this week": Obstacle(
        rails.the_switch_limits_hold,
        lambda f: with_history(f, *(switched(30 + 12 * n) for n in range(10))),
        NOT_RECOVERY,
    ),
    "it left that pool an hour ago": Obstacle(
        rails.it_does_not_go_back_and_forth, lambda f: with_history(f, switched(1, left=THERE)), NOT_RECOVERY
    ),
    "this agent's cap, for which both count": Obstacle(
        rails.the_spend_caps_hold, lambda f: with_spend(f, agent=Decimal("0.107"), now=Decimal("0.107"))
    ),
    "the client's cap": Obstacle(
        rails.the_spend_caps_hold, lambda f: with_spend(f, client=Decimal("1.00"), now=Decimal("0.97"))
    ),
    "a cap, and what runs has no known price": Obstacle(
        rails.the_spend_caps_hold, lambda f: with_spend(f, client=Decimal("1.00"))
    ),
    "the quota is full": Obstacle(rails.the_quota_has_room, lambda f: replace(f, quota="7 of 8 are in use")),
}
PAIRS = [
    pair for pair in combinations(OBSTACLES, 2) if OBSTACLES[pair[0]].rail is not OBSTACLES[pair[1]].rail
]


@pytest.mark.parametrize("aim", Aim)
def test_a_move_without_an_obstacle_is_agreed_to(aim):
    assert refusal(facts(aim)) is None


def test_every_rail_has_an_obstacle_here():
    assert {obstacle.rail for obstacle in OBSTACLES.values()} == set(RAILS)


@pytest.mark.parametrize(("until", "refused"), [(NOW + HOUR, True), (NOW, False), (None, False)])
def test_on_demand_is_left_alone_where_it_was_refused(until, refused):
    why = refusal(to_ondemand(ondemand_quarantined_until=until))
    assert (why is not None) is refused
    assert refusal(facts(ondemand_quarantined_until=until)) is None, "spot in the same zone is another market"


@pytest.mark.parametrize("aim", Aim)
@pytest.mark.parametrize("name", OBSTACLES)
def test_each_rail_alone(name, aim):
    obstacle = OBSTACLES[name]
    blocked = obstacle.put(facts(aim))
    why = refusal(blocked)
    assert (why is not None) is (aim in obstacle.aims)
    assert why == obstacle.rail(blocked)
    assert all(rail(blocked) is None for rail in RAILS if rail is not obstacle.rail)


@pytest.mark.parametrize("aim", Aim)
@pytest.mark.parametrize("pair", PAIRS, ids=" and ".join)
def test_of_two_rails_the_first_of_the_list_gives_the_reason(pair, aim):
    both = [OBSTACLES[name] for name in pair]
    blocked = both[1].put(both[0].put(facts(aim)))
    speaking = [o.rail for o in both if aim in o.aims]
    expected = next((rail(blocked) for rail in RAILS if rail in speaking), None)
    assert refusal(blocked) == expected
    assert (expected is None) is (not speaking)


def test_recovery_to_spot_is_outside_the_limits_and_outside_a_to_b_to_a():
    """The rulings' last paragraph: returning after a forced stay on on-demand is recovery."""
    crowded = with_history(facts(Aim.RECOVER), *(switched(n / 4, left=THERE) for n in range(1, 20)))
    crowded = with_target(crowded, risk_6h=Decimal("0.9"))
    crowded = with_saving(replace(crowded, in_pool_since=NOW - timedelta(minutes=1)), "0.1")
    assert refusal(crowded) is None
    assert refusal(replace(crowded, proposal=proposal(Aim.SAVE))) is not None


@pytest.mark.parametrize("name", ["voluntary is stopped", "a third fell silent", "the pool is in quarantine"])
def test_recovery_is_still_voluntary_and_still_goes_to_a_safe_pool_only(name):
    assert refusal(OBSTACLES[name].put(facts(Aim.RECOVER))) is not None


def test_an_escape_need_not_save():
    assert refusal(with_saving(facts(Aim.ESCAPE), -7)) is None
    assert refusal(to_ondemand()) is None


AT_THE_EDGE = {
    "saves exactly the minimum": with_saving(facts(), 5),
    "exactly two hours in the pool": facts(in_pool_since=NOW - 2 * HOUR),
    "the third switch of the day": facts(history=(switched(3), switched(23))),
    "the oldest of three was a day ago": facts(history=(switched(20), switched(21), switched(24))),
    "the oldest of ten was a week ago": facts(history=tuple(switched(24 * 7 - 12 * n) for n in range(10))),
    "it left that pool six hours ago": facts(history=(switched(6, left=THERE),)),
    "a risk of exactly the threshold": with_target(facts(), risk_6h=Decimal("0.30")),
    "an unknown risk: rules-v1 has no measure of it": with_target(facts(), risk_6h=None),
    "the quarantine ends now": with_target(facts(), quarantined_until=NOW),
    "a price of a quarter of an hour": with_target(facts(), age_seconds=900.0),
    "comes exactly to the caps": with_spend(facts(), Decimal("1.00"), Decimal("1.00"), Decimal("0.96")),
    "one came to nothing half an hour ago": facts(fruitless=Fruitless(1, NOW - HOUR / 2)),
    "three came to nothing, the last two hours ago": facts(fruitless=Fruitless(3, NOW - 2 * HOUR)),
    "a thousand came to nothing, the last a day ago": facts(fruitless=Fruitless(1000, NOW - 24 * HOUR)),
    "ten forced switches today": facts(history=tuple(switched(n / 2, voluntary=False) for n in range(1, 11))),
}
BEYOND_THE_EDGE = {
    "saves a hair less": with_saving(facts(), "4.999999"),
    "a second short of two hours": facts(in_pool_since=NOW - 2 * HOUR + timedelta(seconds=1)),
    "the fourth switch of the day": facts(history=(switched(3), switched(20), switched(23.99))),
    "the eleventh of the week": facts(history=tuple(switched(24 * 6.9 - 12 * n) for n in range(10))),
    "it left that pool a second less than six hours ago": facts(
        history=(switched(6 - 1 / 3600, left=THERE),)
    ),
    "it was driven from that pool an hour ago": facts(history=(switched(1, voluntary=False, left=THERE),)),
    "three came to nothing, the last a minute less than two hours ago": facts(
        fruitless=Fruitless(3, NOW - 2 * HOUR + timedelta(minutes=1))
    ),
    "a risk of a hair more": with_target(facts(), risk_6h=Decimal("0.300001")),
    "the quarantine ends in a second": with_target(facts(), quarantined_until=NOW + timedelta(seconds=1)),
    "a price a second older": with_target(facts(), age_seconds=901.0),
    "a millionth above the client's cap": with_spend(facts(), None, Decimal("1.00"), Decimal("0.960001")),
    "a spot pool of which nothing is known": facts(target=None),
    "back to on-demand within six hours": to_ondemand(history=(switched(5, left=None),)),
}


@pytest.mark.parametrize("seen", AT_THE_EDGE.values(), ids=AT_THE_EDGE)
def test_at_the_edge_it_may_go(seen):
    assert refusal(seen) is None


@pytest.mark.parametrize("seen", BEYOND_THE_EDGE.values(), ids=BEYOND_THE_EDGE)
def test_beyond_the_edge_it_stays(seen):
    assert refusal(seen)


def test_the_limits_are_the_agents_own():
    """Editable per agent, enforced whatever a policy proposes (B14)."""
    strict = GuardRails(min_savings_percent=Decimal(25), min_pool_hours=Decimal(12), max_switches_per_day=0)
    assert "minimum of 25" in refusal(facts(rails=strict))
    assert "12 h are wanted" in refusal(facts(Aim.ESCAPE, rails=strict))
    none_today = replace(strict, min_savings_percent=Decimal(5), min_pool_hours=Decimal(0))
    assert "at most 0" in refusal(facts(rails=none_today))


def test_every_refusal_is_a_sentence_with_what_was_seen_and_what_is_asked():
    for name, obstacle in OBSTACLES.items():
        why = refusal(obstacle.put(facts()))
        assert len(why) > 10, name


@pytest.mark.parametrize(
    ("given", "why", "autonomy"), list(product((None, proposal()), (None, "a rail says no"), Autonomy))
)
def test_autonomy_says_how_far_an_agreed_proposal_goes_by_itself(given, why, autonomy):
    """B17. Only `auto` moves; nothing moves that a rail refused or that nobody proposed."""
    agreed = {
        Autonomy.OBSERVE: Verdict.STAY,
        Autonomy.RECOMMEND: Verdict.RECOMMEND,
        Autonomy.APPROVE: Verdict.AWAIT_APPROVAL,
        Autonomy.AUTO: Verdict.MOVE,
    }
    expected = agreed[autonomy] if why is None else Verdict.REFUSED
    assert verdict(given, why, autonomy) is (Verdict.STAY if given is None else expected)
