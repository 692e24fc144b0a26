"""What a policy is told, and what it answers.

The simulator makes a `View` for each question; it holds what is known at that moment and nothing else: prices until
now, the policy's own launches, probes and interruptions, advisor snapshots dated until now. Times are seconds since
1970 (UTC), prices USD per hour, pools are numbered as in `View.pools`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from math import inf
from typing import Protocol

import numpy as np
import numpy.typing as npt

from spotguard.domain.pools import Pool

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]

ONDEMAND = -1
"""The number of on-demand among the pools."""


class Sight(StrEnum):
    """How a policy came to know that a pool was up or down."""

    LAUNCH = "launch"
    PROBE = "probe"
    INTERRUPTION = "interruption"


@dataclass(frozen=True)
class Look:
    """One pool, seen up or down at a moment."""

    at: float
    up: bool
    how: Sight


@dataclass(frozen=True)
class Move:
    """A planned move that was carried out. `forced`: back to spot after an interruption, an escape or the start."""

    at: float
    left: int
    to: int
    forced: bool


@dataclass(frozen=True)
class Stay:
    """Where a spot instance of ours ran, and since when; `until` infinite: it runs there now."""

    pool: int
    since: float
    until: float = inf


@dataclass
class Memory:
    """What happened to one workload so far."""

    looks: dict[int, list[Look]] = field(default_factory=dict)
    stays: list[Stay] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    interruptions: list[tuple[float, int]] = field(default_factory=list)

    def last(self, pool: int) -> Look | None:
        looks = self.looks.get(pool)
        return looks[-1] if looks else None


@dataclass(frozen=True)
class View:
    """One workload at `now`. Arrays are over pools; NaN: no price is known, bucket -1: unknown.

    `at`: its pool or `ONDEMAND`, serving there since `since`. `forced`: on demand by an interruption or an escape, not
    by choice. `standby`: where it has one, `standby_ready_at` when that could take over. `signalled_at`: when its
    present instance last got a rebalance recommendation, -inf: never. `minute_usd`: what a minute of downtime is worth
    to its owner. `up_since`: only for who is told the state of every pool (`Policy.sees_states`), NaN where it is down.
    """

    now: float
    started: float
    pools: Sequence[Pool]
    home: Pool
    usd: Floats
    ondemand_usd: float
    buckets: Numbers
    at: int
    since: float
    forced: bool
    standby: int | None
    standby_ready_at: float
    signalled_at: float
    minute_usd: float
    memory: Memory
    prices_before: Callable[[float], Floats]
    up_since: Floats | None = None

    @property
    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)

    @property
    def present_usd(self) -> float:
        return self.ondemand_usd if self.at == ONDEMAND else float(self.usd[self.at])

    def may_look(self, pool: int, pause: float = 300.0) -> bool:
        """Whether the last look is long enough ago for a probe or a voluntary launch."""
        last = self.memory.last(pool)
        return last is None or last.up or self.now - last.at >= pause


@dataclass(frozen=True)
class Wake:
    """When a policy wants to be asked again if nothing happens to its workload before: the first that comes true.

    `any_change`: a price of an allowed pool changes. `cheaper`: another pool costs at most this share of the present
    price. `below_usd`: any pool costs at most this. `above_usd`: the present pool costs at least this.
    """

    at: float = inf
    any_change: bool = False
    cheaper: float | None = None
    below_usd: float | None = None
    above_usd: float | None = None


@dataclass(frozen=True)
class Intention:
    """What a policy wants. `go` None: stay; a pool's number or `ONDEMAND`: move there. `standby`: where one is to be
    from now on, None: nowhere. `probes`: pools to try a launch in; the outcome is known at the next question.
    """

    go: int | None = None
    standby: int | None = None
    probes: tuple[int, ...] = ()
    wake: Wake = Wake()


class Policy(Protocol):
    """Decides for one workload. A new one is made for each window, so it may remember."""

    sees_states: bool

    def decide(self, view: View) -> Intention:
        """Asked at the start, after whatever happened to the workload, and when `Wake` says so."""
        ...

    def fall_back(self, view: View) -> Sequence[int]:
        """Its instance got a notice: pools to launch in, in order; on demand follows after the last by itself."""
        ...


Make = Callable[[], Policy]
Policies = Mapping[str, Make]
