"""What points at an instance: after a move it points at nothing, unless something is done about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class PointerKind(StrEnum):
    """Where something may name an instance or its address."""

    ALARM = "alarm"
    TARGET_GROUP = "target-group"
    CLASSIC_LOAD_BALANCER = "classic-load-balancer"
    SCALING_GROUP = "scaling-group"
    STACK = "stack"
    GROUP_RULE = "security-group-rule"
    ELASTIC_IP = "elastic-ip"
    DNS_RECORD = "dns-record"
    ROUTE = "route"


@dataclass(frozen=True)
class Pointer:
    """One thing that names it. `how`: by which words."""

    kind: PointerKind
    name: str
    how: str


@dataclass(frozen=True)
class Pointers:
    """What was found; and by kind why it could not be looked at."""

    found: tuple[Pointer, ...]
    not_looked_at: Mapping[PointerKind, str]


def nothing_looked_at(because: str) -> Pointers:
    return Pointers((), dict.fromkeys(PointerKind, because))


ADVICE: Mapping[PointerKind, str] = {
    PointerKind.ALARM: "it goes on watching the old instance, and one that stops, reboots or recovers acts on it: "
    "make it anew for the new instance id, or watch a metric of the workload's own",
    PointerKind.TARGET_GROUP: "register every instance of the agent in it, the gate's health endpoint as its check",
    PointerKind.CLASSIC_LOAD_BALANCER: "register the new instance in it after a move, or use a target group",
    PointerKind.SCALING_GROUP: "detach the instance from it: it replaces its members itself",
    PointerKind.STACK: "its template goes on describing the old instance: expect drift",
    PointerKind.GROUP_RULE: "name the security group of the workload as its source instead of the address",
    PointerKind.ELASTIC_IP: "it has to be moved with the workload",
    PointerKind.DNS_RECORD: "it has to follow the workload; its TTL is how long clients look at the old address",
    PointerKind.ROUTE: "traffic of its subnets goes through this instance: it is a gateway, and a move interrupts them",
}
