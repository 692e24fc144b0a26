"""The physics as stories, their numbers worked by hand. Pool 0: zone a at 0.4, 1: zone b at 0.5, 2: zone a at 0.6."""

import pytest

from spotguard.backtest.policy import Intention, Sight
from tests.backtest.little import HOUR, ONDEMAND, T0, A, Scripted, go, life, played, world

SERVES = 210 / 3600  # hours from a launch until it could take over
WAIT = 0.5


def cost(outcome):
    return float(outcome.cost_usd.sum())


def down(outcome):
    return float(outcome.down_seconds.sum())


def test_who_never_moves_pays_on_demand():
    outcome = played(world(), Scripted({}))
    assert (cost(outcome), down(outcome), outcome.cost_ratio) == (pytest.approx(24.0), 0, pytest.approx(1.0))


def test_a_planned_move_bills_both_until_the_wait_is_over_and_is_down_for_the_cut_over():
    outcome = played(world(), Scripted({2.0: go(0)}))
    assert cost(outcome) == pytest.approx((2.0 + SERVES + WAIT) * 1.0 + 22.0 * 0.4)
    assert down(outcome) == 15
    assert (outcome.returns, outcome.moves) == (1, 0)


def test_a_move_between_pools_counts_as_a_move():
    outcome = played(world(), Scripted({0.0: go(0), 3.0: go(1)}), terminate_wait=0.0)
    assert cost(outcome) == pytest.approx(SERVES * 1.0 + (3.0 + SERVES) * 0.4 + 21.0 * 0.5)
    assert (outcome.returns, outcome.moves) == (1, 1)


def test_a_launch_into_a_pool_that_is_down_fails_and_costs_nothing():
    policy = Scripted({0.0: go(0)})
    outcome = played(world(lives=[life((0.0, 5.0)), life(), life()]), policy)
    assert cost(outcome) == pytest.approx(24.0)
    assert outcome.refusals == 1
    assert policy.views[1].now == T0 + 20, "the policy hears of it 20 s later"


def test_an_interruption_with_notice_restarts_on_demand_in_the_same_zone():
    there = world(lives=[life((10.0, 30.0)), life(), life()])
    outcome = played(there, Scripted({0.0: go(0)}))
    assert down(outcome) == 15 + (150 + 60 + 15 - 120)
    restarted = 14.0 + 120 / HOUR
    assert cost(outcome) == pytest.approx(SERVES + WAIT + 10.0 * 0.4 + restarted * 1.0)
    assert outcome.interruptions == 1


@pytest.mark.parametrize(("notice", "seconds"), [(120.0, 105), (108.0, 117), (0.0, 225)])
def test_less_notice_is_a_longer_restart(notice, seconds):
    there = world(lives=[life((10.0, 30.0)), life(), life()])
    assert down(played(there, Scripted({0.0: go(0)}), notice=notice)) == 15 + seconds


def test_each_refusal_of_a_rescue_takes_twenty_seconds():
    there = world(lives=[life((10.0, 30.0)), life(), life((1.0, 30.0))])
    assert down(played(there, Scripted({0.0: go(0)}, back=[2]))) == 15 + 20 + 105


def test_the_volume_survives_in_the_zone_and_needs_a_snapshot_for_another():
    there = world(lives=[life((10.0, 30.0)), life(), life()])
    assert down(played(there, Scripted({0.0: go(0)}, back=[2]))) == 15 + 105
    assert down(played(there, Scripted({0.0: go(0)}, back=[1]))) == 15 + 105 + 300


def test_a_ready_standby_takes_over_within_the_cut_over():
    there = world(lives=[life((10.0, 30.0)), life(), life()])
    outcome = played(there, Scripted({0.0: go(0), 1.0: go(None, standby=1)}))
    assert down(outcome) == 15 + 15
    assert cost(outcome) == pytest.approx(SERVES + WAIT + 10.0 * 0.4 + 23.0 * 0.5), "billed from its launch"
    assert outcome.standby_seconds == pytest.approx((9.0 - SERVES) * HOUR)


def test_a_standby_in_the_pool_that_falls_is_no_help():
    there = world(lives=[life((10.0, 30.0)), life(), life()])
    outcome = played(there, Scripted({0.0: go(0), 1.0: go(None, standby=0)}))
    assert down(outcome) == 15 + 105


