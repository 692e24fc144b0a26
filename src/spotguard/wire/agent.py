"""The agent API's bodies and replies, snake_case, decoded strictly by msgspec.

Lengths are those of the columns. Fields that the contract does not know are ignored, so that a newer agent may
speak to an older server; what a field means is checked by the domain's parsers, not here.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from spotguard.domain.agents import AgentStatus
from spotguard.domain.instances import GateState, Role
from spotguard.domain.replicas import ReplicaStatus, SyncStatus
from spotguard.domain.signals import SignalAction

PRINTABLE = r"^[^\x00-\x1f\x7f]*(?!\n)$"  # `$` alone lets a line end pass
MAX_POOLS = 200
MAX_VOLUMES = 40  # on which a state lies
MAX_DESTROYED = 32  # tickets of which an agent tells that it has destroyed them
MAX_INT = 2**31 - 1
MAX_BIGINT = 2**63 - 1

Line = Annotated[str, Meta(max_length=255, pattern=PRINTABLE)]
Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=PRINTABLE)]
Word = Annotated[str, Meta(max_length=32, pattern=PRINTABLE)]
Id = Annotated[str, Meta(max_length=64, pattern=PRINTABLE)]
VolumeText = Annotated[str, Meta(max_length=21, pattern=r"^vol-[0-9a-f]{8,17}(?!\n)$")]
PoolText = Annotated[str, Meta(max_length=128, pattern=PRINTABLE)]
Address = Annotated[str, Meta(max_length=45, pattern=PRINTABLE)]
Moment = Annotated[str, Meta(max_length=64, description="RFC 3339 with a zone")]
Sentence = Annotated[str, Meta(max_length=4000)]
Count = Annotated[int, Meta(ge=0, le=MAX_INT)]
Percent = Annotated[float, Meta(ge=0, le=100)]


class Register(Struct, kw_only=True):
    """POST register: an identity as EC2 knows it, bound to one instance and boot (ruling B4b).

    `can_sync`: whether a state sync is configured there, `has_traffic_script`: whether a route by script is; left out:
    unknown, and taken for true. `state_on_root`: whether its state lies on the disk that it boots from; left out:
    unknown, and taken for false.
    """

    logical_agent_id: Name
    instance_id: Id
    instance_type: Word
    region: Word
    az: Word
    mode: Word
    agent_version: Word
    hostname: Line
    private_ip: Address
    boot_id: Annotated[str, Meta(min_length=1, max_length=64, pattern=PRINTABLE)]
    az_id: Word | None = None
    ami_id: Id | None = None
    pool_id: PoolText | None = None
    public_ip: Address | None = None
    can_sync: bool | None = None
    has_traffic_script: bool | None = None
    state_on_root: bool | None = None


class Intervals(Struct, frozen=True):
    """How often the server wants to hear."""

    heartbeat_seconds: float
    pricing_seconds: float
    signal_poll_seconds: float
    command_wait_seconds: float


class Standby(Struct, frozen=True):
    """Where the primary pushes its state to."""

    replica_id: str
    instance_id: str
    address: str | None


class Fallback(Struct, frozen=True):
    """The old instance of the last move, while it waits for its end: the primary copies its state back to it."""

    switch_id: str
    instance_id: str
    address: str | None


class AgentConfig(Struct, frozen=True, kw_only=True):
    """The stored configuration, and the standbys to feed. `ends_held`: why no instance may be ended at this moment."""

    agent_id: str
    logical_agent_id: str
    config_version: int
    status: AgentStatus
    enabled: bool
    autonomy: str
    auto_switch_enabled: bool
    manual_replica_enabled: bool
    auto_terminate_enabled: bool
    terminate_wait_seconds: int
    replica_count: int
    current_replica_id: str | None
    min_savings_percent: Decimal
    max_switches_per_day: int
    max_switches_per_week: int
    min_pool_hours: Decimal
    risk_threshold: Decimal
    allowed_instance_types: list[str]
    allowed_azs: list[str]
    max_hourly_usd: Decimal | None
    ends_held: str | None
    standbys: list[Standby]
    fallback: Fallback | None
    traffic: dict[str, Any] | None  # the route, and under `by` who moves it: server or agent


class Registered(Struct, frozen=True, kw_only=True):
    """Reply to register. The token is shown this once. `replica_id`: the standby's, whose state it is to report."""

    agent_id: str
    agent_token: str
    role: Role
    epoch: int
    config: AgentConfig
    replica_id: str | None
    intervals: Intervals


