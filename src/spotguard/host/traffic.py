"""`ports.traffic.Traffic` on an instance: the user's script for its own route, AWS for the others if it has access."""

from __future__ import annotations

from collections.abc import Sequence

from spotguard.domain.errors import NeedsPerson
from spotguard.domain.ids import InstanceId
from spotguard.domain.traffic import Route, Script
from spotguard.host.commands import run
from spotguard.ports.traffic import Arrival, Endpoint, Handing, Reading, Traffic
from spotguard.telemetry import get_logger

log = get_logger("traffic")


class ScriptTraffic:
    """Two commands with `seconds` each: `script` moves, `check` succeeds once clients come here. Both may run again.

    Both are told by environment: `SPOTGUARD_EPOCH`, `SPOTGUARD_NEW_INSTANCE_ID`, `SPOTGUARD_NEW_PRIVATE_IP`,
    `SPOTGUARD_NEW_PUBLIC_IP`, and the same with `OLD`; what is not known is empty.
    """

    def __init__(self, script: Sequence[str], check: Sequence[str], seconds: float) -> None:
        self._script, self._check, self._seconds = script, check, seconds

    def announce(self, route: Route, to: Endpoint) -> None:
        """Nothing: a script is called when there is an epoch to call it with."""

    def withdraw(self, route: Route, instance_id: InstanceId) -> None:
        """Nothing."""

    def switch(self, route: Route, handing: Handing) -> str | None:
        ran = run(self._script, self._seconds, environment_of(handing))
        log.info("script", status=ran.status, epoch=handing.epoch, output=ran.output)
        if not ran.succeeded:
            last = ran.output.splitlines()[-1:] or [f"exit {ran.status}"]
            raise NeedsPerson("TrafficScript", f"exit {ran.status}: {last[0][:200]}")
        return None

    def read_back(self, route: Route, handing: Handing, receipt: str | None) -> Reading:
        ran = run(self._check, self._seconds, environment_of(handing))
        if ran.succeeded:
            return Reading(Arrival.HERE, "the user's check succeeds")
        return Reading(Arrival.ELSEWHERE, f"the user's check: exit {ran.status}")


class InstanceTraffic:
    """Whichever of the two a route needs; `NeedsPerson` for one that this instance was not given."""

    def __init__(self, script: Traffic | None, aws: Traffic | None) -> None:
        self._script, self._aws = script, aws

    def announce(self, route: Route, to: Endpoint) -> None:
        self._of(route).announce(route, to)

    def switch(self, route: Route, handing: Handing) -> str | None:
        return self._of(route).switch(route, handing)

    def read_back(self, route: Route, handing: Handing, receipt: str | None) -> Reading:
        return self._of(route).read_back(route, handing, receipt)

    def withdraw(self, route: Route, instance_id: InstanceId) -> None:
        self._of(route).withdraw(route, instance_id)

    def _of(self, route: Route) -> Traffic:
        if isinstance(route, Script):
            if self._script is None:
                raise NeedsPerson(
                    "NoTrafficScript", "name traffic_script and traffic_check in this agent's settings"
                )
            return self._script
        if self._aws is None:
            raise NeedsPerson(
                "NoAwsAccess", f"this agent has no access to AWS: a route by {route.driver} is the server's"
            )
        return self._aws


def environment_of(handing: Handing) -> dict[str, str]:
    told = {"SPOTGUARD_EPOCH": str(handing.epoch)}
    for side, end in (("NEW", handing.to), ("OLD", handing.former)):
        told[f"SPOTGUARD_{side}_INSTANCE_ID"] = end.instance_id if end is not None else ""
        told[f"SPOTGUARD_{side}_PRIVATE_IP"] = end.private_ip if end is not None else ""
        told[f"SPOTGUARD_{side}_PUBLIC_IP"] = (end.public_ip or "") if end is not None else ""
    return told
