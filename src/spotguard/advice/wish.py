"""What is asked: for which workload, what its downtime is worth, and what else is to be counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from spotguard.backtest.physics import Physics
from spotguard.engine.stakes import WAIT_HOURS, Stakes

HOURS = 720
"""Of the 30 days for which every monthly figure is told."""

SAVINGS_PLAN = Decimal("0.28")
"""What a 1-year Compute Savings Plan takes off, as SpotBench has it; discounts differ by type and region."""


class Profile(StrEnum):
    """How much downtime hurts, as SpotBench's profiles have it."""

    STATELESS = "stateless"
    STATEFUL = "stateful"
    CRITICAL = "critical"


WEIGHT = {Profile.STATELESS: 10, Profile.STATEFUL: 100, Profile.CRITICAL: 1000}
"""λ: what a minute of downtime is worth, in minutes of its on-demand price."""


class StandbyWish(StrEnum):
    """Whether the plan may have, must have or must not have a standby."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True)
class Disks:
    """Its EBS volumes together, and what a GiB of them and of their snapshots costs a month; None: not counted."""

    gib: int = 0
    volume_usd_per_gib_month: Decimal | None = None
    snapshot_usd_per_gib_month: Decimal | None = None


@dataclass(frozen=True)
class Wish:
    """`minute_usd`: what a minute of downtime is worth; None: what the profile says."""

    profile: Profile = Profile.STATELESS
    minute_usd: Decimal | None = None
    standby: StandbyWish = StandbyWish.AUTO
    savings_plan: Decimal = SAVINGS_PLAN
    disks: Disks = Disks()
    physics: Physics = field(default_factory=Physics)
    seed: int = 1

    def minute_value(self, ondemand_usd: float) -> float:
        """USD. `ondemand_usd`: per hour."""
        return WEIGHT[self.profile] * ondemand_usd / 60 if self.minute_usd is None else float(self.minute_usd)

    def stakes(self, ondemand_usd: float) -> Stakes:
        """What moves and interruptions cost this workload, in its zone."""
        physics = self.physics
        return Stakes(
            ondemand_usd,
            self.minute_value(ondemand_usd),
            physics.terminate_wait / 3600,
            serving_hours=physics.serving / 3600,
            planned_minutes=physics.cut_over / 60,
            interruption_minutes=max(0.0, physics.serving + physics.cut_over - physics.notice) / 60,
            promotion_minutes=physics.cut_over / 60,
        )


def interruption_usd(stakes: Stakes, present_usd: float) -> float:
    """What one costs in a pool at this price: its minutes, an hour or so on demand, and the way back to spot."""
    waiting = max(0.0, stakes.ondemand_usd - present_usd) * WAIT_HOURS
    return stakes.downtime_usd() + waiting + stakes.move_usd(stakes.ondemand_usd)
