"""The client API's markets, savings, health, and what people may set."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from spotguard.domain.instances import Mode
from spotguard.domain.switches import MoveKind, Step, WhenLate
from spotguard.wire.client import EventState, FallbackState, Given, Moment, Percent, Taken, Usd
from spotguard.wire.client_models import ModelState
from spotguard.wire.wanted import Wanted

KillWord = Literal["none", "voluntary", "all"]
_BIG = 2**31 - 1
Whole = Annotated[int, Field(strict=True, ge=0, le=_BIG), Wanted()]
Sentence = Annotated[
    str,
    StringConstraints(max_length=1000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$"),
    Wanted("text of at most 1000 characters, without control characters"),
]
HourlyUsd = Annotated[
    Decimal, Field(ge=0, lt=1_000_000, max_digits=12, decimal_places=6), Wanted(unit="USD an hour")
]


class RestorePoint(Given):
    """One image of a workload. `monthlyUsd` counts its snapshots in full, null while EC2 has not shown them."""

    image_id: str
    state: Literal["pending", "done", "failed"]
    made_at: Moment
    age_seconds: float
    size_gib: int
    monthly_usd: Usd | None

    @classmethod
    def of(cls, row: Any, now: datetime) -> RestorePoint:
        """From a row of `store.restore_points.listed`."""
        return cls(
            image_id=row.id,
            state=row.state,
            made_at=row.created_at,
            age_seconds=(now - row.created_at).total_seconds(),
            size_gib=row.gib,
            monthly_usd=None if row.rate is None else row.gib * row.rate,
        )


class PoolOffer(Given):
    """One pool as a target for an instance.

    `allowed`: SpotGuard would move there now by itself, `because` says why not; a person may force a switch to any
    priced pool but the present one. `risk`: percent within 6 h, by the age-hazard rule from what the tenant's own
    instances saw. `aboveRiskLimit`: it exceeds the agent's own limit, past which only a return to spot after a forced
    stay on demand goes.
    """

    id: str
    name: str
    az: str
    price: Usd | None
    age_seconds: float | None
    saving_percent: Percent | None
    risk: Percent | None
    quarantined_until: Moment | None
    allowed: bool
    because: str
    above_risk_limit: bool


class InstancePricing(Given):
    """The manual switching panel."""

    current_mode: Mode | None
    current_pool: str | None
    on_demand: Usd | None
    pools: list[PoolOffer]


class PriceSeries(Given):
    """A step function: each price holds until the next point; null: from then on nothing is known."""

    id: str
    points: list[tuple[Moment, Usd | None]]


class Mark(Given):
    """Something that happened, for the chart."""

    time: Moment
    kind: Literal["switch", "signal"]
    label: str


class PriceHistory(Given):
    """One step series per pool of an instance's type and region."""

    pools: list[PriceSeries]
    on_demand_price: Usd | None
    marks: list[Mark]


class ForceSwitch(Taken):
    """Move this instance's workload now."""

    target: Literal["pool", "ondemand", "on-demand"]
    pool_id: Annotated[str, StringConstraints(max_length=128)] | None = None
    kind: Literal["synced", "volume", "image"] | None = None  # how the state travels; unset: chosen and shown


class KeptInstance(Given):
    """The old instance of the last move, which waits for its end at the place that is ordered.

    `goesBack`: the order goes back to it; else a new instance is launched, and `because` says why. `state`: what it
    has; null when it has told nothing.
    """

    instance_id: str
    goes_back: bool
    because: str
    state: FallbackState | None


class ForcedSwitch(Given):
    """Accepted: follow the command or the switch."""

    command_id: str | None
    switch_id: str
    kind: MoveKind
    kept: KeptInstance | None = None


class PlannedStep(Given):
    """A step with its time, counted from the step before it, and what happens when that is over."""

    step: Step
    within_seconds: int
    when_late: WhenLate


class PlannedTraffic(Given):
    """What bringing the clients along adds to the downtime, at the most that is expected."""

    driver: str
    seconds: int
    because: str


class MovePreview(Given):
    """What a switch would be and cost if it were ordered now; nothing was done.

    `downtimeFrom`, `overlapFrom`: `assumed`, or `measured over N moves` of this tenant's; the downtime also counts the
    traffic's seconds. Overlap is the time in which both instances are billed. Unknown is null.
    """

    kind: MoveKind
    because: str
    target_mode: Mode
    target_pool: str | None
    downtime_minutes: Percent
    downtime_from: str
    overlap_minutes: Percent
    overlap_from: str
    overlap_usd: Usd | None
    old_usd_per_hour: Usd | None
    new_usd_per_hour: Usd | None
    on_demand_usd_per_hour: Usd | None
    saved_usd_per_hour: Usd | None
    state_gib: int | None
    traffic: PlannedTraffic | None
    auto_terminate: bool
    terminate_wait_seconds: int
    deadline_at: Moment
    steps: list[PlannedStep]
    warnings: list[str]
    kept: KeptInstance | None


