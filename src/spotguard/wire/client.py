"""The client API's bodies and replies: camelCase out, both spellings in, unknown is null, money a decimal string."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

from spotguard.domain.agents import AgentStatus, Autonomy, Executor
from spotguard.domain.clock import rfc3339
from spotguard.domain.commands import CommandStatus, CommandType, CreatedBy
from spotguard.domain.decisions import Aim, Verdict
from spotguard.domain.instances import GateState, Mode, Role
from spotguard.domain.money import usd_text
from spotguard.domain.replicas import ReplicaStatus, ReplicaType, SyncStatus
from spotguard.domain.signals import SignalAction, SignalType
from spotguard.domain.switches import MoveKind, Step, SwitchStatus, Trigger, WhenLate

T = TypeVar("T")
HealthWord = Literal["healthy", "unhealthy", "silent", "unknown", "deleted"]

Moment = Annotated[
    datetime,
    PlainSerializer(rfc3339, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]
Usd = Annotated[
    Decimal,
    PlainSerializer(usd_text, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^-?\d+(\.\d+)?$"}, mode="serialization"),
]
Percent = Annotated[Decimal, PlainSerializer(float, return_type=float)]


class Given(BaseModel):
    """What the server gives."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, from_attributes=True, serialize_by_alias=True
    )

    @classmethod
    def of_row(cls, row: Any) -> Self:
        """From a row that has every field: `model_validate` asks it for each alias first, which takes a row long."""
        return cls(**{name: getattr(row, name) for name in cls.model_fields})


class Taken(BaseModel):
    """What the server takes: a field that it does not know is refused, since a typing error in a guard-rail is one."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class Listed(Given, Generic[T]):
    """A page of a list."""

    items: list[T]
    next_cursor: str | None = None


class Me(Given):
    """The tenant, and the server's version."""

    id: str
    name: str
    email: str | None
    executor: Executor
    created_at: Moment
    version: str


class SignalBrief(Given):
    """The newest signal of the serving instance."""

    event_id: str
    signal_type: SignalType
    signal_time: Moment
    action: SignalAction
    because: str | None


class LastDrill(Given):
    """The newest failover drill that is over, with what it measured; unknown is null."""

    drill_id: str
    passed: bool
    at: Moment
    seconds: Percent | None
    outage_seconds: Percent | None
    because: str | None


class RestoreCertificate(Given):
    """The newest restore drill that is over. `text`: "proven 9 h ago: 187 s, image 4 min old; its probe succeeded", or
    why it failed.
    """

    drill_id: str
    proven: bool
    at: Moment
    age_seconds: float
    seconds: Percent | None
    state_age_seconds: Percent | None
    image_id: str | None
    because: str | None
    text: str


class AgentState(Given):
    """One agent with its configuration and everything that stands around it.

    `nextAction` and `why`: what is under way or would be done next, true now. `awaitingDecisionId` waits for an answer.
    """

    id: str
    logical_agent_id: str
    status: AgentStatus
    health: HealthWord
    role: Role | None
    epoch: int
    instance_id: str | None
    instance_type: str | None
    region: str | None
    az: str | None
    current_mode: Mode | None
    current_pool_id: str | None
    price_usd: Usd | None
    on_demand_usd: Usd | None
    saving_percent: Percent | None
    replica_count: int
    instance_count: int
    current_replica_id: str | None
    last_heartbeat_at: Moment | None
    last_interruption_signal: str | None
    last_signal: SignalBrief | None
    last_drill: LastDrill | None
    restore_certificate: RestoreCertificate | None
    next_action: str
    why: str
    awaiting_decision_id: str | None
    hostname: str | None
    private_ip: str | None
    public_ip: str | None
    agent_version: str | None
    installed_at: Moment | None
    created_at: Moment
    deleted_at: Moment | None
    config: Configuration


class Traffic(Given):
    """The stored route: the fields of its driver, the others null."""

    driver: str
    arn: str | None = None
    port: int | None = None
    health_seconds: int | None = None
    allocation_id: str | None = None
    zone_id: str | None = None
    name: str | None = None
    ttl_seconds: int | None = None
    address: str | None = None
    expected_seconds: int | None = None


class Configuration(Given):
    """What people set for one agent."""

    enabled: bool
    autonomy: Autonomy
    auto_switch_enabled: bool
    manual_replica_enabled: bool
    auto_terminate_enabled: bool
    terminate_wait_seconds: int
    min_savings_percent: Percent
    max_switches_per_day: int
    max_switches_per_week: int
    min_pool_hours: Percent
    risk_threshold: Percent
    allowed_instance_types: list[str]
    allowed_azs: list[str]
    max_hourly_usd: Usd | None
    restore_point_hours: int | None
    restore_points_kept: int
    fence_after_minutes: int | None
    restore_drill_days: int
    minute_value_usd: Usd | None
    quarantine_group: str | None
    traffic: Traffic | None
    config_version: int


