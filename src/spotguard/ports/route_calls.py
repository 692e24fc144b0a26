"""Calls of the `Traffic` port with their route as plain data, for a driver that lives in another process."""

from __future__ import annotations

from typing import Any, Protocol

from spotguard.domain.ids import InstanceId
from spotguard.domain.traffic import Route, route_of, told_of
from spotguard.ports.traffic import Endpoint, Handing, Reading, Traffic


class RouteCalls(Protocol):
    """The port's own calls, under names that no other port has."""

    def announce_route(self, route: dict[str, Any], to: Endpoint) -> None: ...

    def switch_route(self, route: dict[str, Any], handing: Handing) -> str | None: ...

    def read_route(self, route: dict[str, Any], handing: Handing, receipt: str | None) -> Reading: ...

    def withdraw_route(self, route: dict[str, Any], instance_id: InstanceId) -> None: ...


class CallsOfTraffic:
    """Implements `RouteCalls` on a driver. `InvalidInput` for what is no route."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic

    def announce_route(self, route: dict[str, Any], to: Endpoint) -> None:
        self._traffic.announce(route_of(route), to)

    def switch_route(self, route: dict[str, Any], handing: Handing) -> str | None:
        return self._traffic.switch(route_of(route), handing)

    def read_route(self, route: dict[str, Any], handing: Handing, receipt: str | None) -> Reading:
        return self._traffic.read_back(route_of(route), handing, receipt)

    def withdraw_route(self, route: dict[str, Any], instance_id: InstanceId) -> None:
        self._traffic.withdraw(route_of(route), instance_id)


class TrafficOverCalls:
    """Implements `ports.traffic.Traffic` by such calls."""

    def __init__(self, calls: RouteCalls) -> None:
        self._calls = calls

    def announce(self, route: Route, to: Endpoint) -> None:
        self._calls.announce_route(told_of(route), to)

    def switch(self, route: Route, handing: Handing) -> str | None:
        return self._calls.switch_route(told_of(route), handing)

    def read_back(self, route: Route, handing: Handing, receipt: str | None) -> Reading:
        return self._calls.read_route(told_of(route), handing, receipt)

    def withdraw(self, route: Route, instance_id: InstanceId) -> None:
        self._calls.withdraw_route(told_of(route), instance_id)
