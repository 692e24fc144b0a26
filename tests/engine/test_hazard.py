"""The age-hazard rule: calm pools have a climate, pools that fell have weather, and it passes."""

import json
import math
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest

from spotguard.domain.errors import InvalidInput
from spotguard.domain.pools import Pool
from spotguard.engine import features, forecast, hazard
from spotguard.engine.records import seen
from spotguard.market.shipped import age_hazard
from tests.engine.market import FAR, HOME, NEXT, NOW, pool

RULE = age_hazard()


def after(hours):
    return NOW + timedelta(hours=hours)


def fell_and_rose(risen_hours_ago, *, times=1, throughout=False):
    """Up for a day, then down for half an hour and up again, so many times; the last rise is so long ago."""
    record, start = None, NOW - timedelta(hours=risen_hours_ago + times + 24)
    record = seen(record, start, up=True)
    for number in range(times):
        down = NOW - timedelta(hours=risen_hours_ago + 0.5 + (times - 1 - number))
        record = seen(record, down, up=False)
        record = seen(record, down + timedelta(hours=0.5), up=True)
    return seen(record, NOW, up=True, throughout=throughout)


def rate(record, bucket=None):
    records = {} if record is None else {NEXT: record}
    buckets = None if bucket is None else {NEXT.instance_type: bucket}
    return float(RULE.outlook([NEXT], records, NOW, buckets).rate_per_hour[0])


def test_of_a_pool_that_nobody_watched_the_advisor_tells():
    assert rate(None, bucket=0) == pytest.approx(-math.log1p(-0.025) / 720)
    assert rate(None, bucket=0) < rate(None, bucket=1) < rate(None, bucket=4)


def test_calm_and_stormy_pools_differ_by_three_orders_of_magnitude():
    assert rate(fell_and_rose(0.1, times=5)) > 1000 * rate(None, bucket=0)


def test_the_longer_it_is_up_the_safer_it_is():
    rates = [rate(fell_and_rose(hours)) for hours in (0.1, 0.5, 1, 3, 12, 48, 100, 300, 600)]
    assert rates == sorted(rates, reverse=True)


def test_the_more_often_it_fell_the_worse():
    assert rate(fell_and_rose(0.5, times=1)) < rate(fell_and_rose(0.5, times=4))


def test_the_storm_passes_and_leaves_a_climate():
    """A month and a half later one fall counts as one fall."""
    assert rate(fell_and_rose(24 * 45), bucket=0) < 2 / 720


def test_peers_that_are_up_make_it_safer():
    up, down = seen(None, NOW, up=True), seen(None, NOW, up=False)
    own = fell_and_rose(0.5)
    with_up = RULE.outlook([NEXT], {NEXT: own, FAR: up}, NOW).rate_per_hour[0]
    with_down = RULE.outlook([NEXT], {NEXT: own, FAR: down}, NOW).rate_per_hour[0]
    assert with_up < with_down


def test_a_peer_that_was_seen_long_ago_tells_nothing():
    own, old = fell_and_rose(0.5), seen(None, after(-2), up=False)
    told, alone = (RULE.outlook([NEXT], known, NOW) for known in ({NEXT: own, FAR: old}, {NEXT: own}))
    assert told.rate_per_hour == alone.rate_per_hour


def test_risk_grows_with_time_and_is_a_probability():
    rates = np.array([0.0, 1e-5, 0.1, 3.0, np.nan])
    short, long = hazard.risk(rates, 1.0), hazard.risk(rates, 6.0)
    assert (short[:4] <= long[:4]).all()
    assert long[0] == 0
    assert long[3] < 1
    assert np.isnan(long[4])


def test_a_risk_that_is_no_number_is_not_told():
    known = {HOME.id: forecast.Prospect(0.1, 0.451188), NEXT.id: forecast.Prospect(math.nan, math.nan)}
    told = forecast.with_risks([pool(HOME), pool(NEXT), pool(FAR)], known)
    assert [one.risk_6h for one in told] == [Decimal("0.451188"), None, None]


def test_of_a_pool_of_an_unknown_type_some_doubt_is_left_until_it_was_watched():
    watched = seen(seen(None, after(-48), up=True), NOW, up=True, throughout=True)
    assert rate(None) > 10 * rate(watched)
    assert float(RULE.outlook([NEXT], {}, NOW).risk_6h[0]) < 0.30  # the guard-rail lets a calm market be used


def test_only_hours_that_were_watched_lessen_that_doubt():
    long_ago = seen(None, after(-48), up=True)
    looked_at, watched = (seen(long_ago, NOW, up=True, throughout=ran) for ran in (False, True))
    assert rate(long_ago) > 10 * rate(watched)
    assert rate(looked_at) > 10 * rate(watched)  # two looks two days apart do not exclude a fall between them


# What is not excluded


