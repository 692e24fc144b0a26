"""What is known of each pool: what is unknown stays unknown, what is forbidden says why."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotguard.domain.decisions import PoolAssessment
from spotguard.domain.pools import Pool
from spotguard.engine.assessment import Allowance, PoolFacts, assess
from tests.engine.market import BIGGER, FAR, HOME, NEXT, NOW, prices

OWN_TYPE_ANYWHERE = Allowance("m6i.large", (), ())


def facts(which=HOME, price="0.040", priced=30, struck=None, quarantine=None):
    ago = {"priced_at": priced, "struck_at": struck}
    times = {name: None if s is None else NOW - timedelta(seconds=s) for name, s in ago.items()}
    until = None if quarantine is None else NOW + timedelta(seconds=quarantine)
    return PoolFacts(which, None if price is None else Decimal(price), quarantined_until=until, **times)


def of(*pools, allowance=OWN_TYPE_ANYWHERE, risks=None):
    return assess(pools, allowance, NOW, risks)


def test_a_pool_that_never_did_us_harm():
    assert of(facts()) == [PoolAssessment(HOME, Decimal("0.040"), 30.0, None, None, None, True, "allowed")]


def test_a_pool_that_interrupted_us_ten_minutes_ago():
    [pool] = of(facts(struck=600, quarantine=300))
    assert (pool.up_seconds, pool.quarantined_until) == (600.0, NOW + timedelta(seconds=300))
    assert pool.because == "in quarantine until 12:05 UTC: it refused or interrupted us"


@pytest.mark.parametrize("seconds", [0, -1, -86_400])
def test_a_quarantine_that_is_over_is_none(seconds):
    [pool] = of(facts(struck=7_200, quarantine=seconds))
    assert (pool.quarantined_until, pool.because) == (None, "allowed")


def test_a_pool_without_a_price_says_so():
    [pool] = of(facts(price=None, priced=None))
    assert (pool.usd_per_hour, pool.age_seconds) == (None, None)
    assert pool.because == "no price within the last hour: never chosen"


def test_the_risk_is_unknown_until_somebody_measures_it():
    assert of(facts())[0].risk_6h is None
    assert of(facts(), risks={HOME.id: Decimal("0.12")})[0].risk_6h == Decimal("0.12")
    assert of(facts(), risks={NEXT.id: Decimal("0.12")})[0].risk_6h is None


ALLOWED = [
    (OWN_TYPE_ANYWHERE, NEXT, None),
    (OWN_TYPE_ANYWHERE, BIGGER, "m6i.xlarge is not among the allowed instance types"),
    (Allowance("m6i.large", ("m6i.xlarge",), ()), BIGGER, None),
    (Allowance("m6i.large", ("m6i.xlarge",), ()), NEXT, "m6i.large is not among the allowed instance types"),
    (Allowance("m6i.large", (), ("eu-west-1a",)), HOME, None),
    (Allowance("m6i.large", (), ("eu-west-1a",)), NEXT, "eu-west-1b is not among the allowed zones"),
]


@pytest.mark.parametrize(("allowance", "pool", "why"), ALLOWED)
def test_what_the_user_did_not_allow_is_refused_with_the_reason(allowance, pool, why):
    [assessed] = of(facts(pool), allowance=allowance)
    assert (assessed.allowed, assessed.because) == (why is None, why or "allowed")


def test_what_is_not_allowed_says_so_before_anything_else():
    [pool] = of(facts(BIGGER, price=None, quarantine=60))
    assert pool.because == "m6i.xlarge is not among the allowed instance types"


def test_the_cheapest_comes_first_and_the_unpriced_last():
    found = of(facts(HOME, None), facts(NEXT, "0.050"), facts(FAR, "0.040"))
    assert [pool.pool for pool in found] == [FAR, NEXT, HOME]


pools = st.builds(
    facts,
    st.sampled_from([Pool("m6i.large", f"eu-west-1{z}") for z in "abcdef"]),
    st.none() | prices.map(str),
    struck=st.none() | st.integers(0, 9_000),
    quarantine=st.none() | st.integers(-9_000, 9_000),
)


@given(st.lists(pools, max_size=6, unique_by=lambda f: f.pool.id))
def test_every_pool_is_assessed_once_in_one_order(market):
    found = of(*market)
    assert sorted(a.pool for a in found) == sorted(f.pool for f in market)
    assert of(*market[::-1]) == found
    priced = [a.usd_per_hour for a in found if a.usd_per_hour is not None]
    assert priced == sorted(priced)
    assert [a.usd_per_hour for a in found[len(priced) :]] == [None] * (len(found) - len(priced))
    assert all(a.quarantined_until is None or a.quarantined_until > NOW for a in found)
