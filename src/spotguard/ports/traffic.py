"""How clients find the workload: moving it to an instance, and reading back where it goes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from spotguard.domain.ids import InstanceId
from spotguard.domain.traffic import Route


@dataclass(frozen=True)
class Endpoint:
    """An instance as clients reach it."""

    instance_id: InstanceId
    private_ip: str
    public_ip: str | None = None


@dataclass(frozen=True)
class Handing:
    """To whom traffic goes, in which epoch, and from whom (None: nobody is known)."""

    to: Endpoint
    epoch: int
    former: Endpoint | None = None


class Arrival(StrEnum):
    """Where a route leads, read back."""

    HERE = "here"
    COMING = "coming"  # ordered and not there yet: asking again is enough
    UNCONFIRMED = "unconfirmed"  # it says so, but whether everybody hears it is not known without the receipt
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True)
class Reading:
    """What was read back."""

    arrival: Arrival
    because: str


class Traffic(Protocol):
    """Every call may be repeated by whoever continues after a crash. Errors are the `CloudError` tree.

    Nothing here ever releases an address or deletes a record.
    """

    def announce(self, route: Route, to: Endpoint) -> None:
        """Make a standby or successor known early where that costs no client anything: a target group checks its
        health before it sends it anybody. Other routes: nothing.
        """

    def switch(self, route: Route, handing: Handing) -> str | None:
        """Order it; a receipt, where the route gives one, by which `read_back` learns that it has reached everybody."""

    def read_back(self, route: Route, handing: Handing, receipt: str | None) -> Reading:
        """Where the route leads now, asked of who decides it."""

    def withdraw(self, route: Route, instance_id: InstanceId) -> None:
        """An instance that is about to end, or has ended, is no target any more. Not one: harmless."""
