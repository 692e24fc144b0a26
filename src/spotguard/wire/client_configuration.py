"""The client API's configuration of an agent, as people set it: its bounds, and what each member takes in words."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field, StringConstraints

from spotguard.domain.agents import HIGHEST_TERMINATE_WAIT_SECONDS, Autonomy
from spotguard.wire.client import Taken
from spotguard.wire.client_traffic import TrafficChange
from spotguard.wire.wanted import Wanted

TypeName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9-]*\.[a-z0-9-]+$", max_length=32),
    Wanted("an instance type, such as m5.large"),
]
AzName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z]{2}(-[a-z]+)+-\d[a-z]$", max_length=32),
    Wanted("an availability zone, such as us-east-1a"),
]
Flag = Annotated[bool, Field(strict=True), Wanted()]
WaitSeconds = Annotated[
    int, Field(strict=True, ge=0, le=HIGHEST_TERMINATE_WAIT_SECONDS), Wanted(unit="seconds")
]
WaitMinutes = Annotated[
    int, Field(strict=True, ge=0, le=HIGHEST_TERMINATE_WAIT_SECONDS // 60), Wanted(unit="minutes")
]
SavingsPercent = Annotated[
    Decimal, Field(ge=0, le=100, max_digits=6, decimal_places=2), Wanted("5 means 5 %")
]
PoolHours = Annotated[Decimal, Field(ge=0, le=720, max_digits=6, decimal_places=2), Wanted(unit="hours")]
Risk = Annotated[Decimal, Field(ge=0, le=1, decimal_places=4), Wanted("0.3 means 30 %")]
AgentUsd = Annotated[
    Decimal,
    Field(gt=0, lt=1000, max_digits=9, decimal_places=6),
    Wanted("null for no cap", unit="USD an hour"),
]
MinuteUsd = Annotated[
    Decimal, Field(ge=0, lt=100_000, max_digits=11, decimal_places=6), Wanted(unit="USD a minute")
]
GroupId = Annotated[
    str,
    StringConstraints(pattern=r"^sg-[0-9a-f]{8,17}$", max_length=32),
    Wanted("the id of a security group, such as sg-0123456789abcdef0"),
]


class ConfigurationChange(Taken):
    """Any of them; what is not named stays. `maxHourlyUsd` null lifts the cap, `restorePointHours` null makes none,
    `fenceAfterMinutes` null never ends a primary that hangs, `minuteValueUsd` null counts ten times what a minute on
    demand costs, `traffic` null moves none. `quarantineGroup` null: no restore drill begins by schedule, and the clone
    of one that is ordered is in its original's security groups. `maxHourlyUsd` counts all that runs for it at once.
    """

    enabled: Flag | None = None
    autonomy: Autonomy | None = None
    auto_switch_enabled: Flag | None = None
    manual_replica_enabled: Flag | None = None
    auto_terminate_enabled: Flag | None = None
    terminate_wait_seconds: WaitSeconds | None = None
    terminate_wait_minutes: WaitMinutes | None = None
    min_savings_percent: SavingsPercent | None = None
    max_switches_per_day: Annotated[int, Field(strict=True, ge=0, le=100), Wanted()] | None = None
    max_switches_per_week: Annotated[int, Field(strict=True, ge=0, le=700), Wanted()] | None = None
    min_pool_hours: PoolHours | None = None
    risk_threshold: Risk | None = None
    allowed_instance_types: Annotated[list[TypeName], Field(max_length=50)] | None = None
    allowed_azs: Annotated[list[AzName], Field(max_length=26)] | None = None
    max_hourly_usd: AgentUsd | None = None
    restore_point_hours: Annotated[int, Field(strict=True, ge=1, le=720), Wanted(unit="hours")] | None = None
    restore_points_kept: Annotated[int, Field(strict=True, ge=1, le=30), Wanted()] | None = None
    fence_after_minutes: Annotated[int, Field(strict=True, ge=3, le=1440), Wanted(unit="minutes")] | None = (
        None
    )
    restore_drill_days: (
        Annotated[int, Field(strict=True, ge=0, le=90), Wanted("0 for none", unit="days")] | None
    ) = None
    minute_value_usd: MinuteUsd | None = None
    quarantine_group: GroupId | None = None
    traffic: TrafficChange | None = None
