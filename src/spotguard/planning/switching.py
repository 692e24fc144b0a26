"""Which of the three plans of ruling B1 a planned move follows, and what it is expected to cost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from spotguard.domain.money import ZERO
from spotguard.domain.switches import MoveKind

STATE_DEVICE = "/dev/sdf"  # where an instance of ours carries its workload's state

_BOOT_MINUTES = Decimal(2)  # launch to enrolled; a field value, replaced by measurements when there are some
_SYNC_GIB_PER_MINUTE = Decimal(6)  # 100 MB/s over the network of one AZ or region
_IMAGE_MINUTES = Decimal(8)  # CreateImage takes minutes, sometimes hours

_DEADLINES = {
    MoveKind.SYNCED: timedelta(hours=1),  # the first pass copies everything
    MoveKind.VOLUME: timedelta(minutes=20),
    MoveKind.IMAGE: timedelta(hours=2),
    MoveKind.SNAPSHOT: timedelta(hours=2),
}


@dataclass(frozen=True)
class MoveFacts:
    """What the choice depends on. `state_gib` None: no state volume is known."""

    same_az: bool
    standby: bool  # the target is a replica that is kept in sync
    state_gib: int | None
    can_sync: bool = True
    forced: MoveKind | None = None
    overlap_usd_per_hour: Decimal | None = None
    wait_seconds: int = 0


@dataclass(frozen=True)
class MovePlan:
    """The chosen plan, as it is shown before it starts. Unknown cost is None."""

    kind: MoveKind
    downtime_minutes: Decimal
    overlap_minutes: Decimal
    overlap_usd: Decimal | None
    because: str


def choose(facts: MoveFacts) -> MovePlan:
    """Synced by default: seconds of downtime. The volume itself travels when it can, since then nothing is copied
    and single attachment is the fence. An image is for a state that nothing can sync.
    """
    if facts.forced is not None:
        return _plan(facts, facts.forced, f"asked for as {facts.forced}")
    if facts.standby:
        return _plan(facts, MoveKind.SYNCED, "a standby holds the state: only the last delta is copied")
    if facts.same_az and facts.state_gib is not None:
        return _plan(
            facts, MoveKind.VOLUME, "same availability zone: the volume itself moves, nothing is copied"
        )
    if facts.can_sync:
        return _plan(facts, MoveKind.SYNCED, "the state is copied while the old instance serves")
    return _plan(
        facts, MoveKind.IMAGE, "no verified sync: the gate closes first, then an image carries the state"
    )


def deadline_of(kind: MoveKind) -> timedelta:
    """How long a move may prepare before it unwinds."""
    return _DEADLINES[kind]


def _plan(facts: MoveFacts, kind: MoveKind, because: str) -> MovePlan:
    copying = Decimal(facts.state_gib or 0) / _SYNC_GIB_PER_MINUTE
    downtime, preparing = {
        MoveKind.SYNCED: (Decimal("0.2"), ZERO if facts.standby else _BOOT_MINUTES + copying),
        MoveKind.VOLUME: (Decimal("0.5"), _BOOT_MINUTES),
        MoveKind.IMAGE: (_IMAGE_MINUTES + _BOOT_MINUTES, _BOOT_MINUTES),
        MoveKind.SNAPSHOT: (_IMAGE_MINUTES + _BOOT_MINUTES, ZERO),
    }[kind]
    overlap = preparing + Decimal(facts.wait_seconds) / 60
    hourly = facts.overlap_usd_per_hour
    return MovePlan(
        kind=kind,
        downtime_minutes=downtime.quantize(Decimal("0.1")),
        overlap_minutes=overlap.quantize(Decimal("0.1")),
        overlap_usd=None if hourly is None else (hourly * overlap / 60).quantize(Decimal("0.000001")),
        because=because,
    )
