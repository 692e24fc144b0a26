"""422 over HTTP: each member of a configuration tells what it takes, in our words and by its own bounds."""

from __future__ import annotations

import re
from typing import Any

import pytest

from spotguard.wire.client_configuration import ConfigurationChange
from tests.api.world import Machine, Tenant

LIBRARY = re.compile(
    r"Input|String should|should|valid (integer|dictionary|string|list|boolean|decimal)|discriminator|tag\b|"
    r"not permitted|required|validation|pattern|\^|\\d"
)
WORST: tuple[Any, ...] = (
    -1,
    10**12,
    0.123456789,
    1e300,
    True,
    "x",
    "30%",
    "",
    [],
    [1],
    ["x"],
    {},
    {"driver": "x"},
)
MEMBERS = {
    str(name): schema
    for name, schema in ConfigurationChange.model_json_schema(by_alias=True)["properties"].items()
}
ROUTES: tuple[dict[str, Any], ...] = (
    {"driver": "target-group", "arn": "x", "port": 0, "healthSeconds": 0},
    {"driver": "elastic-ip", "allocationId": "x"},
    {"driver": "dns", "zoneId": "/hostedzone/Z1", "name": "x" * 300, "ttlSeconds": "1", "address": "both"},
    {"driver": "private-ip", "address": 1},
    {"driver": "script", "expectedSeconds": -1, "nosuch": 1},
)


def told(acme: Tenant, web: Machine, **change: Any) -> list[str]:
    """The sentences of a refusal; none when it was taken, or refused by a rule."""
    reply = acme.configure(web, **change)
    assert reply.status in (200, 409, 422)
    return [one["detail"] for one in reply.body["errors"]] if reply.status == 422 else []


@pytest.mark.parametrize("member", MEMBERS)
def test_whatever_is_given_it_is_refused_in_our_words(acme: Tenant, web: Machine, member: str):
    sentences = [one for worst in WORST for one in told(acme, web, **{member: worst})]
    assert sentences, "something is refused"
    assert [one for one in sentences if LIBRARY.search(one)] == []


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: str(route["driver"]))
def test_so_is_each_member_of_a_route(acme: Tenant, web: Machine, route: dict[str, Any]):
    sentences = told(acme, web, traffic=route)
    assert sentences
    assert [one for one in sentences if LIBRARY.search(one)] == []


def test_the_bounds_that_are_told_are_those_that_hold(acme: Tenant, web: Machine):
    for member, schema in MEMBERS.items():
        number = next(
            (one for one in schema.get("anyOf", ()) if one.get("type") in ("integer", "number")), None
        )
        if number is None:
            continue
        (sentence,) = told(acme, web, **{member: 10**12})
        numbers = [float(one) for one in re.findall(r"\d+(?:\.\d+)?", sentence)]
        low = number.get("minimum", number.get("exclusiveMinimum"))
        high = number.get("maximum", number.get("exclusiveMaximum"))
        assert numbers[:2] == [low, high], (member, sentence)


def test_a_share_says_what_it_means(acme: Tenant, web: Machine):
    assert told(acme, web, riskThreshold=30) == [
        "takes a number from 0 to 1, with at most 4 decimals: 0.3 means 30 %"
    ]
    assert told(acme, web, allowedAzs="us-east-1a") == ['takes a JSON list, such as ["…", "…"]']
    assert told(acme, web, riskTreshold=0.3) == ["there is nothing of this name here: see how it is spelled"]