def test_a_standby_dies_with_its_own_pool():
    there = world(lives=[life((10.0, 30.0)), life((5.0, 30.0)), life()])
    outcome = played(there, Scripted({0.0: go(0), 1.0: go(None, standby=1)}))
    assert down(outcome) == 15 + 105
    assert outcome.standby_seconds == pytest.approx((4.0 - SERVES) * HOUR)


def test_a_move_whose_target_falls_before_it_serves_is_given_up():
    there = world(lives=[life(), life(strikes=[3.0 + 100 / HOUR]), life()])
    outcome = played(there, Scripted({0.0: go(0), 3.0: go(1)}))
    assert cost(outcome) == pytest.approx(SERVES + WAIT + 24.0 * 0.4 + 100 / HOUR * 0.5)
    assert (outcome.moves, down(outcome)) == (0, 15)


def test_a_move_under_way_is_carried_through_when_the_old_one_falls_and_the_volume_can_follow():
    there = world(lives=[life(strikes=[3.0 + 100 / HOUR]), life(), life()])
    outcome = played(there, Scripted({0.0: go(0), 2.99: go(2)}))
    since_launch = (3.0 - 2.99) * HOUR + 100
    assert down(outcome) == pytest.approx(15 + (210 - since_launch) + 15)


def test_a_rescue_that_falls_while_it_boots_is_one_more_loss():
    there = world(lives=[life((10.0, 30.0)), life(), life(strikes=[10.0])])
    outcome = played(there, Scripted({0.0: go(0)}, back=[2]))
    assert down(outcome) == 15 + 105, "its own notice came with its launch: on demand at the same moment"


def test_what_aws_would_waive_is_told_apart_and_stays_in_the_cost():
    there = world(lives=[life((0.5, 30.0)), life(), life()])
    outcome = played(there, Scripted({0.0: go(0)}))
    assert outcome.waived_usd == pytest.approx(0.5 * 0.4)
    assert cost(outcome) == pytest.approx(SERVES + WAIT + 0.5 * 0.4 + (23.5 + 120 / HOUR) * 1.0)


def test_a_successful_probe_bills_a_minute_and_is_made_at_most_every_five():
    script = {hour: Intention(probes=(0, 1)) for hour in (1.0, 1.0 + 200 / HOUR, 2.0)}
    there = world(lives=[life((1.5, 3.0)), life(), life()])
    policy = Scripted(script)
    outcome = played(there, policy)
    assert outcome.probes == 4
    assert outcome.probe_usd == pytest.approx((0.4 + 2 * 0.5) / 60)
    looks = policy.views[-1].memory.looks
    assert [(look.up, look.how) for look in looks[0]] == [(True, Sight.PROBE), (False, Sight.PROBE)]


def test_prices_are_billed_to_the_second_of_their_change():
    there = world(pools=[A], prices=[[0.4], [0.8]], ticks=(0.0, 6.25))
    outcome = played(there, Scripted({0.0: go(0)}), terminate_wait=0.0)
    assert cost(outcome) == pytest.approx(SERVES + 6.25 * 0.4 + 17.75 * 0.8)


def test_a_rebalance_signal_is_heard_where_it_is_sent():
    there = world(lives=[life(signals=[4.0]), life(signals=[5.0]), life()])
    quiet, told = Scripted({0.0: go(0)}), Scripted({0.0: go(0)})
    played(there, quiet)
    played(there, told, rebalance=True)
    assert not any(view.signalled_at > 0 for view in quiet.views)
    assert [view.now for view in told.views if view.signalled_at == view.now] == [T0 + 4.0 * HOUR]


def test_days_add_up_to_the_whole():
    outcome = played(world(), Scripted({30.0: go(0)}), hours=72.0)
    assert len(outcome.cost_usd) == 3
    assert outcome.cost_usd[0] == pytest.approx(24.0)
    assert outcome.cost_usd[2] == pytest.approx(24.0 * 0.4)


def test_leaving_for_on_demand_is_a_move_and_the_way_back_a_return():
    outcome = played(world(), Scripted({0.0: go(0), 5.0: go(ONDEMAND), 9.0: go(0)}))
    assert (outcome.moves, outcome.returns) == (1, 2)
