"""Routes: what is stored is read again; what comes from outside is refused with the field that is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotguard.domain.errors import InvalidInput
from spotguard.domain.traffic import (
    DnsAddress,
    DnsRecord,
    Driver,
    ElasticIp,
    PrivateIp,
    Script,
    TargetGroup,
    misfit,
    route_of,
    told_of,
)

ARN = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/0123456789abcdef"
GOOD = (
    TargetGroup(ARN, 8080, 20),
    ElasticIp("eipalloc-0123456789abcdef0"),
    DnsRecord("Z0123", "web.example.org", 30, DnsAddress.PUBLIC),
    PrivateIp("10.1.2.3"),
    Script(40),
)


@pytest.mark.parametrize("route", GOOD, ids=lambda route: route.driver.value)
def test_a_route_is_told_and_read_again(route):
    assert route_of(told_of(route)) == route
    assert told_of(route)["driver"] == route.driver.value


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({}, "driver"),
        ({"driver": "pigeon"}, "driver"),
        ({"driver": "target-group", "arn": ARN + "\n", "port": 80}, "arn"),
        ({"driver": "target-group", "arn": ARN, "port": 0}, "port"),
        ({"driver": "target-group", "arn": ARN, "port": True}, "port"),
        ({"driver": "target-group", "arn": ARN, "port": 80, "health_seconds": 0}, "health_seconds"),
        ({"driver": "elastic-ip", "allocation_id": "1.2.3.4"}, "allocation_id"),
        ({"driver": "dns", "zone_id": "/hostedzone/Z1", "name": "web.example.org"}, "zone_id"),
        ({"driver": "dns", "zone_id": "Z1", "name": "web"}, "name"),
        ({"driver": "dns", "zone_id": "Z1", "name": "*.example.org"}, "name"),
        ({"driver": "dns", "zone_id": "Z1", "name": "web.example.org", "ttl_seconds": 0}, "ttl_seconds"),
        ({"driver": "dns", "zone_id": "Z1", "name": "web.example.org", "address": "both"}, "address"),
        ({"driver": "private-ip", "address": "8.8.8.8"}, "address"),
        ({"driver": "private-ip", "address": "127.0.0.1"}, "address"),
        ({"driver": "private-ip", "address": "169.254.169.254"}, "address"),
        ({"driver": "script", "expected_seconds": -1}, "expected_seconds"),
        ({"driver": "script", "command": ["rm"]}, "script"),
        ({"driver": "elastic-ip"}, "elastic-ip"),
    ],
)
def test_what_is_wrong_is_named(told, field):
    with pytest.raises(InvalidInput, match=field):
        route_of(told)


anything = st.dictionaries(
    st.sampled_from(["driver", "arn", "port", "zone_id", "name", "address", "allocation_id", "ttl_seconds"]),
    st.one_of(st.sampled_from([*Driver, ARN]), st.text(), st.integers(), st.none(), st.lists(st.text())),
)


@given(anything)
def test_anything_is_a_route_or_is_refused(told):
    try:
        route = route_of(told)
    except InvalidInput:
        return
    assert route_of(told_of(route)) == route


def test_a_target_group_lies_in_the_workloads_region_and_a_private_address_in_its_zone():
    group, address = GOOD[0], GOOD[3]
    assert misfit(group, "eu-west-1b", []) is None
    assert "eu-west-1" in misfit(group, "us-east-1a", [])
    assert misfit(address, "us-east-1a", ["us-east-1a"]) is None
    assert "allowedAzs" in misfit(address, "us-east-1a", [])
    assert misfit(address, "us-east-1a", ["us-east-1a", "us-east-1b"]) is not None
    assert misfit(address, None, []) is None