class LeftoverState(Given):
    """Something of ours that nothing needs: why it is ours, why nothing needs it, what becomes of it.

    `mayGoAt` null: noted in the next look, or kept for a person, as `plan` says. `usdPerMonth` null: not known.
    """

    resource_id: str
    kind: str
    agent_id: str | None
    since: Moment
    ours_because: str
    loose_because: str
    plan: str
    suspect_since: Moment | None
    may_go_at: Moment | None
    usd_per_month: Usd | None


class LeftoversState(Given):
    """`items`: oldest first, nothing of it is done yet; the sum counts what is known. `done`: newest first."""

    items: list[LeftoverState]
    usd_per_month: Usd
    done: list[EventState]


class Rejection(Taken):
    """No to a proposal; the reason is kept with the decision."""

    reason: Annotated[Sentence, StringConstraints(min_length=1)] | None = None


class Spending(Given):
    """Metered USD. `waivedUsd` is negative: AWS ended an instance within its first hour.

    `unpricedSeconds`: of instances whose price nobody knew then; they are in no sum, on-demand included.
    """

    on_demand_usd: Usd
    compute_usd: Usd
    replica_usd: Usd
    overlap_usd: Usd
    probe_usd: Usd
    storage_usd: Usd
    waived_usd: Usd
    saved_usd: Usd
    saved_percent: Percent | None
    unpriced_seconds: int


class SpendingGroup(Spending):
    """One day, agent or pool."""

    key: str | None
    label: str | None


class Savings(Spending):
    """The whole span and, if asked for, its groups."""

    since: Moment | None = Field(serialization_alias="from")
    until: Moment | None = Field(serialization_alias="to")
    group: str | None
    groups: list[SpendingGroup]


class InvariantReport(Given):
    """Which invariants were checked just now, and what does not hold: at most 200 sentences, and how many there are."""

    checked: list[str]
    broken: list[str]
    broken_count: int


class CoordinatorState(Given):
    """A coordinator's lease: alive until then, unless it renews it; of one that ended, when."""

    name: str
    alive: bool
    until: Moment


class AgentBehind(Given):
    """An agent whose serving instance has not been heard."""

    id: str
    logical_agent_id: str
    last_heartbeat_at: Moment | None


class AgentUnserved(Given):
    """An agent that nobody serves, and what it waits for."""

    id: str
    logical_agent_id: str
    why: str


class QueueState(Given):
    """Commands that wait or are in hand."""

    pending: int
    leased: int
    oldest_pending_at: Moment | None


class KillState(Given):
    """One switch of those that hold here."""

    scope: str
    level: KillWord
    reason: str
    updated_at: Moment


class KillSwitches(Given):
    """What holds for `scope` (`client`, or an agent's id): the strongest level, and every switch of the tenant's.

    `note` says what the level stops there.
    """

    scope: str
    level: KillWord
    note: str
    switches: list[KillState]


class KillChange(Taken):
    """`scope`: `client`, or an agent's id."""

    level: KillWord
    scope: Annotated[str, StringConstraints(max_length=36)] = "client"
    reason: Annotated[Sentence, StringConstraints(min_length=1)]


class Health(Given):
    """What a tenant looks at to know whether all is well.

    `killSwitch`: what holds for all of its agents; `killSwitches`: every switch that stops something.
    `agentsBehind`: the 200 that have been silent longest, of `agentsBehindCount`. `listeningUntil`: the server was away
    itself, and until then counts nobody as silent who was not before; null otherwise. `agentsUnserved`: the first 200
    by name whose holder has let go or ended while no move replaces it, or while their recovery waits for something.
    """

    invariants: InvariantReport
    coordinators: list[CoordinatorState]
    agents_behind: list[AgentBehind]
    agents_behind_count: int
    agents_unserved: list[AgentUnserved]
    agents_unserved_count: int
    listening_until: Moment | None
    queue: QueueState
    model: ModelState
    kill_switch: KillWord
    kill_switches: list[KillState]


class Limits(Given):
    """They bind voluntary and standby launches, never an emergency; null is unlimited."""

    max_instances: int | None
    max_hourly_usd: Usd | None
    max_launches_per_hour: int | None


class LimitsChange(Taken):
    """What is not named stays; null lifts it."""

    max_instances: Whole | None = None
    max_hourly_usd: HourlyUsd | None = None
    max_launches_per_hour: Whole | None = None
