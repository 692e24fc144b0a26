"""What moving the traffic adds to a move's downtime, by its route: shown before the move starts."""

from __future__ import annotations

from dataclasses import dataclass

from spotguard.domain.traffic import DnsRecord, Driver, ElasticIp, PrivateIp, Route, Script, TargetGroup

_REMAP_SECONDS = 15  # an assumption, the share that failures.md gives it: nobody promises how soon EC2 remaps
_PROPAGATION_SECONDS = 60  # Route 53 developer guide: changes generally reach all name servers within 60 s


@dataclass(frozen=True)
class TrafficCost:
    """Seconds after the gate has opened until clients reach it, at the most that is expected."""

    driver: Driver
    seconds: int
    because: str


def expected(route: Route) -> TrafficCost:
    return TrafficCost(route.driver, *_expected(route))


def _expected(route: Route) -> tuple[int, str]:
    match route:
        case TargetGroup():
            return route.health_seconds, f"a load balancer trusts it after {route.health_seconds} s of health"
        case ElasticIp():
            return _REMAP_SECONDS, "EC2 remaps the Elastic IP"
        case PrivateIp():
            return _REMAP_SECONDS, "EC2 remaps the private address"
        case DnsRecord():
            seconds = route.ttl_seconds + _PROPAGATION_SECONDS
            ttl = f"caches keep the old address for the record's time to live of {route.ttl_seconds} s"
            return seconds, f"name servers within {_PROPAGATION_SECONDS} s, and {ttl}"
        case Script():
            return route.expected_seconds, "the user's script, as its owner expects"


def why_unreachable(route: Route | None, az: str | None, target_az: str) -> str | None:
    """A workload that clients know by a private address cannot be reached in another zone."""
    if not isinstance(route, PrivateIp) or az == target_az:
        return None
    return f"the private address {route.address} lives in {az}: choose a pool there, or another route"
