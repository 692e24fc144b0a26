"""Logical agents: one protected workload each, its settings and guard-rails."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import IntEnum, StrEnum

from spotguard.domain.life import Life


class AgentStatus(StrEnum):
    """`agents.status`."""

    ONLINE = "online"
    OFFLINE = "offline"
    SWITCHING = "switching"
    DELETED = "deleted"


AGENT_LIFE = Life(
    "agent",
    {
        AgentStatus.ONLINE: frozenset({AgentStatus.OFFLINE, AgentStatus.SWITCHING, AgentStatus.DELETED}),
        AgentStatus.OFFLINE: frozenset({AgentStatus.ONLINE, AgentStatus.SWITCHING, AgentStatus.DELETED}),
        AgentStatus.SWITCHING: frozenset({AgentStatus.ONLINE, AgentStatus.OFFLINE, AgentStatus.DELETED}),
        AgentStatus.DELETED: frozenset(),
    },
)


class Protection(StrEnum):
    """The two booleans of the specification as the one choice that they are (ruling S11)."""

    NONE = "none"
    AUTOMATIC = "automatic"  # auto_switch_enabled: the engine moves it, emergency replicas only
    MANUAL = "manual"  # manual_replica_enabled: the user moves it, a replica always stands by


def protection_of(*, auto_switch_enabled: bool, manual_replica_enabled: bool) -> Protection:
    if manual_replica_enabled:
        return Protection.MANUAL
    return Protection.AUTOMATIC if auto_switch_enabled else Protection.NONE


class Autonomy(StrEnum):
    """How far voluntary decisions go by themselves (ruling B17). Emergencies never wait."""

    OBSERVE = "observe"
    RECOMMEND = "recommend"
    APPROVE = "approve"
    AUTO = "auto"


class Executor(StrEnum):
    """Who calls AWS for a client's moves (ruling B18)."""

    AGENT = "agent"
    SERVER = "server"


class KillLevel(IntEnum):
    """How much the kill switch stops."""

    NONE = 0
    VOLUNTARY = 1
    ALL = 2


HIGHEST_TERMINATE_WAIT_SECONDS = 86_400  # ruling B11
DEFAULT_TERMINATE_WAIT_SECONDS = 1_800  # the specification's column default
OFFLINE_AFTER_SECONDS = 120  # ruling B16
OFFLINE_AFTER = timedelta(seconds=OFFLINE_AFTER_SECONDS)
PROVEN_CHECKS = 3  # heartbeats in a row that find a new holder healthy


@dataclass(frozen=True)
class GuardRails:
    """Per agent, editable, enforced whatever a policy proposes (rulings, last paragraph)."""

    min_savings_percent: Decimal = Decimal(5)
    max_switches_per_day: int = 3
    max_switches_per_week: int = 10
    min_pool_hours: Decimal = Decimal(2)
    risk_threshold: Decimal = Decimal("0.30")
    allowed_instance_types: tuple[str, ...] = ()  # empty: only the agent's own type
    allowed_azs: tuple[str, ...] = ()  # empty: every AZ of the region
    max_hourly_usd: Decimal | None = None
