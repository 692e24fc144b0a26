"""Instance metadata, version 2: a server half that hands out tokens, and a client half that is the `Metadata` port.

Facts: IMDSv2 User Guide (PUT a token, TTL of 1 s to 6 h, 401 when it is missing or over, 404 when nothing is pending).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import IntEnum
from itertools import count
from typing import Any, NamedTuple

from spotguard.cloud.simulated.state import Machine
from spotguard.cloud.simulated.world import World
from spotguard.cloud.simulated.zones import az_id
from spotguard.domain.clock import parse_time
from spotguard.domain.errors import MetadataUnavailable
from spotguard.domain.ids import ImageId, InstanceId
from spotguard.domain.instances import InstanceState, Mode, parse_mode
from spotguard.ports.metadata import Identity, InterruptionNotice, RebalanceRecommendation

LONGEST_TTL = 21_600
_UP = frozenset({InstanceState.RUNNING, InstanceState.STOPPING, InstanceState.SHUTTING_DOWN})
_OK, _UNAUTHORIZED, _NOT_FOUND = 200, 401, 404


class ImdsFault(IntEnum):
    """What the service answers instead."""

    UNAUTHORIZED = 401
    THROTTLED = 503
    HANG = 0  # no answer at all


class Answer(NamedTuple):
    """HTTP status, 0 for no answer, and the body."""

    status: int
    body: str = ""


class ImdsServer:
    """The service at 169.254.169.254 of one machine."""

    def __init__(self, world: World, machine: Machine, zone_letters: str) -> None:
        self._world = world
        self._machine = machine
        self._zone_letters = zone_letters
        self._tokens: dict[str, datetime] = {}
        self._numbers = count(1)
        self.asked: Counter[str] = Counter()  # by page, whatever was answered
        self._fault: tuple[ImdsFault, datetime | None] | None = None
        self._pages: dict[str, Callable[[], str | None]] = {
            "dynamic/instance-identity/document": self._document,
            "meta-data/events/recommendations/rebalance": self._rebalance,
            "meta-data/ami-id": lambda: machine.image_id,
            "meta-data/hostname": lambda: "ip-" + machine.private_ip.replace(".", "-") + ".ec2.internal",
            "meta-data/instance-id": lambda: machine.instance_id,
            "meta-data/instance-life-cycle": lambda: "spot" if machine.mode is Mode.SPOT else "on-demand",
            "meta-data/instance-type": lambda: machine.pool.instance_type,
            "meta-data/local-ipv4": lambda: machine.private_ip,
            "meta-data/placement/availability-zone": lambda: machine.pool.az,
            "meta-data/placement/availability-zone-id": lambda: az_id(machine.pool.az, zone_letters),
            "meta-data/placement/region": lambda: machine.pool.region,
            "meta-data/public-ipv4": lambda: machine.public_ip,
            "meta-data/spot/instance-action": self._instance_action,
            "user-data": lambda: machine.user_data or None,
        }

    def disturb(self, fault: ImdsFault | None, until: datetime | None) -> None:
        """Answer so until then, or until told otherwise; None ends it."""
        self._fault = None if fault is None else (fault, until)
        self._changed()
        if fault is not None and until is not None:
            self._world.plan(self._machine, until, self._changed)

    def forget_tokens(self) -> None:
        """Every token is over, as after its TTL."""
        self._tokens.clear()

    def put_token(self, ttl_seconds: int) -> Answer:
        trouble = self._trouble()
        if trouble is not None:
            return trouble
        token = f"token-{next(self._numbers)}"
        self._tokens[token] = self._world.now + timedelta(seconds=min(max(1, ttl_seconds), LONGEST_TTL))
        return Answer(_OK, token)

    def get(self, path: str, token: str) -> Answer:
        self.asked[path] += 1
        trouble = self._trouble()
        if trouble is not None:
            return trouble
        if self._tokens.get(token, self._world.now) <= self._world.now:
            return Answer(_UNAUTHORIZED)
        page = self._pages.get(path)
        body = None if page is None else page()
        return Answer(_NOT_FOUND) if body is None else Answer(_OK, body)

    def _trouble(self) -> Answer | None:
        if self._machine.state not in _UP:
            return Answer(ImdsFault.HANG)
        if self._fault is None:
            return None
        fault, until = self._fault
        return Answer(fault) if until is None or self._world.now < until else None

    def _changed(self) -> None:
        self._machine.metadata_version += 1

    def _document(self) -> str:
        machine = self._machine
        document = {
            "instanceId": machine.instance_id,
            "instanceType": machine.pool.instance_type,
            "availabilityZone": machine.pool.az,
            "region": machine.pool.region,
            "imageId": machine.image_id,
            "privateIp": machine.private_ip,
            "pendingTime": _stamp(machine.pending_at),
        }
        return json.dumps(document)

    def _rebalance(self) -> str | None:
        seen = self._machine.rebalance
        return None if seen is None else json.dumps({"noticeTime": _stamp(seen.notice_time)})

    def _instance_action(self) -> str | None:
        seen = self._machine.notice
        return None if seen is None else json.dumps({"action": seen.action, "time": _stamp(seen.action_time)})


class SimulatedMetadata:
    """The client half: keeps a token, renews it once when it is refused, never holds on to a broken one."""

    def __init__(self, server: ImdsServer, live: Callable[[], None]) -> None:
        self._server = server
        self._live = live  # catches up with the time first
        self._token = ""

    def identity(self) -> Identity:
        document: dict[str, Any] = json.loads(self._required("dynamic/instance-identity/document"))
        return Identity(
            instance_id=InstanceId(document["instanceId"]),
            # pendingTime changes when EC2 starts the instance anew, and not on a reboot (B4b)
            boot_id=document["pendingTime"],
            instance_type=document["instanceType"],
            az=document["availabilityZone"],
            az_id=self._required("meta-data/placement/availability-zone-id"),
            image_id=ImageId(document["imageId"]),
            mode=parse_mode(self._required("meta-data/instance-life-cycle")),
            hostname=self._required("meta-data/hostname"),
            private_ip=document["privateIp"],
            public_ip=self._get("meta-data/public-ipv4"),
        )

    def user_data(self) -> str:
        return self._get("user-data") or ""

    def interruption_notice(self) -> InterruptionNotice | None:
        body = self._get("meta-data/spot/instance-action")
        if body is None:
            return None
        seen = json.loads(body)
        return InterruptionNotice(seen["action"], parse_time(seen["time"]))

    def rebalance_recommendation(self) -> RebalanceRecommendation | None:
        body = self._get("meta-data/events/recommendations/rebalance")
        return None if body is None else RebalanceRecommendation(parse_time(json.loads(body)["noticeTime"]))

    def _required(self, path: str) -> str:
        body = self._get(path)
        if body is None:
            raise MetadataUnavailable(f"404 for {path}")
        return body

    def _get(self, path: str) -> str | None:
        self._live()
        answer = self._server.get(path, self._token) if self._token else Answer(_UNAUTHORIZED)
        if answer.status == _UNAUTHORIZED:
            self._token = self._fresh_token()
            answer = self._server.get(path, self._token)
        if answer.status == _NOT_FOUND:
            return None
        return self._ok(answer).body

    def _fresh_token(self) -> str:
        self._token = ""
        return self._ok(self._server.put_token(LONGEST_TTL)).body

    def _ok(self, answer: Answer) -> Answer:
        if answer.status != _OK:
            self._token = ""
            raise MetadataUnavailable(str(answer.status) if answer.status else "no answer")
        return answer


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
