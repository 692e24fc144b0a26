"""What all duties of an agent share: who we are, the line to the server, the disk, the gate, the configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

from spotguard.agent import server_time
from spotguard.agent.bells import Bells
from spotguard.agent.enrolment import Enrolment, LaunchNote
from spotguard.agent.files import Document
from spotguard.agent.outbox import Outbox, Report
from spotguard.agent.primacy import Primacy
from spotguard.agent.serving import Serving
from spotguard.agent.settings import AgentSettings, Intervals
from spotguard.domain.clock import rfc3339
from spotguard.domain.errors import SpotGuardError
from spotguard.domain.ids import InstanceId
from spotguard.domain.pools import Pool
from spotguard.ports.clock import SteadyClock
from spotguard.ports.cloud import Cloud
from spotguard.ports.disk import Disk
from spotguard.ports.metadata import Identity, Metadata
from spotguard.ports.salvage import Salvage
from spotguard.ports.server import Reply, ServerLink
from spotguard.ports.state import StateSeen
from spotguard.ports.traffic import Traffic
from spotguard.ports.workload import Gate, Quiesce, StateSync, SyncTarget

UNAUTHORIZED = 401
MOST_SAID = 1000  # characters of a complaint
MAX_STATE_VOLUMES = 40  # of which a server can be told
OK = range(200, 300)


class NotEnrolled(SpotGuardError):
    """The server does not know this instance (any more): presence enrols it, the rest waits."""


class Duty(Protocol):
    """One standing duty: does what is due, without waiting, and says when it wants to run again."""

    def run(self, now: datetime) -> datetime | None:
        """None: when it is rung for."""


@dataclass(frozen=True)
class Standby:
    """A standby that the configuration names."""

    replica_id: str
    target: SyncTarget


@dataclass(frozen=True)
class Fallback:
    """The old instance of the last move, while it waits for its end."""

    switch_id: str
    target: SyncTarget


@dataclass(frozen=True)
class Ports:
    """What the agent is given of the world. `cloud` None: this agent does not call EC2."""

    link: ServerLink
    metadata: Metadata
    gate: Gate
    sync: StateSync
    disk: Disk
    cloud: Cloud | None
    clock: SteadyClock
    quiesce: Quiesce | None = None  # None: the user has named no hooks
    traffic: Traffic | None = None  # None: this agent moves no traffic
    salvage: Salvage | None = None  # None: the state's folder is not known
    state_on_root: Callable[[], bool | None] | None = None  # the same; its answer None: it cannot be told now
    state_volumes: Callable[[], tuple[str, ...] | None] | None = None  # the same
    state_seen: Callable[[], StateSeen | None] | None = None  # the same
    state_missing: Callable[[], str | None] | None = None  # the same: why it is not where it was


def said_of(error: SpotGuardError) -> str:
    """As much of it as the server takes, and JSON: the name of a file may be no text."""
    return str(error).encode(errors="replace").decode()[:MOST_SAID]


class Desk:
    """Shared state. Values are replaced whole, never changed in place, so that a reader needs no lock."""

    def __init__(self, ports: Ports, settings: AgentSettings) -> None:
        self.ports, self.settings = ports, settings
        self.bells = Bells()
        self.outbox = Outbox(ports.disk, lambda: self.bells.ring("outbox"))
        self.serving = Serving(ports.clock)
        self.primacy = Primacy(
            ports.disk,
            ports.gate,
            ports.clock,
            settings.expected_flush_seconds,
            self.serving,
            self._gate_opened,
        )
        self.identity: Identity | None = None
        self.note: LaunchNote | None = None
        self.enrolment: Enrolment | None = None
        self.released_heard = 0  # the highest release that a heartbeat has told the server
        self.heard_at: datetime | None = None  # when the server last took a heartbeat, by our clock
        self.found_running = False  # the workload, when this agent was first installed
        self.starts_passive = (
            False  # a clone, another boot, or launched for a workload: nothing serves until told
        )
        self.config: Mapping[str, Any] = {}
        self.config_version: int | None = None
        # our clock of the server's, as its last answer to a heartbeat tells; None before the first
        self.ahead: timedelta | None = None
        self._steadily_ahead: timedelta | None = None  # the same of our steady clock
        self.gate_stuck: str | None = None  # why the workload does not open or close as it should
        self.state_stuck: str | None = None  # why no pass of its state begins, or none goes through
        self.move_stuck: str | None = None  # why a move that is given up still keeps the gate closed
        self.traffic_stuck: str | None = None  # why the traffic that is ours to move does not come along
        self.prices: Mapping[Pool, Decimal] = {}
        self.ondemand: Decimal | None = None
        self._enrolment_document = Document(ports.disk, "enrolment")
        self._config_document = Document(ports.disk, "config")

    # whose time it is

    def server_now(self, now: datetime) -> datetime:
        return now - (self.ahead or server_time.NONE)

    def told_as_servers(self, at: datetime) -> str | None:
        """A moment of our own as the server's clock had it; None while that clock is unknown."""
        return None if self.ahead is None else rfc3339(self.server_now(at))

    def compare_clocks(self, ahead: timedelta) -> None:
        """So far is our clock ahead of the server's now."""
        clock = self.ports.clock
        self._steadily_ahead = ahead + (clock.steady() - clock.now())
        self.ahead = ahead

    def steady_time(self, told: datetime) -> datetime:
        """When our steady clock tells that what the server's tells as this."""
        if self._steadily_ahead is None:
            return self.ports.clock.steady_at(told)
        return told + self._steadily_ahead

    # who we are

    @property
    def me(self) -> Identity:
        if self.identity is None:
            raise NotEnrolled("this instance has not read its identity")
        return self.identity

    @property
    def instance_id(self) -> InstanceId:
        return self.me.instance_id

    def enrolled(self) -> Enrolment:
        if self.enrolment is None or not self.enrolment.agent_token:
            raise NotEnrolled("this instance is not enrolled")
        return self.enrolment

    @property
    def is_enrolled(self) -> bool:
        return self.enrolment is not None and bool(self.enrolment.agent_token)

    def state_on_root(self) -> bool | None:
        """Whether the state lies on the disk that this instance boots from, and stays with it; None: not known."""
        told = self.ports.state_on_root
        return None if told is None else told()

    def state_volumes(self) -> list[str] | None:
        """All volumes on which the state lies; none where these are not all, or too many. None: not known now."""
        told = self.ports.state_volumes
        found = None if told is None else told()
        if found is None:
            return None
        return list(found) if len(found) <= MAX_STATE_VOLUMES else []

    def state_seen(self) -> StateSeen | None:
        """None: its folder is not known, or cannot be looked into."""
        told = self.ports.state_seen
        return None if told is None else told()

    def state_missing(self) -> str | None:
        """Why it is not where it was; None: it is, or that is not known."""
        told = self.ports.state_missing
        return None if told is None else told()

    @property
    def may_close(self) -> bool:
        """What runs here without an epoch was not started by its user before an agent came."""
        return self.starts_passive if self.enrolment is None else not self.enrolment.untouched

    @property
    def rehearses(self) -> bool:
        """This instance is a clone in quarantine."""
        return self.note is not None and self.note.drill_id is not None

    @property
    def intervals(self) -> Intervals:
        """The server's beat, as it was told at the enrolment."""
        return Intervals() if self.enrolment is None else self.enrolment.intervals

    def keep_enrolment(self, enrolment: Enrolment) -> None:
        self._enrolment_document.write(enrolment)
        self.enrolment = enrolment

    def stored_enrolment(self) -> Enrolment | None:
        """`Damaged` passes through."""
        return self._enrolment_document.read_as(Enrolment)

    # the configuration

    def keep_config(self, version: int | None, config: Mapping[str, Any]) -> None:
        self._config_document.write({"version": version, "config": dict(config)})
        self.config, self.config_version = config, version
        for duty in ("sync", "moves", "traffic", "tickets"):
            self.bells.ring(duty)

    def load_config(self) -> None:
        stored = self._config_document.read_or({})
        self.config, self.config_version = stored.get("config", {}), stored.get("version")

    def standbys(self) -> tuple[Standby, ...]:
        """Those of the configuration, as it was told last; this instance may be among them."""
        found = []
        for entry in self.config.get("standbys") or ():
            replica, instance, address = (entry.get(k) for k in ("replica_id", "instance_id", "address"))
            if replica and instance:
                found.append(Standby(replica, SyncTarget(instance, address or "")))
        return tuple(found)

    def fallback(self) -> Fallback | None:
        """Of the configuration, as it was told last; this instance may be it."""
        entry = self.config.get("fallback") or {}
        switch, instance, address = (entry.get(key) for key in ("switch_id", "instance_id", "address"))
        return Fallback(switch, SyncTarget(instance, address or "")) if switch and instance else None

    def replica_id(self) -> str | None:
        """The replica that this instance stands by for."""
        own = [s.replica_id for s in self.standbys() if s.target.instance_id == self.instance_id]
        return own[0] if own else self.enrolled().replica_id

    @property
    def hands_off(self) -> bool:
        """Ruling B8: `enabled` false means record, notify, do nothing."""
        return self.config.get("enabled") is False

    # the line

    def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, timeout_seconds: float = 10
    ) -> Reply:
        """A call on this agent's own path. `ServerAway` when there is no answer, `NotEnrolled` on a 401."""
        enrolment = self.enrolled()
        reply = self.ports.link.call(
            method,
            f"/api/agents/{enrolment.agent_id}/{path}",
            token=enrolment.agent_token,
            body=body,
            timeout_seconds=timeout_seconds,
        )
        if reply.status == UNAUTHORIZED:
            if self.enrolment == enrolment:  # not if another duty has enrolled anew meanwhile
                self.keep_enrolment(replace(enrolment, agent_token=""))
                self.bells.ring("presence")
            raise NotEnrolled("the server does not accept this instance's token")
        return reply

    def _gate_opened(self) -> None:
        """A load balancer is to hear of it at once, not at the health duty's next look."""
        if self.settings.health_seconds is not None:
            self.bells.ring("health")

    def report(
        self, report_id: str, kind: str, path: str, body: Mapping[str, Any], *, urgent: bool = False
    ) -> None:
        self.outbox.put(Report(report_id, kind, path, body, self.ports.clock.now(), urgent))
