"""The ledger's rows: facts out, entries in. An open hour is written anew each time, a closed one stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from spotguard.domain.clock import EARLIEST
from spotguard.domain.errors import IllegalMove
from spotguard.domain.ids import AgentId, ClientId, PoolId
from spotguard.domain.instances import EndReason, InstanceState, Mode
from spotguard.domain.money import ZERO
from spotguard.planning.metering import (
    Change,
    Counterfactual,
    Entry,
    EntryKind,
    InstanceRun,
    StoredThing,
    Term,
    meter_counterfactual,
    meter_instance,
    meter_storage,
    price_known_at,
    since_hour_of,
)
from spotguard.store import ondemand, openings, prices
from spotguard.store.batches import batch_of
from spotguard.store.counterfactuals import counterfactuals, settled_until
from spotguard.store.openings import cut_before
from spotguard.store.prepared import Prepared
from spotguard.store.runs import BEGAN, ENDED, former_runs, of_all
from spotguard.store.settled import cut_of, ends_of, unsettled
from spotguard.store.tables import (
    agents,
    epoch_grants,
    instances,
    ledger_entries,
    storage_resources,
)

Row = sa.Row[Any]
PATIENCE = timedelta(days=30)  # so long an unknown price may still become known (imported, or told late)
NO_COST = frozenset({EntryKind.ONDEMAND, EntryKind.UNPRICED})
_i = instances.c
_e = ledger_entries.c


def settle(tx: sa.Connection, now: datetime) -> int:
    """Meter everything up to `now`; how many entries were written.

    `IllegalMove` when an end or an opening has become known meanwhile: nothing of this transaction may be committed.
    """
    told = openings.told_so_far(tx)
    entries: list[Entry] = []
    windows: list[dict[str, Any]] = []
    ends: dict[str, datetime | None] = {}

    def take(resource_id: str, cut: datetime | None, made: list[Entry]) -> None:
        entries.extend(made)
        windows.append({"resource": resource_id, "cut": cut or EARLIEST})

    newest, facts = settled_until(tx), counterfactuals(tx)
    _unsettle(tx, [fact.agent_id for fact in facts if fact.agent_id not in newest])
    unpriced: set[str] = set()
    for runs, settled in _open_runs(tx, now):
        newest_run = runs[-1]
        cut = _cut_of_terms(newest_run.terms, settled, now)
        if _may_become_known(newest_run, settled, now):
            unpriced.add(newest_run.instance_id)
        ends[newest_run.instance_id] = newest_run.ended_at
        take(newest_run.instance_id, cut, [e for run in runs for e in meter_instance(run, now, cut)])
    for thing, settled in stored_things(tx):
        ends[thing.resource_id] = thing.ended_at
        take(thing.resource_id, cut := cut_of(settled, now), meter_storage(thing, now, cut))
    for fact in facts:
        cut = _cut_of_counterfactual(fact, newest.get(fact.agent_id), now)
        take(fact.agent_id, cut, meter_counterfactual(fact, now, cut))
    if windows:
        tx.execute(_CLEAR, windows)
    if entries:
        tx.execute(sa.insert(ledger_entries), [vars(entry) | {"kind": entry.kind.value} for entry in entries])
    _mark(tx, now, unpriced)
    if ends_of(tx, list(ends)) != ends:
        raise IllegalMove("an end has become known meanwhile: what it ends would be settled beyond it")
    if openings.told_so_far(tx) != told:
        raise IllegalMove("an opening has been told meanwhile: of an heir that has ended it would be lost")
    return len(entries)


def _may_become_known(run: InstanceRun, settled: datetime | None, now: datetime) -> bool:
    """The price of its newest seconds is unknown, and it is not too late for it."""
    last = min(now, run.ended_at or now) - timedelta(microseconds=1)
    return not price_known_at(run, last) and now - (settled or run.since) < PATIENCE


def _unsettle(tx: sa.Connection, agent_ids: Sequence[AgentId]) -> None:
    """Of these the on-demand price has become known: seconds without a price were compared with nothing so far."""
    if agent_ids:
        tx.execute(sa.update(instances).where(_i.agent_id.in_(agent_ids)).values(metered_until=None))


def _cut_of_counterfactual(fact: Counterfactual, settled: datetime | None, now: datetime) -> datetime | None:
    """Before every pause that was not over when it was settled last: its begin may have become known long after it."""
    cut = cut_of(settled, now)
    if cut is None or settled is None:
        return None
    by_then = min(settled, now)
    new = [pause.since for pause in fact.pauses if pause.until is None or pause.until > by_then]
    return cut_before(min([cut, *(since_hour_of(since) for since in new)]), by_then, fact.places)


def _cut_of_terms(terms: Sequence[Term], settled: datetime | None, now: datetime) -> datetime | None:
    """Before a term that a settlement did not know which was under way when it was told, and marked it as settled."""
    return None if settled is None else cut_before(cut_of(settled, now), min(settled, now), terms)


_BILLED = sa.and_(
    BEGAN.is_not(None),
    _i.agent_id.is_not(None),
    _i.current_mode.is_not(None),
    sa.or_(_i.ec2_state.is_(None), _i.ec2_state != InstanceState.PENDING.value),
)
_OPEN = Prepared(sa.select(instances).where(_BILLED, unsettled(_i, ENDED)))


def _open_runs(tx: sa.Connection, now: datetime) -> list[tuple[list[InstanceRun], datetime | None]]:
    """The runs of each instance whose cost may still change, with the time up to which it is settled."""
    return _runs_of(
        tx, now, _OPEN.rows(tx, {}), lambda row, terms: _cut_of_terms(terms, row.metered_until, now)
    )


def all_runs(tx: sa.Connection, now: datetime) -> list[InstanceRun]:
    """Every instance that ever was, for a recomputation from events."""
    rows = tx.execute(sa.select(instances).where(_BILLED)).all()
    return [run for runs, _ in _runs_of(tx, now, rows, lambda _row, _terms: None) for run in runs]


def _runs_of(
    tx: sa.Connection,
    now: datetime,
    rows: Sequence[Row],
    cut: Callable[[Row, Sequence[Term]], datetime | None],
) -> list[tuple[list[InstanceRun], datetime | None]]:
    if not rows:
        return []
    ids = [row.id for row in rows]
    terms, former, owners = _terms(tx, ids), former_runs(tx, ids), _owners(tx)

    def start_of(row: Row) -> datetime:
        """Prices are needed from the first second that is metered anew."""
        first: datetime = min([_begin(row), *(run.metered_from for run in former.get(row.id, ()))])
        return max(first, cut(row, terms.get(row.id, ())) or first)

    known = _prices(tx, now, rows, start_of)
    found = []
    for row in rows:
        newest = _run(row, terms.get(row.id, []), known[row.id], owners[row.agent_id])
        over = [
            replace(newest, since=run.metered_from, launched_at=run.launched_at, ended_at=run.ended_at)
            for run in former.get(row.id, ())
        ]
        found.append(
            ([replace(run, end_reason=EndReason.REQUESTED) for run in over] + [newest], row.metered_until)
        )
    return found


_g, _a = epoch_grants.c, agents.c
_TERMS = Prepared(
    sa.select(
        _g.instance_id, openings.SERVED_SINCE.label("since"), _g.ended_at, openings.HEARD_AT.label("heard_at")
    )
    .where(_g.instance_id.in_(batch_of(_g.instance_id)))
    .order_by(_g.granted_at)
)
_OWNERS = Prepared(sa.select(_a.id, _a.deleted_at, _a.baseline_ondemand_price))


def _owners(tx: sa.Connection) -> dict[str, Row]:
    """What their on-demand price is and when they were deleted, by agent."""
    return {row.id: row for row in _OWNERS.rows(tx, {})}


def _run(row: Row, terms: list[Term], known: Sequence[Change], owner: Row) -> InstanceRun:
    """A deleted agent's machines are their user's own again, but for one that we launched, that never served, and
    that we therefore still have to end.
    """
    ours_to_end = row.intention_token is not None and not terms
    return InstanceRun(
        instance_id=row.id,
        client_id=ClientId(row.client_id),
        agent_id=AgentId(row.agent_id),
        mode=Mode(row.current_mode),
        pool_id=PoolId(row.current_pool_id) if row.current_pool_id else None,
        since=_begin(row),
        ended_at=row.ended_at or row.terminated_at,
        end_reason=None if row.end_reason is None else EndReason(row.end_reason),
        is_replica=row.replica_id is not None,
        terms=terms,
        prices=known,
        launched_at=row.launched_at or _begin(row),
        let_go_at=None if ours_to_end else owner.deleted_at,
        baseline_usd_per_hour=owner.baseline_ondemand_price or ZERO,
        is_probe=row.probe_id is not None,
    )


def _terms(tx: sa.Connection, instance_ids: list[str]) -> dict[str, list[Term]]:
    terms: dict[str, list[Term]] = {}
    for row in of_all(tx, _TERMS, instance_ids):
        terms.setdefault(row.instance_id, []).append(Term(row.since, row.ended_at, row.heard_at))
    return terms


def _prices(
    tx: sa.Connection, now: datetime, rows: Sequence[Row], start_of: Callable[[Row], datetime]
) -> dict[str, Sequence[Change]]:
    """On demand one price for ever; on spot the steps of its pool, for each tenant as it may see them."""
    found: dict[str, Sequence[Change]] = {}
    spot: dict[str, list[Row]] = {}
    for row in rows:
        if row.current_mode == Mode.SPOT:
            spot.setdefault(row.client_id, []).append(row)
        else:
            price = row.ondemand_price or ondemand.price_of(tx, row.client_id, row.region, row.instance_type)
            found[row.id] = [] if price is None else [Change(start_of(row), price)]
    for client_id, machines in spot.items():
        since = min(start_of(row) for row in machines)
        pools = sorted({PoolId(row.current_pool_id) for row in machines if row.current_pool_id})
        steps = prices.price_steps(tx, ClientId(client_id), pools, since, now)
        for row in machines:
            found[row.id] = [Change(at, price) for at, price in steps.get(row.current_pool_id, [])]
    return found


def _begin(row: Row) -> datetime:
    start: datetime = row.metered_from or row.launched_at or row.installed_at
    return start


def stored_things(
    tx: sa.Connection, *, everything: bool = False
) -> list[tuple[StoredThing, datetime | None]]:
    """With an agent that was deleted its disks and copies are their user's own again."""
    return [
        (
            StoredThing(
                resource_id=row.id,
                client_id=ClientId(row.client_id),
                agent_id=AgentId(row.agent_id),
                size_gib=row.size_gib,
                usd_per_gib_month=row.usd_per_gib_month,
                since=row.metered_from,
                ended_at=_earlier(row.ended_at, row.let_go_at),
            ),
            row.metered_until,
        )
        for row in (_ALL_STORED if everything else _OPEN_STORED).rows(tx, {})
    ]