class StandbyCostState(Given):
    """USD an hour with a standing replica, beside on-demand; unknown is null."""

    primary_usd: Usd | None
    standby_usd: Usd | None
    storage_usd: Usd | None
    total_usd: Usd | None
    on_demand_usd: Usd | None
    dearer_than_on_demand: bool | None


class ReplicaState(Given):
    """A standby, living or past."""

    id: str
    agent_id: str
    instance_id: str | None
    replica_type: ReplicaType
    pool_id: str | None
    mode: Mode
    status: ReplicaStatus
    sync_status: SyncStatus | None
    state_transfer_progress: Percent
    sync_latency_ms: int | None
    is_active: bool
    created_by: str | None
    parent_instance_id: str | None
    hourly_cost: Usd | None
    because: str | None
    created_at: Moment
    launched_at: Moment | None
    ready_at: Moment | None
    promoted_at: Moment | None
    terminated_at: Moment | None


class DecisionState(Given):
    """A decision with its inputs and its reason. `expiresAt`: until when one that awaits approval stands."""

    id: str
    agent_id: str
    decided_at: Moment
    policy: str
    verdict: Verdict
    aim: Aim | None
    target_mode: Mode | None
    target_pool_id: str | None
    because: str
    inputs: Any
    command_id: str | None
    expires_at: Moment | None


class CommandState(Given):
    """A command as the table has it."""

    id: str
    agent_id: str
    instance_id: str
    command_type: CommandType
    target_mode: Mode | None
    target_pool_id: str | None
    priority: int
    terminate_wait_seconds: int | None
    status: CommandStatus
    created_by: CreatedBy
    trigger_type: str | None
    reason: str | None
    message: str | None
    attempt: int
    created_at: Moment
    leased_at: Moment | None
    completed_at: Moment | None
    expires_at: Moment


class EventState(Given):
    """Something that happened."""

    id: int
    agent_id: str | None
    at: Moment
    kind: str
    message: str
    detail: Any


class StepState(Given):
    """One recorded step of a move."""

    step: Step
    at: Moment
    actor: str
    detail: Any


class DueState(Given):
    """The step that a move waits for, until when, and what happens then."""

    step: Step
    at: Moment
    late: WhenLate


class FallbackState(Given):
    """What the old instance of a move has of the new one's state. `ageSeconds`: how old the newest that has arrived
    whole is. `discardsSeconds`: of the workload's writes, by going back now; 0 in sync. Null unknown.
    """

    sync_status: SyncStatus
    told_at: Moment
    age_seconds: Percent | None
    discards_seconds: Percent | None


class SwitchState(Given):
    """A move with every step and its time. `due`: what it waits for; null when over, or when a notice's time counts.

    `fallback`: of the old instance while it waits for its end; null when it has told nothing. `downtimeSeconds`: from
    the gate's closing on the old instance to its opening on the new one; null where either was not measured.
    """

    id: str
    agent_id: str
    logical_agent_id: str
    command_id: str | None
    trigger: Trigger = Field(validation_alias="event_trigger")
    status: SwitchStatus
    kind: MoveKind
    is_recovery: bool
    old_instance_id: str | None
    old_mode: Mode | None
    old_pool_id: str | None
    new_instance_id: str | None
    new_mode: Mode | None
    new_pool_id: str | None
    on_demand_price: Usd | None
    old_spot_price: Usd | None
    new_spot_price: Usd | None
    savings_impact: Usd | None
    initiated_at: Moment | None
    ami_created_at: Moment | None
    instance_launched_at: Moment | None
    instance_ready_at: Moment | None
    old_terminated_at: Moment | None
    completed_at: Moment | None
    ended_because: str | None
    lost_seconds: Percent | None
    downtime_seconds: Percent | None = None
    deadline_at: Moment | None
    due: DueState | None = None
    fallback: FallbackState | None = None
    plan: Any
    steps: list[StepState] = []


class InterruptionState(Given):
    """A signal of AWS and what was done about it."""

    id: str
    agent_id: str
    logical_agent_id: str
    instance_id: str | None
    signal_type: SignalType
    signal_time: Moment
    action_time: Moment | None
    detected_at: Moment
    action: SignalAction
    because: str | None
    replica_id: str | None
    failover_completed: bool
    failover_completed_at: Moment | None


class InstanceState(Given):
    """An EC2 instance of the tenant."""

    id: str
    agent_id: str | None
    logical_agent_id: str | None
    role: Role
    instance_type: str | None
    region: str | None
    az: str | None
    ami_id: str | None
    current_mode: Mode | None
    current_pool_id: str | None
    spot_price: Usd | None
    ondemand_price: Usd | None
    baseline_ondemand_price: Usd | None
    is_active: bool
    ec2_state: str | None
    gate: GateState | None
    workload_healthy: bool | None
    last_heartbeat_at: Moment | None
    launched_at: Moment | None
    installed_at: Moment | None
    last_switch_at: Moment | None
    terminated_at: Moment | None
    private_ip: str | None


AgentState.model_rebuild()
