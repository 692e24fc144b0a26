"""The ledger: what every instance second, volume and snapshot cost, and what on-demand would have (ruling B12).

Pure and exact: the same facts give the same entries to the last digit, however often they were settled, since entries
are cut only where the facts change (role, price) and at full UTC hours. The rule of EC2's bill (On-Demand and Spot
pricing pages): by the second from running to the end, at least 60 s a run; a spot instance that AWS interrupts
within its first hour costs nothing. Volumes and snapshots: GiB × seconds at the monthly rate, a month being 730 h.
A second whose price nobody knows is `unpriced`: it is no cost, and what on-demand would have cost meanwhile is compared
with nothing. While nothing of a workload runs, nothing is saved.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Protocol

from spotguard.domain.clock import EARLIEST
from spotguard.domain.ids import AgentId, ClientId, PoolId
from spotguard.domain.instances import EndReason, Mode
from spotguard.domain.money import SECONDS_PER_HOUR, ZERO

LEAST_SECONDS = 60
FREE_WITHIN = timedelta(hours=1)
PRICE_HOLDS = timedelta(days=1)  # on either side of where a spot price was told; beyond that it is unknown
SECONDS_PER_MONTH = 730 * SECONDS_PER_HOUR
USD_STEP = Decimal("1e-9")


class EntryKind(StrEnum):
    """`ledger_entries.kind`."""

    COMPUTE = "compute"
    REPLICA = "replica"
    OVERLAP = "overlap"
    PROBE = "probe"
    STORAGE = "storage"
    ONDEMAND = "ondemand"
    WAIVED = "waived"
    UNPRICED = "unpriced"


@dataclass(frozen=True)
class Change:
    """From `at` on a price (USD/h), until the next change; None: from `at` on nothing is known."""

    at: datetime
    usd_per_hour: Decimal | None


class Heard(Protocol):
    """What began `since`, and became known at `heard_at`."""

    @property
    def since(self) -> datetime: ...

    @property
    def heard_at(self) -> datetime: ...


@dataclass(frozen=True)
class Term:
    """A span of primacy of an instance, from when on it served; `until` None: still."""

    since: datetime
    until: datetime | None
    heard_at: datetime = EARLIEST


@dataclass(frozen=True)
class InstanceRun:
    """An instance as it is billed. `prices`: what was told, beginning with what held at `since`, if that is known."""

    instance_id: str
    client_id: ClientId
    agent_id: AgentId
    mode: Mode
    pool_id: PoolId | None
    since: datetime
    ended_at: datetime | None
    end_reason: EndReason | None
    is_replica: bool  # it was launched to stand by
    terms: Sequence[Term]
    prices: Sequence[Change]
    launched_at: datetime
    let_go_at: datetime | None = None  # from here on it is its user's affair: the agent was deleted
    baseline_usd_per_hour: Decimal = ZERO  # what on-demand would have cost while it served
    is_probe: bool = False  # it was launched only to look at its pool


@dataclass(frozen=True)
class StoredThing:
    """A volume or a snapshot."""

    resource_id: str
    client_id: ClientId
    agent_id: AgentId
    size_gib: int
    usd_per_gib_month: Decimal
    since: datetime
    ended_at: datetime | None


@dataclass(frozen=True)
class Place:
    """From `since` on the workload ran, or was last granted to run, in this pool; None: on demand."""

    since: datetime
    pool_id: PoolId | None
    heard_at: datetime = EARLIEST


@dataclass(frozen=True)
class Pause:
    """The instance of the holder had ended or was stopped, and nobody had taken over; `until` None: still."""

    since: datetime
    until: datetime | None


@dataclass(frozen=True)
class Counterfactual:
    """What the workload would have cost on demand: one instance of its first type, for every second since enrolment
    but for its pauses.

    `places`, oldest first, say in which pool it was instead; before the first one: there.
    """

    client_id: ClientId
    agent_id: AgentId
    usd_per_hour: Decimal
    since: datetime
    ended_at: datetime | None
    places: Sequence[Place] = ()
    pauses: Sequence[Pause] = ()


@dataclass(frozen=True)
class Entry:
    """One row of the ledger. `quantity`: seconds, or GiB-seconds of storage; `rate_usd`: per hour, or per GiB-month."""

    client_id: ClientId
    agent_id: AgentId
    kind: EntryKind
    resource_id: str
    pool_id: PoolId | None
    from_at: datetime
    to_at: datetime
    quantity: Decimal
    rate_usd: Decimal
    usd: Decimal


def meter_instance(run: InstanceRun, until: datetime, cut: datetime | None = None) -> list[Entry]:
    """The entries of an instance to `until`: all of them, or those from the full hour `cut` on."""
    ends = (until, run.ended_at, run.let_go_at)
    end = min(moment for moment in ends if moment is not None)
    start = _start(run.since, cut)
    if end <= start:
        return []
    entries = [
        _unpriced(run, start, stop, role) if price is None else _compute(run, start, stop, price, role)
        for start, stop, role, price in _segments(run, start, end)
    ]
    if end == run.ended_at:
        entries = _fill_to_minimum(run, entries)
        if is_waived(run):
            entries = [entry for entry in entries if entry.kind is not EntryKind.UNPRICED]
            entries += [_waive(entry) for entry in entries]
    return entries


def is_waived(run: InstanceRun) -> bool:
    """AWS took a spot instance before it had run for an hour."""
    return (
        run.mode is Mode.SPOT
        and run.end_reason is EndReason.INTERRUPTED
        and run.ended_at is not None
        and run.ended_at - run.launched_at < FREE_WITHIN
    )


def meter_storage(thing: StoredThing, until: datetime, cut: datetime | None = None) -> list[Entry]:
    end = until if thing.ended_at is None else min(thing.ended_at, until)
    return [
        _entry(
            thing,
            EntryKind.STORAGE,
            thing.resource_id,
            None,
            start,
            stop,
            thing.usd_per_gib_month,
            thing.size_gib,
        )
        for start, stop in _spans(_start(thing.since, cut), end, ())
    ]


def meter_counterfactual(fact: Counterfactual, until: datetime, cut: datetime | None = None) -> list[Entry]:
    end = until if fact.ended_at is None else min(fact.ended_at, until)
    cuts = [place.since for place in fact.places]
    for pause in fact.pauses:
        cuts += [pause.since] if pause.until is None else [pause.since, pause.until]
    return [
        _entry(
            fact,
            EntryKind.ONDEMAND,
            fact.agent_id,
            _place_at(fact.places, start),
            start,
            stop,
            fact.usd_per_hour,
            1,
        )
        for start, stop in _spans(_start(fact.since, cut), end, cuts)
        if not _is_paused(fact.pauses, start)
    ]


def _is_paused(pauses: Sequence[Pause], moment: datetime) -> bool:
    return any(pause.since <= moment and (pause.until is None or moment < pause.until) for pause in pauses)


def pauses_of(term: Term, stops: Iterable[Pause]) -> list[Pause]:
    """What of the stops of its holder's instance lies within a term; the last one has no end where it has ended."""
    found = []
    for stop in stops:
        since = max(stop.since, term.since)
        ends = [moment for moment in (stop.until, term.until) if moment is not None]
        until = min(ends, default=None)
        if until is None or since < until:
            found.append(Pause(since, until))
    return found


