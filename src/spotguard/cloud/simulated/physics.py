"""How this EC2 behaves: durations, limits, rates and weather. Every figure can be set; each default says its source.

Facts are AWS documentation or published measurements; what nobody publishes is an assumption and is called one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType

from spotguard.domain.ids import PoolId
from spotguard.domain.instances import Mode
from spotguard.domain.quotas import QuotaClass
from spotguard.domain.signals import NOTICE_SECONDS

Span = tuple[int, int]  # whole seconds, drawn evenly between the two, both included


@dataclass(frozen=True)
class Bucket:
    """A token bucket: a call takes one; `per_second` flow back up to `size`."""

    size: int
    per_second: float


# EC2 API throttling guide: non-mutating 100 and 20/s, mutating 50 and 5/s, RunInstances 5 and 2/s.
BUCKETS: Mapping[str, Bucket] = MappingProxyType(
    {"describe": Bucket(100, 20), "change": Bucket(50, 5), "launch": Bucket(5, 2)}
)
UNLIMITED: Mapping[str, Bucket] = MappingProxyType({})


@dataclass(frozen=True)
class Physics:
    """Durations and rates. A launch takes about 60 to 90 s until the agent starts (assumption; settable)."""

    pending_seconds: Span = (5, 15)
    boot_seconds: Span = (55, 75)  # from running until the agent's process starts
    reboot_seconds: Span = (20, 40)
    stop_seconds: Span = (5, 40)
    terminate_seconds: Span = (5, 40)  # shutting-down
    visible_after_seconds: Span = (0, 3)  # eventual consistency: a fresh id is unknown for so long
    vanish_after_seconds: int = 3600  # DescribeInstances shows a terminated instance for about an hour
    volume_seconds: Span = (1, 5)
    detach_seconds: Span = (2, 10)
    delete_seconds: Span = (1, 5)
    snapshot_seconds: Span = (40, 120)
    snapshot_seconds_per_gib: float = 2.0
    incremental_share: float = 0.3  # of the time per GiB, once the volume has a finished snapshot
    image_extra_seconds: Span = (20, 60)  # after its last snapshot
    pending_snapshots_per_volume: int = 5
    root_gib: int = 8
    # us-east-1 list prices of 2024: gp3, and standard snapshots (billed here by full size, not by changed blocks)
    volume_usd_per_gib_month: Decimal = Decimal("0.08")
    snapshot_usd_per_gib_month: Decimal = Decimal("0.05")
    buckets: Mapping[str, Bucket] = field(default_factory=lambda: BUCKETS)


@dataclass(frozen=True)
class Quotas:
    """vCPUs per class, spot and on-demand apart; `usual` for a class that is not named."""

    spot: Mapping[QuotaClass, int] = field(default_factory=dict)
    ondemand: Mapping[QuotaClass, int] = field(default_factory=dict)
    usual: int = 640

    def limit(self, quota_class: QuotaClass, mode: Mode) -> int:
        return (self.spot if mode is Mode.SPOT else self.ondemand).get(quota_class, self.usual)


@dataclass(frozen=True)
class Climate:
    """Interruptions: semi-synthetic. The rates follow the Spot Instance Advisor, their times are drawn.

    A calm pool has the advisor's best bucket (.025 a month of 720 h), a stormy one a thousand times that. `stormy`
    names the stormy pools; without it every pool is one with probability `stormy_share`. `per_hour` overrides both.
    Rebalance recommendations: before half of the interruptions, exponential lead of ten minutes, and one false alarm
    for each true one. That and the dry spells are assumptions: nobody publishes them.
    """

    calm_per_hour: float = 0.025 / 720
    stormy_per_hour: float = 25 / 720
    stormy: frozenset[PoolId] | None = None
    stormy_share: float = 0.2
    per_hour: Mapping[PoolId, float] = field(default_factory=dict)
    notice_seconds: int = NOTICE_SECONDS
    unheard_share: float = 0.05  # of the interruptions come without a notice
    together_seconds: int = 180  # over 92 % of a pool's interruptions fall within three minutes
    rebalance_share: float = 0.5
    rebalance_lead_seconds: float = 600
    false_alarms_per_true_one: float = 1.0
    dry_after_hours: float = 2.0  # mean, from the first notice of a wave on
    dry_spells_per_interruption: float = 1.0  # spells in which nothing starts and everything runs on
    dry_spell_hours: float = 1.0  # mean


STILL = Climate(calm_per_hour=0, stormy_per_hour=0)


def fixed(seconds: int) -> Span:
    """A duration without chance."""
    return seconds, seconds
