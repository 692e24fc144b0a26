"""How long nobody served, from the last record that the old instance took to the first that the new one took, and how
much of that was EC2's: from a call that makes or moves something until that is done. Looks count as ours.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby, pairwise

from spotguard.cloud.simulated.physics import Physics
from spotguard.cloud.simulated.wire.faults import Call, Moment
from spotguard.cloud.simulated.wire.server import WireServer

NANO = 1e9


@dataclass(frozen=True)
class Downtime:
    """Seconds. `ours` is what is left when EC2's share is taken away."""

    total: float
    ec2: float

    @property
    def ours(self) -> float:
        return self.total - self.ec2


class Ec2Clock:
    """Notes when EC2 was at work, as its callers saw it: (begin, end) in seconds since 1970."""

    def __init__(self, wire: WireServer, physics: Physics) -> None:
        self._wire = wire
        self._begun: dict[int, float] = {}
        self._after = {  # seconds until what the call asks for is done
            "AttachVolume": 0,
            "DetachVolume": physics.detach_seconds[1],
            "CreateImage": physics.snapshot_seconds[1] + physics.image_extra_seconds[1],
            "RunInstances": physics.pending_seconds[1] + physics.boot_seconds[1],
        }
        self.spans: list[tuple[float, float]] = []
        wire.faults.watch(self._hear)

    def _hear(self, call: Call, moment: Moment) -> None:
        now = time.time()
        if moment is Moment.BEFORE:
            self._begun[threading.get_ident()] = now
            return
        begun = self._begun.pop(threading.get_ident(), now)
        if call.action in self._after:
            self.spans.append((begun, max(now, self._ready_at(call.action))))

    def _ready_at(self, action: str) -> float:
        """EC2's seconds are whole."""
        with self._wire.exclusively() as ec2:
            return (ec2.world.now + timedelta(seconds=self._after[action])).timestamp()

    def within(self, begin: float, end: float) -> float:
        """Seconds of [begin, end] in which EC2 was at work, overlaps counted once."""
        share, reached = 0.0, begin
        for begun, ended in sorted(self.spans):
            since, until = max(begun, reached), min(ended, end)
            if until > since:
                share += until - since
                reached = until
        return share


def handovers(acks: Sequence[str]) -> list[tuple[int, int, str, str]]:
    """(last nanoseconds on the old, first on the new, old, new) of each, by the client's own notes."""
    rows = [line.split() for line in acks]
    turns = [list(group) for _, group in groupby(rows, key=lambda row: row[2])]
    return [(int(old[-1][1]), int(new[0][1]), old[0][2], new[0][2]) for old, new in pairwise(turns)]


def downtime_to(instance_id: str, acks: Sequence[str], ec2_clock: Ec2Clock) -> Downtime | None:
    """Of the hand-over that ended at this instance; None before its first record."""
    for last, first, _, new in reversed(handovers(acks)):
        if new == instance_id:
            begin, end = last / NANO, first / NANO
            return Downtime(end - begin, ec2_clock.within(begin, end))
    return None


def percentile(values: Sequence[float], percent: int) -> float:
    """The nearest-rank one."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
