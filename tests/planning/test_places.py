"""Where a standby and an emergency look for capacity: the cheapest safe pool, then on demand (B6, B9)."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import dropwhile, takewhile

from hypothesis import given
from hypothesis import strategies as st

from spotguard.domain.decisions import PoolAssessment
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.planning.standby import emergency_places, safe_pools, standby_places

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
A, B, C = (Pool("m6i.large", f"eu-west-1{letter}") for letter in "abc")
BIGGER = Pool("m6i.xlarge", "eu-west-1b")
ONDEMAND = {"m6i.large": Decimal("0.107"), "m6i.xlarge": Decimal("0.214")}


LIMIT = Decimal("0.30")


def assessed(pool, price="0.040", *, allowed=True, quarantine=None, risk=None):
    usd = None if price is None else Decimal(price)
    until = None if quarantine is None else NOW + quarantine
    told = None if risk is None else Decimal(risk)
    return PoolAssessment(
        pool, usd, 30.0, None, told, until, allowed, "allowed" if allowed else "not allowed"
    )


def for_standby(*pools, primary=A, mode=Mode.SPOT):
    return standby_places(
        pools, primary=primary, primary_mode=mode, ondemand=ONDEMAND, now=NOW, risk_limit=LIMIT
    )


def for_emergency(*pools, only_az=None):
    return emergency_places(pools, present=A, ondemand=ONDEMAND, now=NOW, only_az=only_az, risk_limit=LIMIT)


def where(places):
    return [f"{place.mode} {place.pool.instance_type} {place.pool.az[-1]}" for place in places]


def test_a_standby_looks_in_safe_pools_by_price_then_on_demand_and_in_the_primarys_zone_last():
    found = for_standby(assessed(A, "0.030"), assessed(B, "0.050"), assessed(C, "0.040"))
    assert where(found) == [
        "spot m6i.large c",
        "spot m6i.large b",
        "ondemand m6i.large b",
        "ondemand m6i.large c",
        "ondemand m6i.large a",
    ]


def test_a_pool_above_the_risk_limit_comes_after_the_calm_ones_and_before_on_demand():
    for places in (for_standby, for_emergency):
        cheap, calm = assessed(B, "0.030", risk="0.72"), assessed(C, "0.040", risk="0.30")
        spot, rest = where(places(cheap, calm))[:2], where(places(cheap, calm))[2:]
        assert spot == ["spot m6i.large c", "spot m6i.large b"]
        assert all(place.startswith("ondemand") for place in rest)
        assert where(places(cheap, assessed(C, "0.040")))[0] == "spot m6i.large c", "of unknown risk"
        assert where(places(cheap, assessed(C, "0.040", risk="0.9")))[0] == "spot m6i.large b", "by price"


def test_an_emergency_looks_in_safe_pools_by_price_then_on_demand_in_its_own_zone_first():
    """B9. Its own pool, which fails just now, only when everything else has refused."""
    found = for_emergency(assessed(A, "0.030"), assessed(B, "0.050"), assessed(C, "0.040"))
    assert where(found) == [
        "spot m6i.large c",
        "spot m6i.large b",
        "ondemand m6i.large a",
        "ondemand m6i.large b",
        "ondemand m6i.large c",
        "spot m6i.large a",
    ]


def test_a_volume_binds_the_search_to_its_zone():
    market = (assessed(A, "0.030"), assessed(B, "0.050"), assessed(BIGGER, "0.060"))
    assert where(for_emergency(*market, only_az=A.az)) == ["ondemand m6i.large a", "spot m6i.large a"]


UNSAFE = (assessed(B, quarantine=timedelta(minutes=15)), assessed(C, allowed=False), assessed(BIGGER, None))


def test_a_pool_in_quarantine_not_allowed_or_without_a_price_is_no_place_for_a_standby():
    """B6."""
    assert {place.mode for place in for_standby(*UNSAFE)} == {Mode.ONDEMAND}


def test_an_emergency_tries_a_pool_in_quarantine_only_after_on_demand_and_never_a_forbidden_one():
    """No workload is ever lost: where even on-demand refuses, a doubtful pool is better than none."""
    *before, last = for_emergency(*UNSAFE)
    assert {place.mode for place in before} == {Mode.ONDEMAND}
    assert (last.pool, last.mode) == (B, Mode.SPOT)


def test_a_quarantine_that_is_over_is_none():
    assert where(for_standby(assessed(B, quarantine=timedelta(0))))[0] == "spot m6i.large b"


def test_if_no_pool_is_left_there_is_on_demand():
    """B6: if none is left, on-demand; even where no pool at all is known."""
    assert where(for_standby()) == ["ondemand m6i.large a"]
    assert where(for_emergency()) == ["ondemand m6i.large a"]


def test_a_primary_on_demand_leaves_its_zones_spot_pool_to_the_standby():
    assert where(for_standby(assessed(A), mode=Mode.ONDEMAND))[0] == "spot m6i.large a"


def test_a_standby_does_not_pay_the_on_demand_price_for_spot_and_an_emergency_does_not_mind():
    dear = (assessed(B, "0.107"), assessed(C, "0.200"))
    assert "spot" not in " ".join(where(for_standby(*dear)))
    assert where(for_emergency(*dear))[:2] == ["spot m6i.large b", "spot m6i.large c"]


def test_on_demand_the_own_type_comes_before_a_foreign_one_however_cheap():
    smaller = Pool("m6i.medium", "eu-west-1c")
    found = for_standby(assessed(smaller, None), assessed(B, None), assessed(BIGGER, None))
    assert [place.pool for place in found] == [B, A, BIGGER, smaller]  # smaller: no price is known


pools = st.builds(
    assessed,
    st.sampled_from(
        [Pool(kind, f"eu-west-1{z}") for kind in ("m6i.large", "m6i.xlarge", "c7g.large") for z in "abc"]
    ),
    st.none() | st.decimals("0.001", "0.3", places=6).map(str),
    allowed=st.booleans(),
    quarantine=st.none() | st.sampled_from([timedelta(seconds=-1), timedelta(0), timedelta(seconds=1)]),
)
markets = st.lists(pools, max_size=9, unique_by=lambda a: a.pool.id)


@given(markets, st.sampled_from([A, B, BIGGER]), st.sampled_from(Mode))
def test_safe_spot_by_price_then_on_demand_and_always_somewhere(market, primary, mode):
    safe = {a.pool.id for a in safe_pools(market, NOW)}
    for places in (
        standby_places(market, primary=primary, primary_mode=mode, ondemand=ONDEMAND, now=NOW),
        emergency_places(market, present=primary, ondemand=ONDEMAND, now=NOW),
    ):
        spot = list(takewhile(lambda place: place.mode is Mode.SPOT, places))
        rest = places[len(spot) :]
        assert {place.pool.id for place in spot} <= safe
        assert [p.usd_per_hour for p in spot] == sorted(p.usd_per_hour for p in spot)
        assert rest[0].mode is Mode.ONDEMAND
        assert len(set(places)) == len(places)
        if mode is Mode.SPOT:
            assert primary.id not in {place.pool.id for place in spot}


@given(markets, st.sampled_from(Mode))
def test_a_standby_never_stands_in_its_primarys_own_pool_or_an_unsafe_one(market, mode):
    places = for_standby(*market, mode=mode)
    spot = {place.pool.id for place in places if place.mode is Mode.SPOT}
    assert spot <= {a.pool.id for a in safe_pools(market, NOW)}
    assert mode is Mode.ONDEMAND or A.id not in spot
    first = [place.mode for place in places].index(Mode.ONDEMAND)
    assert {place.mode for place in places[first:]} == {Mode.ONDEMAND}


@given(markets)
def test_what_an_emergency_tries_last_is_allowed_and_priced(market):
    places = for_emergency(*market)
    doubtful = list(dropwhile(lambda place: place.mode is Mode.SPOT, places))
    allowed = {a.pool.id for a in market if a.allowed and a.usd_per_hour is not None}
    assert {place.pool.id for place in doubtful if place.mode is Mode.SPOT} <= allowed
    assert {place.pool.id for place in places if place.mode is Mode.SPOT} == allowed


@given(markets)
def test_the_order_of_what_is_known_decides_nothing(market):
    assert for_standby(*market) == for_standby(*market[::-1])
    assert for_emergency(*market) == for_emergency(*market[::-1])


@given(markets)
def test_an_emergency_has_at_least_the_places_of_a_standby(market):
    """B13: what is refused to a standby for its price is never refused to a rescue."""
    assert set(for_standby(*market)) <= set(for_emergency(*market))
