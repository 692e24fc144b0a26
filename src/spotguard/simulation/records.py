"""The demo's workload: it writes numbered records, so that a lost or a doubled write is seen.

`Records` is what lies on a state volume; `Register` is the client beside it that remembers every acknowledged
record and which instance took it. Neither knows of SpotGuard.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

RECORD_BYTES = 64 * 1024
BYTES_AT_START = (
    2 * 1024**3
)  # what the state volume holds before the first record: the first pass takes its time


@dataclass
class Records:
    """Content of a state volume: ranges of record numbers in the order in which they were written."""

    ranges: list[tuple[int, int]] = field(default_factory=list)
    as_of: datetime | None = None  # when this state was the primary's: a standby's newest complete pass

    def fork(self) -> Records:
        return Records(list(self.ranges), self.as_of)

    def write(self, first: int, last: int) -> None:
        if last < first:
            return
        if self.ranges and self.ranges[-1][1] + 1 == first:
            self.ranges[-1] = (self.ranges[-1][0], last)
        else:
            self.ranges.append((first, last))

    def become(self, other: Records, as_of: datetime) -> None:
        """A whole pass is swapped in; half a pass never is."""
        self.ranges = list(other.ranges)
        self.as_of = as_of

    @property
    def last(self) -> int:
        return self.ranges[-1][1] if self.ranges else 0

    def bytes(self) -> int:
        return BYTES_AT_START + RECORD_BYTES * sum(last - first + 1 for first, last in self.ranges)

    def beyond(self, other: Records) -> tuple[int, int | None]:
        """How many of these records `other` has not, and the highest number among them."""
        has = {number for first, last in other.ranges for number in range(first, last + 1)}
        lacks = [n for first, last in self.ranges for n in range(first, last + 1) if n not in has]
        return len(lacks), max(lacks, default=None)

    def lacks(self, acknowledged: int) -> set[int]:
        """Which of the numbers 1 … `acknowledged` it has not."""
        lacking = set(range(1, acknowledged + 1))
        for first, last in self.ranges:
            lacking.difference_update(range(first, last + 1))
        return lacking

    def faults_against(self, acknowledged: int) -> tuple[int, int]:
        """(records missing, records doubled) against the numbers 1 … `acknowledged`."""
        written = sum(last - first + 1 for first, last in self.ranges)
        distinct = 0
        reached = 0
        for first, last in sorted(self.ranges):
            distinct += max(0, last - max(first - 1, reached))
            reached = max(reached, last)
        return acknowledged - distinct, written - distinct


@dataclass(frozen=True)
class Session:
    """One stretch of serving: the instance, its epoch, and the records that it acknowledged."""

    instance_id: str
    epoch: int
    opened_at: datetime
    closed_at: datetime
    first: int
    last: int


@dataclass(frozen=True)
class Loss:
    """Records that were acknowledged and were not on the volume of the instance that opened next."""

    at: datetime
    instance_id: str
    epoch: int
    count: int


@dataclass
class _Open:
    instance_id: str
    epoch: int
    opened_at: datetime
    first: int
    content: Records
    flushed_to: int


class Register:
    """The client of one workload: sends a record every `seconds_per_record` to whoever serves."""

    def __init__(self, seconds_per_record: float = 1.0) -> None:
        self.seconds_per_record = seconds_per_record
        self.sessions: list[Session] = []
        self.overlaps: list[str] = []
        self.losses: list[Loss] = []
        self.acknowledged = 0
        self._open: dict[str, _Open] = {}
        self._asleep: dict[str, _Open] = {}
        self._lost: set[int] = set()  # what the last one that opened had not: each is counted once
        self.rehearsing: set[str] = set()  # clones in quarantine whose workload runs: no client reaches them
        self.rehearsed: set[str] = set()  # all those whose workload ever ran

    def opened(self, instance_id: str, epoch: int, now: datetime, content: Records) -> None:
        others = [other for other in self._open if other != instance_id]
        if others:
            self.overlaps.append(f"{now.isoformat()}: {instance_id} opened while {', '.join(others)} served")
        lacks = content.lacks(self.acknowledged)
        if lacks - self._lost:
            self.losses.append(Loss(now, instance_id, epoch, len(lacks - self._lost)))
        self._lost = lacks
        first = self.acknowledged + 1
        self._open[instance_id] = _Open(instance_id, epoch, now, first, content, first - 1)

    def flush(self, now: datetime, instance_id: str | None = None) -> None:
        """Let every record that was acknowledged by `now` reach its volume."""
        for session in list(self._open.values()):
            if instance_id in (None, session.instance_id):
                self._write_until(session, now)

    def closed(self, instance_id: str, now: datetime) -> None:
        session = self._open.get(instance_id)
        if session is None:
            return
        self._write_until(session, now)
        del self._open[instance_id]
        self.sessions.append(
            Session(instance_id, session.epoch, session.opened_at, now, session.first, session.flushed_to)
        )

    def sleeps(self, instance_id: str, now: datetime) -> None:
        """Its workload stands still and takes no record; what it did it goes on to do when it wakes."""
        session = self._open.get(instance_id)
        if session is not None:
            self.closed(instance_id, now)
            self._asleep[instance_id] = session

    def wakes(self, instance_id: str, now: datetime) -> None:
        session = self._asleep.pop(instance_id, None)
        if session is not None:
            self.opened(instance_id, session.epoch, now, session.content)

    def rehearses(self, instance_id: str) -> None:
        self.rehearsing.add(instance_id)
        self.rehearsed.add(instance_id)

    def openings(self) -> list[tuple[str, int, datetime]]:
        """Who opened, under which epoch, and when."""
        over = [(one.instance_id, one.epoch, one.opened_at) for one in self.sessions]
        return over + [(one.instance_id, one.epoch, one.opened_at) for one in self._open.values()]

    def written_by(self) -> dict[str, Records]:
        """Who serves, and what each of them writes to."""
        return {instance_id: session.content for instance_id, session in self._open.items()}

    def is_open(self, instance_id: str) -> bool:
        return instance_id in self._open

    def open_since(self, instance_id: str) -> datetime | None:
        session = self._open.get(instance_id)
        return None if session is None else session.opened_at

    def written_at(self, number: int) -> datetime | None:
        """When the record of this number was acknowledged, in a session that is over."""
        took = next((s for s in self.sessions if s.first <= number <= s.last), None)
        if took is None:
            return None
        return took.opened_at + timedelta(seconds=(number - took.first + 1) * self.seconds_per_record)

    def serving(self) -> list[str]:
        return list(self._open)

    def handovers(self) -> list[tuple[Session, Session]]:
        """Each session with the one that followed it; one that is still open has not closed yet and comes last."""
        running = [
            Session(now.instance_id, now.epoch, now.opened_at, now.opened_at, now.first, now.flushed_to)
            for now in self._open.values()
        ]
        return list(pairwise(sorted([*self.sessions, *running], key=lambda session: session.opened_at)))

    def served_before(self, at: datetime) -> str | None:
        """Whose session was the last that had closed by then."""
        over = [session for session in self.sessions if session.closed_at <= at]
        last = max(over, key=lambda session: session.closed_at, default=None)
        return None if last is None else last.instance_id

    def downtime_seconds(self, since: datetime, until: datetime) -> float:
        """Seconds within [since, until] in which nobody served."""
        spans = [(session.opened_at, session.closed_at) for session in self.sessions]
        spans += [(session.opened_at, until) for session in self._open.values()]
        reached, down = since, 0.0
        for opened, closed in sorted(spans):
            if opened > reached:
                down += (min(opened, until) - reached).total_seconds()
            reached = max(reached, closed)
        return down + max(0.0, (until - reached).total_seconds())

    def _write_until(self, session: _Open, now: datetime) -> None:
        count = int((now - session.opened_at).total_seconds() / self.seconds_per_record)
        last = max(session.flushed_to, session.first + count - 1)
        session.content.write(session.flushed_to + 1, last)
        session.flushed_to = last
        self.acknowledged = max(self.acknowledged, last)