class TicketSlip(Struct, frozen=True, kw_only=True):
    """A handover ticket (ruling B4a) for its holder to keep: `seal` is what the named standby checks."""

    id: str
    agent_id: str
    epoch: int
    from_instance: str
    to_instance: str
    to_boot: str
    seal: str


class HandedOver(Struct, kw_only=True):
    """What happened by a ticket: told by its holder, and by its standby with the holder's signature."""

    ticket_id: Id
    begun_at: Moment
    gate_closed_at: Moment
    delta_sent_at: Moment
    released_at: Moment
    position: Annotated[int, Meta(ge=0, le=MAX_BIGINT)]
    signature: Id | None = None
    opened_at: Moment | None = None


class Heartbeat(Struct, kw_only=True):
    """POST heartbeat: presence of one instance (ruling S15). `released`: the highest epoch that it has let go of.

    `can_sync`, `has_traffic_script`, `state_on_root` as in Register; left out: what was said last holds. So with
    `state_volumes`: all EBS volumes on which its state lies; empty: that cannot be said, or not of all.
    `traffic_stuck`: why the traffic that this agent is to move does not come along, `workload_stuck`: why its workload
    does not open, or no pass of its state begins or goes through; said for as long as it is so.
    Of handover tickets: `ticket` is the one in its hand, `destroyed` those that it will never use or give,
    `handed_over` what it did by one until the server knows it. An agent that leaves `destroyed` out is given no ticket:
    it would neither use nor destroy it; nor is one that `takes_tickets` not: it could hand none over.
    """

    status: AgentStatus
    instance_id: Id
    mode: Word
    pool_id: PoolText | None = None
    epoch: Count | None = None
    gate: GateState | None = None
    workload_healthy: bool | None = None
    released: Count | None = None
    can_sync: bool | None = None
    has_traffic_script: bool | None = None
    state_on_root: bool | None = None
    state_volumes: Annotated[list[VolumeText], Meta(max_length=MAX_VOLUMES)] | None = None
    traffic_stuck: Sentence | None = None
    workload_stuck: Sentence | None = None
    ticket: Id | None = None
    destroyed: Annotated[list[Id], Meta(max_length=MAX_DESTROYED)] | None = None
    takes_tickets: bool = True
    handed_over: HandedOver | None = None


class HeartbeatReply(Struct, frozen=True, kw_only=True):
    """The server's truth for this instance. `epoch` is the newest grant's: only the primary's gate opens with it.

    `ticket`: to be kept; `destroy_ticket`: to be given up for ever, and said so.
    """

    config_version: int
    commands_pending: int
    role: Role
    epoch: int
    server_time: str
    ticket: TicketSlip | None = None
    destroy_ticket: str | None = None


class PricingReport(Struct, kw_only=True):
    """POST pricing-report. Items are judged one by one (`{id, price, az_id?}`), so that one bad one spoils no other."""

    pools: Annotated[list[Any], Meta(max_length=MAX_POOLS)]
    on_demand_price: str | float | None = None
    observed_at: Moment | None = None


class RejectedPrice(Struct, frozen=True):
    """One item that was not kept."""

    index: int
    id: str | None
    reason: str


class PricingReply(Struct, frozen=True):
    """How many were kept, and which were not."""

    accepted: int
    rejected: list[RejectedPrice]


class LeasedCommand(Struct, frozen=True, kw_only=True):
    """A command that this instance now holds."""

    id: str
    command_type: str
    target_mode: str | None
    target_pool_id: str | None
    priority: int
    terminate_wait_seconds: int | None
    payload: dict[str, Any]
    attempt: int
    epoch: int | None
    lease_until: str
    created_at: str
    expires_at: str


