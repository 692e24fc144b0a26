"""Routes: by which of its names or addresses a workload is reached, and so what has to be moved when it moves."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from ipaddress import AddressValueError, IPv4Address
from typing import Any, ClassVar

from spotguard.domain.errors import InvalidInput
from spotguard.domain.pools import region_of

LONGEST_SECONDS = 3600


class Driver(StrEnum):
    """`agents.traffic.driver`."""

    TARGET_GROUP = "target-group"
    ELASTIC_IP = "elastic-ip"
    DNS = "dns"
    PRIVATE_IP = "private-ip"
    SCRIPT = "script"


class DnsAddress(StrEnum):
    """Which address of the instance the record names."""

    PRIVATE = "private"
    PUBLIC = "public"


@dataclass(frozen=True)
class TargetGroup:
    """A load balancer's target group of type instance. `health_seconds`: its check interval × healthy threshold."""

    driver: ClassVar = Driver.TARGET_GROUP
    arn: str
    port: int
    health_seconds: int = 150  # ELB's own defaults: 30 s × 5


@dataclass(frozen=True)
class ElasticIp:
    """An Elastic IP address of the account."""

    driver: ClassVar = Driver.ELASTIC_IP
    allocation_id: str


@dataclass(frozen=True)
class DnsRecord:
    """An A record in a Route 53 hosted zone; it is written whole, with this time to live."""

    driver: ClassVar = Driver.DNS
    zone_id: str
    name: str
    ttl_seconds: int = 60
    address: DnsAddress = DnsAddress.PRIVATE


@dataclass(frozen=True)
class PrivateIp:
    """A secondary private address of one subnet, hence of one zone."""

    driver: ClassVar = Driver.PRIVATE_IP
    address: str


@dataclass(frozen=True)
class Script:
    """The user's own commands on the instance, named in the agent's settings and nowhere else."""

    driver: ClassVar = Driver.SCRIPT
    expected_seconds: int = 15


Route = TargetGroup | ElasticIp | DnsRecord | PrivateIp | Script

ARN = re.compile(
    r"arn:aws[a-z-]{0,20}:elasticloadbalancing:([a-z0-9-]{1,32}):\d{12}:targetgroup/[A-Za-z0-9-]{1,32}/[0-9a-f]{1,32}"
)
ALLOCATION = re.compile(r"eipalloc-[0-9a-f]{8}(?:[0-9a-f]{9})?")
ZONE = re.compile(r"[A-Z0-9]{1,32}")
HOST_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62}\.)+[a-z0-9-]{1,63}\.?")


def route_of(told: Mapping[str, Any]) -> Route:
    """Read what is stored or sent; `InvalidInput` says which field is wrong."""
    fields = {name: value for name, value in told.items() if name != "driver"}
    try:
        make = _MAKE[Driver(str(told.get("driver")))]
    except ValueError as error:
        raise InvalidInput(f"driver: none of {', '.join(Driver)}") from error
    try:
        return make(**fields)
    except TypeError as error:
        raise InvalidInput(f"a route by {told['driver']} has other fields: {error}") from error


def told_of(route: Route) -> dict[str, Any]:
    """As it is stored and sent: the inverse of `route_of`."""
    return {"driver": route.driver.value, **asdict(route)}


def region_of_route(route: Route) -> str | None:
    """The region that the route itself names."""
    found = ARN.fullmatch(route.arn) if isinstance(route, TargetGroup) else None
    return None if found is None else found[1]


def misfit(route: Route, az: str | None, allowed_azs: list[str]) -> str | None:
    """Why an agent whose workload is in `az`, and may go to `allowed_azs` (empty: all), cannot be reached so."""
    if az is None:
        return None
    named = region_of_route(route)
    if named is not None and named != region_of(az):
        return f"this target group lies in {named}, the workload in {region_of(az)}"
    if isinstance(route, PrivateIp) and allowed_azs != [az]:
        return f"a private address stays in its zone: set allowedAzs to [{az!r}] as well"
    return None


def _text(told: object, pattern: re.Pattern[str], field: str, what: str) -> str:
    if not isinstance(told, str) or pattern.fullmatch(told) is None:
        raise InvalidInput(f"{field}: {what}")
    return told


def _number(told: object, lowest: int, highest: int, field: str) -> int:
    if not isinstance(told, int) or isinstance(told, bool) or not lowest <= told <= highest:
        raise InvalidInput(f"{field}: a whole number from {lowest} to {highest}")
    return told


def _target_group(arn: object, port: object, health_seconds: object = TargetGroup.health_seconds) -> Route:
    return TargetGroup(
        _text(arn, ARN, "arn", "the ARN of a target group"),
        _number(port, 1, 65535, "port"),
        _number(health_seconds, 1, LONGEST_SECONDS, "health_seconds"),
    )


def _elastic_ip(allocation_id: object) -> Route:
    return ElasticIp(_text(allocation_id, ALLOCATION, "allocation_id", "eipalloc- and 8 or 17 digits"))


def _dns(
    zone_id: object,
    name: object,
    ttl_seconds: object = DnsRecord.ttl_seconds,
    address: object = DnsRecord.address,
) -> Route:
    if address not in set(DnsAddress):
        raise InvalidInput("address: private or public")
    return DnsRecord(
        _text(zone_id, ZONE, "zone_id", "the id of a hosted zone, without /hostedzone/"),
        _text(name, HOST_NAME, "name", "a host name in lower case, with its domain"),
        _number(ttl_seconds, 1, LONGEST_SECONDS, "ttl_seconds"),
        DnsAddress(str(address)),
    )


def _private_ip(address: object) -> Route:
    try:
        parsed = IPv4Address(str(address))
    except AddressValueError as error:
        raise InvalidInput("address: an IPv4 address") from error
    if not parsed.is_private or parsed.is_loopback or parsed.is_link_local or parsed.is_unspecified:
        raise InvalidInput("address: a private IPv4 address of a subnet")
    return PrivateIp(str(parsed))


def _script(expected_seconds: object = Script.expected_seconds) -> Route:
    return Script(_number(expected_seconds, 0, LONGEST_SECONDS, "expected_seconds"))


_MAKE: Mapping[Driver, Callable[..., Route]] = {
    Driver.TARGET_GROUP: _target_group,
    Driver.ELASTIC_IP: _elastic_ip,
    Driver.DNS: _dns,
    Driver.PRIVATE_IP: _private_ip,
    Driver.SCRIPT: _script,
}
