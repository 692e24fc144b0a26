"""Each causal rule in a story of its own. Pool 0: zone a at 0.4, 1: zone b at 0.5, 2: zone a at 0.6; on demand 1."""

import pytest

from spotguard.backtest.baselines import (
    Cheaper,
    HotSpot,
    OnDemand,
    PriceCapacity,
    Reactive,
    SpotHedge,
    Uptime,
)
from spotguard.backtest.policy import ONDEMAND
from tests.backtest.little import HOUR, T0, A, B, Scripted, life, played, world


class Watched:
    """A policy whose whereabouts are written down."""

    def __init__(self, policy):
        self.policy, self.sees_states, self.seen = policy, False, []

    def decide(self, view):
        self.seen.append((round((view.now - T0) / HOUR, 2), view.at))
        self.last = view
        return self.policy.decide(view)

    def fall_back(self, view):
        return self.policy.fall_back(view)

    def places(self):
        return [
            at for number, (_, at) in enumerate(self.seen) if not number or self.seen[number - 1][1] != at
        ]


def watched(policy, there, hours=24.0, **physics):
    seen = Watched(policy)
    return seen, played(there, seen, hours, **physics)


def test_on_demand_stays():
    seen, outcome = watched(OnDemand(), world())
    assert seen.places() == [ONDEMAND]
    assert outcome.cost_ratio == pytest.approx(1.0)


def test_reactive_takes_the_cheapest_and_stays_though_another_becomes_cheaper():
    seen, outcome = watched(Reactive(), world([A, B], [[0.4, 0.5], [0.4, 0.1]], ticks=(0.0, 5.0)))
    assert seen.places() == [ONDEMAND, 0]
    assert outcome.moves == 0


def test_reactive_restarts_in_the_same_zone_first():
    seen, outcome = watched(Reactive(), world(lives=[life((5.0, 9.0)), life(), life()]))
    assert seen.places() == [ONDEMAND, 0, 2]
    assert outcome.down_seconds.sum() == 15 + 105


def test_reactive_comes_back_as_soon_as_a_pool_accepts():
    seen, outcome = watched(Reactive(), world([A], [[0.4]], [life((5.0, 6.0))]))
    assert seen.places() == [ONDEMAND, 0, ONDEMAND, 0]
    back = next(hour for hour, at in seen.seen if at == 0 and hour > 5.5)
    assert 6.0 <= back <= 6.2, "asked every five minutes"
    assert outcome.refusals > 5


def test_the_five_per_cent_rule_moves_at_five_per_cent_and_not_before():
    prices = [[0.4, 0.5], [0.4, 0.381], [0.4, 0.38]]
    seen, outcome = watched(Cheaper(), world([A, B], prices, ticks=(0.0, 5.0, 8.0)))
    assert seen.places() == [ONDEMAND, 0, 1]
    assert outcome.moves == 1
    assert seen.seen[-1][0] == pytest.approx(8.06, abs=0.01)


def test_hotspot_hops_when_an_hour_saves_more_than_the_hop_costs():
    a_hop = 225 / 3600
    prices = [[0.4, 0.5], [0.4, 0.4 * (1 - a_hop) + 0.001], [0.4, 0.4 * (1 - a_hop) - 0.001]]
    seen, _ = watched(HotSpot(), world([A, B], prices, ticks=(0.0, 5.0, 8.0)))
    assert seen.places() == [ONDEMAND, 0, 1]
    assert seen.seen[-1][0] > 8.0


def test_price_capacity_keeps_away_from_a_pool_that_failed_within_a_day():
    seen, _ = watched(PriceCapacity(), world([A, B], [[0.4, 0.5]], [life((5.0, 5.5)), life()]), hours=48.0)
    assert seen.places() == [ONDEMAND, 0, ONDEMAND, 1]


def test_uptime_returns_after_an_hour_up():
    seen, outcome = watched(Uptime(), world([A], [[0.4]], [life((5.0, 9.0))]))
    assert seen.places() == [ONDEMAND, 0, ONDEMAND, 0]
    first, second = (
        hour for hour, at in seen.seen[1:] if at == 0 and seen.seen[seen.seen.index((hour, at)) - 1][1]
    )
    assert first >= 1.0
    assert second >= 10.0
    assert outcome.probe_usd > 0


def test_spothedge_keeps_two_in_two_zones_and_on_demand_in_the_place_of_one_that_is_missing():
    there = world([A, B], [[0.4, 0.5]], [life((10.0, 12.0)), life()])
    seen, outcome = watched(SpotHedge(), there)
    assert seen.places() == [ONDEMAND, 0, 1]
    assert outcome.down_seconds.sum() == 15 + 15, "its standby took over"
    assert outcome.standby_seconds > 20 * HOUR


def test_a_script_is_a_policy():
    assert played(world(), Scripted({})).moves == 0