def doubt(record, bucket=None):
    records = {} if record is None else {NEXT: record}
    buckets = None if bucket is None else {NEXT.instance_type: bucket}
    return float(RULE.outlook([NEXT], records, NOW, buckets).doubt_per_hour[0])


def ran_for(hours):
    return seen(seen(None, after(-hours), up=True), NOW, up=True, throughout=True)


def test_the_longer_a_pool_was_watched_the_less_is_left_of_the_doubt():
    doubts = [doubt(record) for record in (None, *map(ran_for, (1, 10, 100, 500)))]
    assert doubts == sorted(doubts, reverse=True)
    assert doubts[3] == pytest.approx(3 / 103 - rate(ran_for(100)))


def test_other_zones_of_its_type_prove_a_pool_until_one_of_them_falls():
    def worst(records):
        outlook = RULE.outlook([NEXT], records, NOW)
        return float(outlook.rate_per_hour[0] + outlook.doubt_per_hour[0])

    assert worst({FAR: ran_for(100)}) == pytest.approx(3 / 103)
    assert worst({FAR: ran_for(60), NEXT: ran_for(40)}) == pytest.approx(3 / 103)
    assert worst({FAR: ran_for(60), HOME: fell_and_rose(100)}) == pytest.approx(1)
    assert worst({Pool("c5.large", NEXT.az): ran_for(100)}) == pytest.approx(1)


def unwatched(records):
    known = forecast.prospects([NEXT], RULE.outlook([NEXT], records, NOW))
    return known[NEXT.id], forecast.unwatched(known)[NEXT.id]


def test_where_nobody_looks_the_doubt_is_one_interruption_and_not_one_an_hour():
    """Until it is forgotten what came of it, or, of a type that fell, for as long as the pool is expected to last."""
    watched, told = unwatched({})
    assert (watched.type_fell, told.doubt_per_hour) == (False, pytest.approx(1 / 720))
    watched, told = unwatched({FAR: fell_and_rose(1)})
    assert watched.type_fell
    lasting = -math.expm1(-watched.rate_per_hour * 72) / watched.rate_per_hour
    assert told.doubt_per_hour == pytest.approx(1 / lasting)
    assert told.rate_per_hour == watched.rate_per_hour


def test_what_is_proven_is_doubted_no_more_for_that():
    watched, told = unwatched({NEXT: ran_for(5000)})
    assert told.doubt_per_hour == watched.doubt_per_hour < 1 / 720


def test_an_advisor_vouches_for_a_type_until_it_is_seen_to_fall():
    assert doubt(None, bucket=2) == doubt(ran_for(5), bucket=2) == 0
    assert doubt(fell_and_rose(20), bucket=2) > 0


def test_a_pool_that_fell_every_other_hour_is_not_proven_by_one_long_day():
    often, once = (fell_and_rose(60, times=times, throughout=True) for times in (8, 1))
    assert rate(often) + doubt(often) > rate(once) + doubt(once)


# Features


def test_a_region_that_nobody_knows_has_no_hours_of_work():
    assert all(math.isnan(told) for told in features.of_clock("xx-moon-1", NOW))


def test_the_weekend_begins_where_the_region_is():
    saturday = NOW + timedelta(days=(5 - NOW.weekday()) % 7, hours=-10)  # 02:00 UTC
    assert features.of_clock("eu-west-1", saturday)[2] == 1.0
    assert features.of_clock("us-west-2", saturday)[2] == 0.0


def test_unknown_features_count_as_usual():
    unknown = np.full((1, len(features.NAMES)), np.nan)
    usual = np.array([[term.usual for term in RULE.terms]])
    assert RULE.weather(unknown) == RULE.weather(usual)


# The file

TEXT = json.dumps(
    {
        "name": "x",
        "step_seconds": 900,
        "intercept": -3.0,
        "terms": {name: {"coefficient": 0.1, "usual": 0.0} for name in features.NAMES},
        "monthly": {"0": 0.02, "unknown": 0.1},
        "calm_months": 1,
        "fade_from_hours": 48,
        "fade_hours": 24,
        "storm_share": 0.1,
        "calm_after_hours": 6,
    }
)


def test_a_file_is_read():
    assert hazard.parse(TEXT).monthly == {0: 0.02, None: 0.1}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        TEXT.replace("-3.0", "NaN"),
        TEXT.replace("-3.0", "Infinity"),
        TEXT.replace("-3.0", '"3"'),
        TEXT.replace("-3.0", "true"),
        TEXT.replace("weekend", "weekday"),
        TEXT.replace("900", "0"),
        TEXT.replace("900", "-5"),
        TEXT.replace("0.02", "1.0"),
        TEXT.replace("unknown", "5"),
    ],
)
def test_a_broken_file_is_refused(text):
    with pytest.raises(InvalidInput):
        hazard.parse(text)
