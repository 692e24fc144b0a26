"""What launches, moves and interruptions take, in seconds: SpotBench's defaults, all of them settable."""

from __future__ import annotations

from dataclasses import dataclass

HOUR = 3600.0
DAY = 86_400.0
MONTH = 30 * DAY


@dataclass(frozen=True)
class Physics:
    """Seconds. `notice` 0: an interruption comes without a word. `rebalance`: whether signals are sent at all."""

    boot: float = 150.0
    restore: float = 60.0
    cut_over: float = 15.0
    snapshot: float = 300.0
    terminate_wait: float = 1800.0
    notice: float = 120.0
    refusal: float = 20.0
    least_billed: float = 60.0
    probe_pause: float = 300.0
    waived: float = HOUR
    rebalance: bool = False

    @property
    def serving(self) -> float:
        """From a launch until the new instance could take over."""
        return self.boot + self.restore

    @property
    def interruption_minutes(self) -> float:
        """Down with nobody standing by, where the volume is: what the notice does not cover."""
        return max(0.0, self.serving + self.cut_over - self.notice) / 60

    @property
    def overlap_hours(self) -> float:
        """For how long a planned move bills both."""
        return (self.serving + self.terminate_wait) / HOUR