class PendingCommands(Struct, frozen=True):
    """Reply to pending-commands, highest priority first."""

    commands: list[LeasedCommand]
    config_version: int
    server_time: str


class CommandResult(Struct, kw_only=True):
    """POST commands/{id}/result."""

    status: Literal["completed", "failed", "refused"]
    message: Sentence | None = None
    result: dict[str, Any] | None = None


class StoredCommand(Struct, frozen=True, kw_only=True):
    """A command as the table has it."""

    id: str
    command_type: str
    instance_id: str
    status: str
    message: str | None
    result: dict[str, Any] | None
    attempt: int
    created_at: str
    completed_at: str | None
    expires_at: str


class ReportedInstance(Struct, kw_only=True):
    """One end of a move, as an agent names it."""

    instance_id: Id
    instance_type: Word | None = None
    region: Word | None = None
    az: Word | None = None
    mode: Word | None = None
    pool_id: PoolText | None = None
    ami_id: Id | None = None


class ReportedPricing(Struct, kw_only=True):
    """USD per hour of the move's two ends."""

    on_demand: str | float | None = None
    old_spot: str | float | None = None
    new_spot: str | float | None = None


class SwitchReport(Struct, kw_only=True):
    """POST switch-report: the specification's body; every part may come alone, later ones complete it."""

    command_id: Id | None = None
    switch_id: Id | None = None
    trigger: Word | None = None
    old_instance: ReportedInstance | None = None
    new_instance: ReportedInstance | None = None
    timing: dict[str, Moment | None] = {}
    pricing: ReportedPricing | None = None
    destroyed: Annotated[list[Id], Meta(max_length=MAX_DESTROYED)] = []  # handover tickets, as in Heartbeat
    remarks: Annotated[list[Sentence], Meta(max_length=20)] = []


class MoveTarget(Struct, frozen=True):
    """The new instance, once it has enrolled."""

    instance_id: str
    address: str | None


class SwitchReply(Struct, frozen=True, kw_only=True):
    """What is recorded of a move, whoever did it."""

    switch_id: str
    savings_impact: Decimal | None
    recorded: list[str]
    target: MoveTarget | None
    status: str


class Signal(Struct, kw_only=True):
    """POST interruption-signal."""

    signal_type: Annotated[str, Meta(max_length=50)]
    signal_time: Moment
    action_time: Moment | None = None


class SignalReply(Struct, frozen=True, kw_only=True):
    """What the server does about it."""

    event_id: str
    action: SignalAction
    replica_id: str | None
    because: str


class SyncReport(Struct, kw_only=True):
    """POST replicas/{id}/sync-status: measured, never assumed.

    `measured_at` by the server's clock, as far as its answers have told; without it the report counts as new.
    """

    sync_status: SyncStatus
    state_transfer_progress: Percent
    sync_latency_ms: Count | None = None
    position: Annotated[int, Meta(ge=0, le=MAX_BIGINT)] | None = None
    measured_at: Moment | None = None
    status: ReplicaStatus | UnsetType | None = UNSET


class FallbackReply(Struct, frozen=True, kw_only=True):
    """What was recorded of the old instance."""

    switch_id: str
    sync_status: SyncStatus


class ReplicaReply(Struct, frozen=True, kw_only=True):
    """A replica as the table has it."""

    replica_id: str
    instance_id: str | None
    replica_type: str
    pool_id: str | None
    status: ReplicaStatus
    sync_status: SyncStatus | None
    state_transfer_progress: Decimal
    sync_latency_ms: int | None
    position: int | None
    ready_at: str | None


class Empty(Struct):
    """POST promote: `{}`."""


class Promotion(Struct, frozen=True, kw_only=True):
    """The move that makes a replica the primary; `epoch` is the one that it will be granted."""

    replica_id: str
    old_instance_id: str | None
    new_instance_id: str | None
    epoch: int
    switch_id: str
