"""Duty `traffic`: clients reach whoever holds the epoch. Each instance sees to itself: the holder fetches the traffic
and looks at it from then on; a standby or successor is made known early, where the route allows that.

Where the server calls AWS (ruling B18) it does the same, and this duty only runs the user's script. What was read back
is on the disk with its epoch, and told to the server once the move is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec

from spotguard.agent.command_book import CommandBook
from spotguard.agent.desk import Desk
from spotguard.agent.files import Document
from spotguard.agent.orders import PromoteOrder, promote_order
from spotguard.agent.switch_reports import timing
from spotguard.domain.commands import CommandType
from spotguard.domain.errors import CloudError, InvalidInput
from spotguard.domain.ids import InstanceId
from spotguard.domain.instances import GateState
from spotguard.domain.switches import Step
from spotguard.domain.traffic import Route, TargetGroup, route_of
from spotguard.execution.traffic import Arrived, Errand, OnTheWay, Stuck, carry
from spotguard.ports.traffic import Endpoint, Handing, Traffic
from spotguard.telemetry import get_logger

LOOK_AGAIN_SECONDS = 300.0  # at what was read back: somebody else may have moved it
SETTLED_SECONDS = 60.0  # after an epoch's first look: a script of the former holder's may go on
LATER_SECONDS = 10.0
MOST_SAID = 1000  # characters of a complaint

log = get_logger("agent")


@dataclass(frozen=True)
class Moved:
    """What stands on the disk: read back in this epoch by this route. `told`: the order that was answered with it; one
    that is given again is answered again, since what was told may be lost.
    """

    epoch: int
    route: dict[str, Any]
    receipt: str | None = None
    told: str | None = None


class TrafficDuty:
    """Nothing to do without a route, or where somebody else moves it."""

    NAME = "traffic"

    def __init__(self, desk: Desk, book: CommandBook) -> None:
        self._desk, self._book = desk, book
        self._document = Document(desk.ports.disk, self.NAME)
        self._receipt: tuple[int, str | None] = (0, None)
        self._announced: Mapping[str, Any] | None = None

    def run(self, now: datetime) -> datetime | None:
        told, port = self.told(), self._desk.ports.traffic
        if told is None or port is None or not self._desk.is_enrolled or self._desk.rehearses:
            self._desk.traffic_stuck = None
            return None  # rung for with a new configuration; a clone in quarantine is nobody's target
        try:
            route = route_of(told)
        except InvalidInput as error:
            return self._complain(now, str(error), LOOK_AGAIN_SECONDS)
        epoch = self._desk.primacy.confirmed
        if epoch is None:
            return self._announce(now, port, route, told)
        if self._desk.primacy.gate_state() is not GateState.OPEN:
            return now + timedelta(seconds=LATER_SECONDS)  # rung for when it opens
        return self._fetch(now, port, route, told, epoch)

    def told(self) -> dict[str, Any] | None:
        """The configured route if this agent has to move it."""
        told = self._desk.config.get("traffic")
        if not isinstance(told, Mapping) or told.get("by") != "agent":
            return None
        return {name: value for name, value in told.items() if name != "by"}

    def withdraw(self, instance_id: InstanceId) -> None:
        """Before an instance is ended. One that cannot be taken from its load balancer fails its health checks."""
        told, port = self.told(), self._desk.ports.traffic
        if told is None or port is None:
            return
        try:
            port.withdraw(route_of(told), instance_id)
        except (CloudError, InvalidInput) as error:
            log.warning("not withdrawn", instance=instance_id, because=str(error))

    def _fetch(
        self, now: datetime, port: Traffic, route: Route, told: dict[str, Any], epoch: int
    ) -> datetime:
        known = self._known(epoch, told)
        order = self._order(epoch)
        if self._desk.hands_off and not _is_owed(known, order):
            return now + timedelta(seconds=LOOK_AGAIN_SECONDS)
        kept_epoch, kept = self._receipt
        receipt = kept if kept_epoch == epoch else known.receipt if known is not None else None
        handing = Handing(self._me(), epoch, order.former if order is not None else None)
        errand = Errand(route, handing, receipt, proven=known is not None)
        match carry(port, errand, lambda: self._desk.primacy.confirmed == epoch):
            case Arrived() as done:
                self._arrived(now, known or Moved(epoch, told), done, order)
                return now + timedelta(seconds=LOOK_AGAIN_SECONDS if known else SETTLED_SECONDS)
            case OnTheWay() as under_way:
                self._receipt = (epoch, under_way.receipt)
                return now + timedelta(seconds=under_way.again_seconds)
            case Stuck() as stuck:
                return self._complain(now, stuck.because, stuck.again_seconds)
            case _:
                return now + timedelta(seconds=LATER_SECONDS)

    def _arrived(self, now: datetime, moved: Moved, done: Arrived, order: PromoteOrder | None) -> None:
        self._desk.traffic_stuck = None
        moved = replace(moved, receipt=done.receipt)
        if order is not None and order.switch_id is not None and moved.told != order.id:
            body = {"switch_id": order.switch_id, "timing": timing({Step.TRAFFIC_MOVED: now})}
            self._desk.report(f"switch:{order.switch_id}:traffic_moved", "switch", "switch-report", body)
            moved = replace(moved, told=order.id)
        if self._document.read_or(None) != msgspec.to_builtins(moved):
            self._document.write(moved)
            log.info("reached", instance=self._desk.instance_id, epoch=moved.epoch, because=done.because)

    def _announce(
        self, now: datetime, port: Traffic, route: Route, told: Mapping[str, Any]
    ) -> datetime | None:
        """Who was launched for this workload, and may serve next, is known to the load balancer before it serves."""
        awaited = self._desk.note is not None and not self._desk.primacy.released
        if not awaited or not isinstance(route, TargetGroup) or self._announced == told:
            return None
        try:
            port.announce(route, self._me())
        except CloudError as error:
            return self._complain(now, str(error), LATER_SECONDS)
        self._announced = told
        return None

    def _known(self, epoch: int, told: Mapping[str, Any]) -> Moved | None:
        stored = self._document.read_or(None)
        moved = None if stored is None else msgspec.convert(stored, Moved)
        return moved if moved is not None and (moved.epoch, moved.route) == (epoch, told) else None

    def _order(self, epoch: int) -> PromoteOrder | None:
        """The promotion that this epoch came with, if its command has arrived."""
        promotions = self._book.of_type(CommandType.PROMOTE)
        return next((o for o in map(promote_order, promotions) if o.epoch == epoch), None)

    def _me(self) -> Endpoint:
        me = self._desk.me
        return Endpoint(me.instance_id, me.private_ip, me.public_ip)

    def _complain(self, now: datetime, because: str, again_seconds: float) -> datetime:
        said = because[:MOST_SAID]
        if said != self._desk.traffic_stuck:
            self._desk.traffic_stuck = said
            log.error("traffic", instance=self._desk.instance_id, because=said)
            self._desk.bells.ring("presence")  # the server tells people
        return now + timedelta(seconds=again_seconds)


def _is_owed(known: Moved | None, order: PromoteOrder | None) -> bool:
    """A move was granted, and the server has not heard that clients came along: it goes forward, hands off or not."""
    if order is None or order.switch_id is None:
        return False
    return known is None or known.told != order.id
