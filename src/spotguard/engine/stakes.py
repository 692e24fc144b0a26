"""What moves and interruptions cost one workload, in USD: its minutes, and the hours in which two instances run."""

from __future__ import annotations

import math
from dataclasses import dataclass

SERVING_HOURS = (
    210 / 3600
)  # boot and restore of a new instance: SpotBench's physics, until a fleet's own are measured
PLANNED_MINUTES = 0.25  # cut-over of a synced move
INTERRUPTION_MINUTES = 1.75  # boot, restore and cut-over, less the two minutes of notice
PROMOTION_MINUTES = 0.25  # with a ready standby
WAIT_HOURS = 1.0  # on demand after an interruption, until a pool is worth a return: measured in storms
HORIZON_HOURS = 72.0
"""Within which a move has to pay. Differences in price last longer (docs/engine.md), but each one that is taken at once
may be overtaken by a larger one: a shorter horizon keeps moves few.
"""

DARING_HOURS = 3.0
"""Of on-demand's price: a loss far below it is a cost among others, one far above it is not to be gambled on."""


@dataclass(frozen=True)
class Stakes:
    """One workload. `minute_usd`: what a minute of downtime is worth; `wait_hours`: the old instance is kept so long
    after a planned move.
    """

    ondemand_usd: float
    minute_usd: float
    wait_hours: float
    serving_hours: float = SERVING_HOURS
    planned_minutes: float = PLANNED_MINUTES
    interruption_minutes: float = INTERRUPTION_MINUTES
    promotion_minutes: float = PROMOTION_MINUTES
    horizon_hours: float = HORIZON_HOURS

    def move_usd(self, present_usd: float) -> float:
        """A planned move: the old instance runs on for a while, and the cut-over."""
        return present_usd * (self.serving_hours + self.wait_hours) + self.planned_minutes * self.minute_usd

    def interruption_usd(self, present_usd: float, *, strands: bool) -> float:
        """`strands`: on demand, from a spot pool, so that what the way back to spot costs is lost too."""
        return self.downtime_usd() + (self._return_usd(present_usd) if strands else 0.0)

    def downtime_usd(self) -> float:
        return self.interruption_minutes * self.minute_usd

    def caution(self) -> float:
        """How much of the doubt in a pool's rate counts, from 0 to 1: the more an interruption takes, the more."""
        return -math.expm1(-((self.downtime_usd() / (DARING_HOURS * self.ondemand_usd)) ** 2))

    def proof_hours(self, usd_per_hour: float) -> float:
        """For how long a pool has to stay up between two falls, so that what it saves pays for their minutes."""
        saving = self.ondemand_usd - usd_per_hour
        return math.inf if saving <= 0 else self.downtime_usd() / saving

    def promotion_usd(self, present_usd: float, *, strands: bool) -> float:
        return self.promotion_minutes * self.minute_usd + (self._return_usd(present_usd) if strands else 0.0)

    def _return_usd(self, present_usd: float) -> float:
        waiting = max(0.0, self.ondemand_usd - present_usd) * WAIT_HOURS
        return waiting + self.move_usd(self.ondemand_usd)


@dataclass(frozen=True)
class StandbyWorth:
    """`usd_per_hour` gained by a standby, negative where it does not pay."""

    pays: bool
    usd_per_hour: float
    because: str


def standby(rate: float, standby_usd: float, standby_rate: float, stakes: Stakes) -> StandbyWorth:
    """A standby saves downtime at each interruption that it survives itself, and costs its instance every hour."""
    both_fall = min(1.0, standby_rate * stakes.serving_hours)
    saved_minutes = (stakes.interruption_minutes - stakes.promotion_minutes) * (1 - both_fall)
    saved = rate * saved_minutes * stakes.minute_usd
    gain = saved - standby_usd
    what = (
        f"{rate:.4f} interruptions an hour × {saved_minutes:.2f} min saved × {stakes.minute_usd:.4f} USD a minute "
        f"= {saved:.4f} USD/h, a standby costs {standby_usd:.4f}"
    )
    return StandbyWorth(gain > 0, gain, what)