_s = storage_resources.c
_STORED = (
    sa.select(*_s, agents.c.deleted_at.label("let_go_at"))
    .select_from(storage_resources.join(agents, agents.c.id == _s.agent_id))
    .where(_s.usd_per_gib_month.is_not(None))
)
_ALL_STORED = Prepared(_STORED)
_OPEN_STORED = Prepared(_STORED.where(unsettled(_s, _s.ended_at)))


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((moment for moment in (one, other) if moment is not None), default=None)


def _mark(tx: sa.Connection, now: datetime, unpriced: set[str]) -> None:
    """What has no known price is not settled: it is billed from its beginning once one is known.

    A spot run is settled as far as the server has fetched its pool's prices: a change that it has not yet heard of may
    lie before the run's end. It waits `PATIENCE` at the most.
    """
    settled = sa.update(instances).where(_BILLED, unsettled(_i, ENDED))
    if unpriced:
        settled = settled.where(_i.id.not_in(sorted(unpriced)))
    fetched = {pool: until for pool, until in _fetched(tx).items() if until < now}
    for pool, until in fetched.items():
        by_then = max(until, now - PATIENCE)
        on_spot = sa.and_(_i.current_mode == Mode.SPOT.value, _i.current_pool_id == pool)
        tx.execute(settled.where(on_spot).values(metered_until=by_then))
    others = sa.or_(_i.current_mode != Mode.SPOT.value, _i.current_pool_id.not_in(sorted(fetched)))
    tx.execute(settled.where(others).values(metered_until=now))
    _MARK_STORED.change(tx, {"now": now})