def _place_at(places: Sequence[Place], moment: datetime) -> PoolId | None:
    here = [place.pool_id for place in places if place.since <= moment] or [p.pool_id for p in places[:1]]
    return here[-1] if here else None


def _start(since: datetime, cut: datetime | None) -> datetime:
    return since if cut is None else max(since, cut)


def since_hour_of(moment: datetime) -> datetime:
    """Where the open entry of an hour may begin: earlier ones are closed."""
    return moment.replace(minute=0, second=0, microsecond=0)


def _segments(
    run: InstanceRun, begin: datetime, end: datetime
) -> Iterator[tuple[datetime, datetime, EntryKind, Decimal | None]]:
    prices = _reaching_back(run.prices)
    cuts = [change.at for change in prices]
    for term in run.terms:
        cuts += [term.since] if term.until is None else [term.since, term.until]
    for start, stop in _spans(begin, end, cuts):
        yield start, stop, _role_at(run, start), _price_at(prices, start)


def _spans(since: datetime, end: datetime, cuts: Iterable[datetime]) -> Iterator[tuple[datetime, datetime]]:
    """[since, end] cut at the given times and at full hours."""
    inside = sorted({cut for cut in cuts if since < cut < end} | set(_hours_between(since, end)))
    if end <= since:
        return
    points = [since, *inside, end]
    for start, stop in pairwise(points):
        if start < stop:
            yield start, stop


