"""Pools, prices, times, ids: what comes from outside is parsed once, or refused."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotguard.domain.clock import parse_time, rfc3339
from spotguard.domain.errors import InvalidInput
from spotguard.domain.ids import is_instance_id
from spotguard.domain.instances import parse_mode
from spotguard.domain.money import parse_price
from spotguard.domain.pools import Pool, canonical_product, parse_pool_id, region_of
from spotguard.domain.signals import SignalType, parse_signal_type


@pytest.mark.parametrize(
    ("text", "pool"),
    [
        ("t3.medium.ap-south-1a", Pool("t3.medium", "ap-south-1a")),
        ("t3.medium.ap-south-1a:windows", Pool("t3.medium", "ap-south-1a", "Windows")),
        ("u-6tb1.112xlarge.us-east-1f", Pool("u-6tb1.112xlarge", "us-east-1f")),
        ("m7i-flex.large.us-gov-west-1b", Pool("m7i-flex.large", "us-gov-west-1b")),
    ],
)
def test_a_pool_id_is_read_as_it_is_written(text, pool):
    assert parse_pool_id(text) == pool
    assert pool.id == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "t3.medium",
        "t3.medium.ap-south-1",
        "t3.medium.ap-south-1a:beos",
        "../x.y.us-east-1a",
        "T3.m.us-east-1a",
        "t3.medium.us-east-1a\n",
    ],
)
def test_what_is_no_pool_id_is_refused(text):
    with pytest.raises(InvalidInput):
        parse_pool_id(text)


def test_regions_of_zones_and_local_zones():
    assert region_of("us-east-1a") == "us-east-1"
    assert region_of("us-west-2-lax-1a") == "us-west-2"
    with pytest.raises(InvalidInput):
        region_of("us-east-1")


def test_vpc_products_are_the_same_product():
    assert canonical_product("Linux/UNIX (Amazon VPC)") == "Linux/UNIX"
    with pytest.raises(InvalidInput):
        canonical_product("BeOS")


@pytest.mark.parametrize(
    "text",
    ["NaN", "Infinity", "-0.01", "0", "1e308", "0.0000001", "", "0x1", "1,5", None, True, [1], "1" * 5000],
)
def test_an_absurd_price_is_refused(text):
    with pytest.raises(InvalidInput):
        parse_price(text)


@given(st.decimals(min_value="0.000001", max_value="999", places=6))
def test_a_price_of_six_decimals_is_kept_exactly(price):
    assert parse_price(str(price)) == price


def test_a_float_price_is_read_as_it_was_written():
    assert parse_price(0.0312) == Decimal("0.031200")


@pytest.mark.parametrize(
    "text",
    [
        "2025-11-23T10:00:00",
        "yesterday",
        "1970-01-01T00:00:00Z",
        "9999-12-31T00:00:00Z",
        "",
        "2025-13-01T00:00:00Z",
    ],
)
def test_a_time_without_zone_or_out_of_range_is_refused(text):
    with pytest.raises(InvalidInput):
        parse_time(text)


def test_times_are_given_in_utc_with_microseconds():
    assert parse_time("2025-11-23T12:00:00+02:00") == datetime(2025, 11, 23, 10, tzinfo=UTC)
    assert rfc3339(parse_time("2025-11-23T10:00:00Z")) == "2025-11-23T10:00:00.000000Z"


@pytest.mark.parametrize(
    ("text", "real"),
    [
        ("i-1234567890abcdef0", True),
        ("i-12345678", True),
        ("i-123", False),
        ("i-oldinstance", False),
        ("i-1234567890ABCDEF0", False),
        ("pending-1", False),
        ("i-12345678\n", False),
    ],
)
def test_only_ids_that_ec2_gives_are_instance_ids(text, real):
    assert is_instance_id(text) is real


def test_older_spellings_end_at_the_edge():
    assert (
        parse_signal_type("termination-notice") is parse_signal_type("termination") is SignalType.TERMINATION
    )
    assert parse_signal_type("rebalance") is SignalType.REBALANCE
    assert parse_mode("on-demand") == "ondemand"
    for parse in (parse_signal_type, parse_mode):
        with pytest.raises(InvalidInput):
            parse("apocalypse")
