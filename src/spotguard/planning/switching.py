"""Which of the three plans of ruling B1 a planned move follows, and what it is expected to cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from spotguard.domain.money import ZERO
from spotguard.domain.switches import MoveKind
from spotguard.planning.traffic import TrafficCost

STATE_DEVICE = "/dev/sdf"  # where an instance of ours carries its workload's state
ROOT_DEVICES = frozenset({"/dev/sda1", "/dev/xvda"})  # EC2: the names of a root device, by virtualization

_HUNDREDTH = Decimal("0.01")

# assumed until a client's own moves have been measured (`Measured`)
_BOOT_MINUTES = Decimal(2)  # launch to enrolled
_SYNC_GIB_PER_MINUTE = Decimal(6)  # 100 MB/s over the network of one AZ or region
_IMAGE_MINUTES = Decimal(8)  # CreateImage takes minutes, sometimes hours

ASSUMED = "assumed"

NO_SYNC = (
    "the serving instance has no state sync, so that no standby and no synced move can carry its state: name "
    "state_path in its agent's settings, or move by volume or image"
)


ON_ROOT = (
    "its agent says that the state (state_path) lies on the disk that the instance boots from, and no volume that "
    "moves takes it along: move it synced or by image, or lay the state on a volume of its own"
)


@dataclass(frozen=True)
class Measured:
    """Medians over so many former moves of one kind. `serving_minutes`: from the launch of the new instance until it
    served, None where standbys were promoted and nothing was launched.
    """

    moves: int
    downtime_minutes: Decimal
    serving_minutes: Decimal | None = None

    @property
    def source(self) -> str:
        return f"measured over {self.moves} moves"


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
    measured: Mapping[MoveKind, Measured] = field(default_factory=dict)
    traffic: TrafficCost | None = None  # None: no route is configured
    launched: bool = False  # the standby is made for this move
    kept: bool = False  # the target is the old instance of the last move, in sync
    state_on_root: bool = False  # it stays with the instance, whichever volumes move


@dataclass(frozen=True)
class MovePlan:
    """The chosen plan, as it is shown before it starts. Unknown cost is None; each time says where it comes from.

    `downtime_minutes` is the workload's, until clients reach it: what the traffic adds is also shown by itself.
    """

    kind: MoveKind
    downtime_minutes: Decimal
    overlap_minutes: Decimal
    overlap_usd: Decimal | None
    because: str
    downtime_from: str = ASSUMED
    overlap_from: str = ASSUMED
    state_gib: int | None = None
    traffic: TrafficCost | None = None


def choose(facts: MoveFacts) -> MovePlan:
    """Synced by default: seconds of downtime. The volume itself travels when it can, since then nothing is copied
    and single attachment is the fence. An image is for a state that nothing can sync.
    """
    if facts.kept:
        return _plan(
            facts,
            MoveKind.SYNCED,
            "back to the kept old instance: only what it lacks is copied, nothing is lost",
        )
    if facts.forced is not None:
        return _plan(facts, facts.forced, f"ordered as a {facts.forced} move")
    if facts.standby:
        return _plan(facts, MoveKind.SYNCED, "a standby holds the state: only the last delta is copied")
    if facts.same_az and facts.state_gib is not None and not facts.state_on_root:
        return _plan(
            facts, MoveKind.VOLUME, "same availability zone: the volume itself moves, nothing is copied"
        )
    if facts.can_sync:
        return _plan(facts, MoveKind.SYNCED, "the state is copied while the old instance serves")
    return _plan(
        facts, MoveKind.IMAGE, "no verified sync: the gate closes first, then an image carries the state"
    )


def why_impossible(facts: MoveFacts) -> str | None:
    """Why this move could never end; None: it can. What nothing syncs is carried by volume or image only."""
    if facts.forced is MoveKind.VOLUME and facts.state_on_root:
        return ON_ROOT
    synced = facts.standby or facts.kept or facts.forced is MoveKind.SYNCED
    return NO_SYNC if synced and not facts.can_sync else None


def _plan(facts: MoveFacts, kind: MoveKind, because: str) -> MovePlan:
    downtime, downtime_from = _downtime(facts, kind)
    if facts.traffic is not None:
        downtime += Decimal(facts.traffic.seconds) / 60
    preparing, overlap_from = _preparing(facts, kind)
    overlap = preparing + Decimal(facts.wait_seconds) / 60
    hourly = facts.overlap_usd_per_hour
    return MovePlan(
        kind=kind,
        downtime_minutes=downtime.quantize(_HUNDREDTH),
        overlap_minutes=overlap.quantize(_HUNDREDTH),
        overlap_usd=None if hourly is None else (hourly * overlap / 60).quantize(Decimal("0.000001")),
        because=because,
        downtime_from=downtime_from,
        overlap_from=overlap_from,
        state_gib=facts.state_gib,
        traffic=facts.traffic,
    )


def _downtime(facts: MoveFacts, kind: MoveKind) -> tuple[Decimal, str]:
    """Minutes from the closed gate on the old instance to the open one on the new, and whence they are known."""
    measured = facts.measured.get(kind)
    if measured is not None:
        return measured.downtime_minutes, measured.source
    imaging = _IMAGE_MINUTES + _BOOT_MINUTES
    assumed = {
        MoveKind.SYNCED: Decimal("0.2"),
        MoveKind.VOLUME: Decimal("0.5"),
        MoveKind.IMAGE: imaging,
        MoveKind.SNAPSHOT: imaging,
    }
    return assumed[kind], ASSUMED


def _preparing(facts: MoveFacts, kind: MoveKind) -> tuple[Decimal, str]:
    """Minutes from the launch of the new instance until it serves; none of what runs anyway."""
    if (facts.standby and not facts.launched) or facts.kept or kind is MoveKind.SNAPSHOT:
        return ZERO, ASSUMED
    measured = facts.measured.get(kind)
    if measured is not None and measured.serving_minutes is not None:
        return measured.serving_minutes, measured.source
    copying = Decimal(facts.state_gib or 0) / _SYNC_GIB_PER_MINUTE if kind is MoveKind.SYNCED else ZERO
    return _BOOT_MINUTES + copying, ASSUMED