_MARK_STORED = Prepared(
    sa.update(storage_resources)
    .where(_s.usd_per_gib_month.is_not(None), unsettled(_s, _s.ended_at))
    .values(metered_until=sa.bindparam("now"))
)


def _fetched(tx: sa.Connection) -> dict[PoolId, datetime]:
    """Of the pools of all unsettled spot runs: until when the server knows the prices, if it ever fetched them."""
    pools = [PoolId(row.current_pool_id) for row in _UNSETTLED_POOLS.rows(tx, {})]
    return prices.fetched_until(tx, pools) if pools else {}


_UNSETTLED_POOLS = Prepared(
    sa.select(_i.current_pool_id)
    .where(_BILLED, unsettled(_i, ENDED), _i.current_mode == Mode.SPOT.value, _i.current_pool_id.is_not(None))
    .distinct()
)


def recompute(tx: sa.Connection, now: datetime) -> list[Entry]:
    """The whole ledger from the facts alone: equal to what was settled, to the last digit."""
    entries: list[Entry] = []
    for run in all_runs(tx, now):
        entries += meter_instance(run, now)
    for thing, _ in stored_things(tx, everything=True):
        entries += meter_storage(thing, now)
    for fact in counterfactuals(tx):
        entries += meter_counterfactual(fact, now)
    return entries


def totals(tx: sa.Connection, client_id: ClientId | None = None) -> dict[EntryKind, Decimal]:
    """USD by kind. What was really paid is the sum of all but `NO_COST`."""
    query = sa.select(_e.kind, _e.usd)
    if client_id is not None:
        query = query.where(_e.client_id == client_id)
    sums: dict[EntryKind, Decimal] = dict.fromkeys(EntryKind, ZERO)
    for row in tx.execute(query):
        sums[EntryKind(row.kind)] += row.usd
    return sums


def paid(sums: dict[EntryKind, Decimal]) -> Decimal:
    return sum((usd for kind, usd in sums.items() if kind not in NO_COST), ZERO)


_CLEAR = sa.delete(ledger_entries).where(
    _e.resource_id == sa.bindparam("resource"), _e.from_at >= sa.bindparam("cut")
)
