"""Load balancing, Elastic IPs, records and private addresses of the simulated account, strict and in memory.

A target is healthy when it has answered its checks for a while; whether it answers, `answering` says: a harness that
runs workloads sets it. A change of a record takes its time to every name server. An ended instance keeps no address,
and stays a target that fails its checks until it is taken away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from spotguard.cloud.simulated.faults import Faults, Throttle
from spotguard.cloud.simulated.types import ACCOUNT_ID
from spotguard.cloud.simulated.world import World
from spotguard.domain.errors import NeedsPerson
from spotguard.domain.ids import InstanceId
from spotguard.domain.instances import InstanceState
from spotguard.domain.traffic import (
    DnsAddress,
    DnsRecord,
    Driver,
    ElasticIp,
    PrivateIp,
    Route,
    TargetGroup,
)
from spotguard.ports.traffic import Arrival, Endpoint, Handing, Reading

HEALTHY_AFTER = timedelta(seconds=10)  # checks every 5 s, healthy after two
PROPAGATION = timedelta(seconds=30)  # Route 53: generally within 60 s

Answering = Callable[[InstanceId], datetime | None]  # since when it answers its checks; None: it does not


class Order(NamedTuple):
    """Traffic was sent to an instance."""

    at: datetime
    driver: Driver
    instance_id: InstanceId


@dataclass
class _Record:
    """What name servers were told, newest last."""

    told: list[tuple[datetime, str]] = field(default_factory=list)
    ttl_seconds: int = 0


class SimulatedTraffic:
    """Implements `ports.traffic.Traffic`. Faults (of actions `announce`, `switch`, `withdraw` and `describe_traffic`)
    and throttling are the account's.
    """

    def __init__(self, world: World, throttle: Throttle, faults: Faults, region: str) -> None:
        self._world, self._throttle, self._faults, self._region = world, throttle, faults, region
        self.answering: Answering = self._runs_since
        self.orders: list[Order] = []
        self._addresses: dict[str, InstanceId | None] = {}
        self._groups: dict[str, dict[InstanceId, datetime]] = {}
        self._private: dict[str, tuple[str, InstanceId | None]] = {}  # zone and owner
        self._zones: dict[str, dict[str, _Record]] = {}
        self._changes: dict[str, datetime] = {}  # when they are everywhere

    # what the account's owner makes

    def add_address(self) -> ElasticIp:
        route = ElasticIp(self._world.new_id("eipalloc"))
        self._addresses[route.allocation_id] = None
        return route

    def add_target_group(self, port: int = 80) -> TargetGroup:
        name = f"targetgroup/web/{self._world.new_id('t')[2:]}"
        arn = f"arn:aws:elasticloadbalancing:{self._region}:{ACCOUNT_ID}:{name}"
        self._groups[arn] = {}
        return TargetGroup(arn, port, int(HEALTHY_AFTER.total_seconds()))

    def add_zone(self, name: str, ttl_seconds: int = 60) -> DnsRecord:
        zone = self._world.new_id("z")[2:].upper()
        self._zones[zone] = {}
        return DnsRecord(zone, name, ttl_seconds)

    def add_private_ip(self, address: str, az: str) -> PrivateIp:
        self._private[address] = (az, None)
        return PrivateIp(address)

    def detach(self, route: ElasticIp) -> None:
        """Somebody with rights in the account disassociates it."""
        self._addresses[route.allocation_id] = None

    # the port

    def announce(self, route: Route, to: Endpoint) -> None:
        with self._call("announce"):
            if isinstance(route, TargetGroup):
                self._register(route, to.instance_id)

    def switch(self, route: Route, handing: Handing) -> str | None:
        with self._call("switch"):
            receipt = self._switch(route, handing.to)
            self.orders.append(Order(self._world.now, route.driver, handing.to.instance_id))
        return receipt

    def read_back(self, route: Route, handing: Handing, receipt: str | None) -> Reading:
        with self._call("describe_traffic"):
            return self._read(route, handing.to, receipt)

    def withdraw(self, route: Route, instance_id: InstanceId) -> None:
        with self._call("withdraw"):
            if isinstance(route, TargetGroup):
                self._group(route).pop(instance_id, None)

    # what an observer sees

    def leads_to(self, route: Route) -> frozenset[InstanceId]:
        """The instances that clients are sent to now, caches and slow name servers included."""
        self._world.advance()
        match route:
            case ElasticIp():
                owner = self._address_owner(route)
                return frozenset() if owner is None else frozenset({owner})
            case PrivateIp():
                owner = self._private_owner(route)
                return frozenset() if owner is None else frozenset({owner})
            case TargetGroup():
                return frozenset(i for i in self._group(route) if self._is_healthy(route, i))
            case DnsRecord():
                return self._resolved(route)
            case _:
                return frozenset()

    def targets(self, route: TargetGroup) -> frozenset[InstanceId]:
        return frozenset(self._group(route))

    def _switch(self, route: Route, to: Endpoint) -> str | None:
        match route:
            case TargetGroup():
                self._register(route, to.instance_id)
            case ElasticIp():
                self._address_owner(route)
                self._addresses[route.allocation_id] = self._running(to.instance_id)
            case PrivateIp():
                self._private_owner(route)
                az = self._private[route.address][0]
                if self._world.machine(to.instance_id).pool.az != az:
                    raise NeedsPerson("InvalidParameterValue", f"{route.address} is of a subnet in {az}")
                self._private[route.address] = (az, self._running(to.instance_id))
            case DnsRecord():
                return self._upsert(route, _address(route, to))
            case _:
                raise NeedsPerson("NotOurs", f"a route by {route.driver} is moved on the instance")
        return None

    def _read(self, route: Route, to: Endpoint, receipt: str | None) -> Reading:
        match route:
            case TargetGroup():
                return self._health(route, to.instance_id)
            case ElasticIp():
                return _owned(route.allocation_id, self._address_owner(route), to.instance_id)
            case PrivateIp():
                return _owned(route.address, self._private_owner(route), to.instance_id)
            case DnsRecord():
                return self._record_reading(route, _address(route, to), receipt)
            case _:
                raise NeedsPerson("NotOurs", f"a route by {route.driver} is moved on the instance")

    def _register(self, route: TargetGroup, instance_id: InstanceId) -> None:
        group = self._group(route)
        if self._world.machine(instance_id).state is not InstanceState.RUNNING:
            raise NeedsPerson("InvalidTarget", f"{instance_id} is not running")
        group.setdefault(instance_id, self._world.now)

    def _health(self, route: TargetGroup, instance_id: InstanceId) -> Reading:
        if instance_id not in self._group(route) or self._has_ended(instance_id):
            return Reading(Arrival.ELSEWHERE, "the target group says unused")
        healthy = self._is_healthy(route, instance_id)
        state = "healthy" if healthy else "unhealthy"
        return Reading(Arrival.HERE if healthy else Arrival.COMING, f"the target group says {state}")

    def _is_healthy(self, route: TargetGroup, instance_id: InstanceId) -> bool:
        since = self.answering(instance_id)
        if since is None:
            return False
        return self._world.now >= max(since, self._group(route)[instance_id]) + HEALTHY_AFTER

    def _group(self, route: TargetGroup) -> dict[InstanceId, datetime]:
        group = self._groups.get(route.arn)
        if group is None:
            raise NeedsPerson("TargetGroupNotFound", route.arn)
        return group

    def _address_owner(self, route: ElasticIp) -> InstanceId | None:
        if route.allocation_id not in self._addresses:
            raise NeedsPerson("InvalidAllocationID.NotFound", route.allocation_id)
        owner = self._addresses[route.allocation_id]
        return None if owner is None or self._has_ended(owner) else owner

    def _private_owner(self, route: PrivateIp) -> InstanceId | None:
        if route.address not in self._private:
            raise NeedsPerson("InvalidParameterValue", f"{route.address} is of no subnet")
        owner = self._private[route.address][1]
        return None if owner is None or self._has_ended(owner) else owner

    def _upsert(self, route: DnsRecord, address: str) -> str:
        record = self._zone(route).setdefault(route.name, _Record())
        record.told.append((self._world.now, address))
        record.ttl_seconds = route.ttl_seconds
        receipt = self._world.new_id("/change/C")
        self._changes[receipt] = self._world.now + PROPAGATION
        return receipt

    def _record_reading(self, route: DnsRecord, address: str, receipt: str | None) -> Reading:
        record = self._zone(route).get(route.name)
        now_is = record.told[-1][1] if record is not None else "no record"
        if record is None or now_is != address or record.ttl_seconds != route.ttl_seconds:
            return Reading(Arrival.ELSEWHERE, f"{route.name} is {now_is}")
        if receipt is None:
            return Reading(Arrival.UNCONFIRMED, f"{route.name} is {address}")
        everywhere = self._changes.get(receipt, self._world.now) <= self._world.now
        return Reading(
            Arrival.HERE if everywhere else Arrival.COMING,
            f"{route.name} is {address}{'' if everywhere else ', not yet on every name server'}",
        )

    def _resolved(self, route: DnsRecord) -> frozenset[InstanceId]:
        record = self._zone(route).get(route.name, _Record())
        longest = PROPAGATION + timedelta(seconds=record.ttl_seconds)
        until = [at + longest for at, _ in record.told[1:]]
        known = [
            address
            for (_, address), gone in zip(record.told, [*until, None], strict=False)
            if gone is None or gone > self._world.now
        ]
        return frozenset(m.instance_id for m in self._world.shown.values() if m.private_ip in known)

    def _zone(self, route: DnsRecord) -> dict[str, _Record]:
        if route.zone_id not in self._zones:
            raise NeedsPerson("NoSuchHostedZone", route.zone_id)
        return self._zones[route.zone_id]

    def _running(self, instance_id: InstanceId) -> InstanceId:
        if self._world.machine(instance_id).state is not InstanceState.RUNNING:
            raise NeedsPerson(
                "InvalidInstanceID", f"{instance_id} is not in a valid state for this operation"
            )
        return instance_id

    def _has_ended(self, instance_id: InstanceId) -> bool:
        return self._world.machines[instance_id].state is InstanceState.TERMINATED

    def _runs_since(self, instance_id: InstanceId) -> datetime | None:
        machine = self._world.machines[instance_id]
        return machine.launched_at if machine.state is InstanceState.RUNNING else None

    def _call(self, action: str) -> _Call:
        self._world.advance()
        self._throttle.take(action, self._world.now)
        return _Call(self._faults, action)


class _Call:
    """A fault before the effect, or a lost answer after it."""

    def __init__(self, faults: Faults, action: str) -> None:
        self._faults, self._action = faults, action

    def __enter__(self) -> None:
        self._faults.before(self._action)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._faults.after(self._action)


def _owned(what: str, owner: InstanceId | None, wanted: InstanceId) -> Reading:
    arrival = Arrival.HERE if owner == wanted else Arrival.ELSEWHERE
    return Reading(arrival, f"{what} is associated with {owner or 'nobody'}")


def _address(route: DnsRecord, to: Endpoint) -> str:
    address = to.public_ip if route.address is DnsAddress.PUBLIC else to.private_ip
    if not address:
        raise NeedsPerson("NoAddress", f"{to.instance_id} has no {route.address} address")
    return address
