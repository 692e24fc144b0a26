"""The made-up market: labelled, seeded, of the shape that was measured."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from spotguard.market.synthetic import HISTORY, ONDEMAND, synthetic_market

START = datetime(2026, 1, 5, tzinfo=UTC)
MARKET = synthetic_market(7, START, 30)
END = START + timedelta(days=30)


def test_it_is_labelled():
    assert MARKET.history.source == "synthetic (seed 7)"


def test_the_seed_decides():
    everything = (START - HISTORY, END)
    again, other = synthetic_market(7, START, 30), synthetic_market(8, START, 30)
    assert again.history.changes_between(*everything) == MARKET.history.changes_between(*everything)
    assert other.history.changes_between(*everything) != MARKET.history.changes_between(*everything)


def test_every_pool_has_a_price_all_the_time():
    assert len(MARKET.history.pools()) == 4 * len(ONDEMAND)
    assert all(MARKET.history.price_at(pool, START - HISTORY) for pool in MARKET.history.pools())
    assert MARKET.history.span[1] <= END


def test_prices_stay_between_a_quarter_and_the_whole_of_ondemand_with_six_decimals():
    for row in MARKET.history.changes_between(START - HISTORY, END, with_last_before=True):
        ondemand = MARKET.ondemand["us-east-1", row.pool.instance_type]
        assert ondemand / 4 <= row.usd_per_hour <= ondemand
        assert row.usd_per_hour.as_tuple().exponent == -6


def test_calm_pools_hardly_move_and_stormy_ones_do():
    for pool in MARKET.history.pools():
        changes = MARKET.history.changes_between(START, END, [pool])
        prices = [row.usd_per_hour for row in changes]
        if pool.id in MARKET.stormy:
            assert len(changes) > 100
            assert max(prices) > Decimal("0.75") * MARKET.ondemand["us-east-1", pool.instance_type]
        else:
            assert len(changes) < 40


def test_every_type_has_calm_and_stormy_zones():
    for kind in ONDEMAND:
        stormy = {pool.id in MARKET.stormy for pool in MARKET.history.pools() if pool.instance_type == kind}
        assert stormy == {True, False}