def _hours_between(since: datetime, end: datetime) -> Iterator[datetime]:
    hour = since_hour_of(since) + timedelta(hours=1)
    while hour < end:
        yield hour
        hour += timedelta(hours=1)


def _role_at(run: InstanceRun, moment: datetime) -> EntryKind:
    """Launched to look; serving; else a standby until it served; else the second instance of a move."""
    if run.is_probe:
        return EntryKind.PROBE
    if any(term.since <= moment and (term.until is None or moment < term.until) for term in run.terms):
        return EntryKind.COMPUTE
    has_served = any(term.since <= moment for term in run.terms)
    return EntryKind.REPLICA if run.is_replica and not has_served else EntryKind.OVERLAP


def price_known_at(run: InstanceRun, moment: datetime) -> bool:
    return _price_at(_reaching_back(run.prices), moment) is not None


def _reaching_back(prices: Sequence[Change]) -> list[Change]:
    """A price that ends a time of which nothing is known held already for `PRICE_HOLDS` before it was told."""
    reaching: list[Change] = []
    for change in prices:
        if change.usd_per_hour is None or (reaching and reaching[-1].usd_per_hour is not None):
            reaching.append(change)
            continue
        at = change.at - PRICE_HOLDS
        if reaching and reaching[-1].at >= at:
            at = reaching.pop().at
        reaching.append(replace(change, at=at))
    return reaching


def _price_at(prices: Sequence[Change], moment: datetime) -> Decimal | None:
    """The price in force, None where nothing is known."""
    known = None
    for change in prices:
        if change.at > moment:
            break
        known = change.usd_per_hour
    return known


def _compute(run: InstanceRun, start: datetime, stop: datetime, price: Decimal, role: EntryKind) -> Entry:
    return _entry(run, role, run.instance_id, run.pool_id, start, stop, price, 1)


def _unpriced(run: InstanceRun, start: datetime, stop: datetime, role: EntryKind) -> Entry:
    """`usd`: that part of the counterfactual with which nothing can be compared."""
    rate = run.baseline_usd_per_hour if role is EntryKind.COMPUTE else ZERO
    return _entry(run, EntryKind.UNPRICED, run.instance_id, run.pool_id, start, stop, rate, 1)


def _fill_to_minimum(run: InstanceRun, entries: list[Entry]) -> list[Entry]:
    """Seconds missing to the minimum of a run cost what its last second did."""
    ran = _seconds(run.launched_at, run.ended_at or run.launched_at)
    last = entries[-1]
    if ran >= LEAST_SECONDS or run.since > run.launched_at or last.kind is EntryKind.UNPRICED:
        return entries
    quantity = last.quantity + LEAST_SECONDS - ran
    return [
        *entries[:-1],
        replace(last, quantity=quantity, usd=_usd(quantity, last.rate_usd, SECONDS_PER_HOUR)),
    ]


def _waive(entry: Entry) -> Entry:
    return replace(
        entry, kind=EntryKind.WAIVED, resource_id=entry.resource_id, rate_usd=-entry.rate_usd, usd=-entry.usd
    )


def _entry(
    of: InstanceRun | StoredThing | Counterfactual,
    kind: EntryKind,
    resource_id: str,
    pool_id: PoolId | None,
    start: datetime,
    stop: datetime,
    rate: Decimal,
    units: int,
) -> Entry:
    quantity = _seconds(start, stop) * units
    per = SECONDS_PER_MONTH if kind is EntryKind.STORAGE else SECONDS_PER_HOUR
    return Entry(
        client_id=of.client_id,
        agent_id=of.agent_id,
        kind=kind,
        resource_id=resource_id,
        pool_id=pool_id,
        from_at=start,
        to_at=stop,
        quantity=quantity,
        rate_usd=rate,
        usd=_usd(quantity, rate, per),
    )


def _usd(quantity: Decimal, rate: Decimal, per_seconds: int) -> Decimal:
    return (quantity * rate / per_seconds).quantize(USD_STEP, rounding=ROUND_HALF_EVEN)


def _seconds(since: datetime, until: datetime) -> Decimal:
    """Exact to the microsecond: a grant is ours and comes between EC2's whole seconds."""
    span = until - since
    return Decimal(span.days * 86_400 + span.seconds) + Decimal(span.microseconds).scaleb(-6)
