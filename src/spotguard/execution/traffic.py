"""Moving traffic to the holder of the epoch, forward only: look, call, look again, until it is read back.

Whoever continues after a crash begins with the look, so a call is repeated only if it did not take effect. The epoch is
compared just before the call and once more after it: a later epoch wins, since its own executor looks after us.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from spotguard.domain.errors import Doubtful, NeedsPerson, NotVisible, Throttled
from spotguard.domain.traffic import Route
from spotguard.ports.traffic import Arrival, Handing, Traffic

SOON_SECONDS = 2.0
STUCK_SECONDS = 60.0


@dataclass(frozen=True)
class Arrived:
    """Read back: clients reach the holder."""

    because: str
    receipt: str | None = None


@dataclass(frozen=True)
class OnTheWay:
    """Ask again in `again_seconds`, with this receipt."""

    receipt: str | None
    again_seconds: float
    because: str


@dataclass(frozen=True)
class Stuck:
    """A person must act; asked again all the same, seldom: the workload is not reached until then."""

    because: str
    again_seconds: float = STUCK_SECONDS


@dataclass(frozen=True)
class Overtaken:
    """The epoch is another's: this is no business of ours any more."""

    because: str


Carried = Arrived | OnTheWay | Stuck | Overtaken


@dataclass(frozen=True)
class Errand:
    """One route to one holder. `proven`: it was read back in this epoch before."""

    route: Route
    handing: Handing
    receipt: str | None = None
    proven: bool = False


def carry(traffic: Traffic, errand: Errand, holds: Callable[[], bool]) -> Carried:
    """As far as it goes without waiting. `holds`: whether the epoch is still the current one, asked afresh."""
    try:
        return _carry(traffic, errand, holds)
    except (Throttled, Doubtful, NotVisible) as error:
        return OnTheWay(errand.receipt, SOON_SECONDS, f"no clear answer ({error.code})")
    except NeedsPerson as error:
        return Stuck(str(error))


def _carry(traffic: Traffic, errand: Errand, holds: Callable[[], bool]) -> Carried:
    seen = traffic.read_back(errand.route, errand.handing, errand.receipt)
    if seen.arrival is Arrival.HERE or (seen.arrival is Arrival.UNCONFIRMED and errand.proven):
        return Arrived(seen.because, errand.receipt)
    if seen.arrival is Arrival.COMING:
        return OnTheWay(errand.receipt, SOON_SECONDS, seen.because)
    lost = Overtaken(f"epoch {errand.handing.epoch} is not the current one")
    if not holds():
        return lost
    receipt = traffic.switch(errand.route, errand.handing)
    if not holds():
        return lost
    seen = traffic.read_back(errand.route, errand.handing, receipt)
    if seen.arrival is Arrival.HERE:
        return Arrived(seen.because, receipt)
    return OnTheWay(receipt, SOON_SECONDS, seen.because)
