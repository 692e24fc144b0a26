"""What on-demand would have cost, from rows: since when, in which pools, and while nothing ran."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import zip_longest
from typing import Any

import sqlalchemy as sa

from spotguard.domain.ids import AgentId, ClientId
from spotguard.domain.instances import Mode
from spotguard.planning.metering import Counterfactual, EntryKind, Pause, Place, Term, pauses_of
from spotguard.store import openings
from spotguard.store.prepared import Prepared
from spotguard.store.runs import BEGAN, ENDED, former_runs
from spotguard.store.tables import agents, epoch_grants, instances, ledger_entries

Row = sa.Row[Any]
_a, _e, _g, _i = agents.c, ledger_entries.c, epoch_grants.c, instances.c


_BEGAN_ON = sa.and_(_g.agent_id == _a.id, _g.epoch == 1, _i.id == _g.instance_id)


def uncompared_types(tx: sa.Connection, regions: Collection[str]) -> list[str]:
    """On which agents of these regions began whose on-demand price is not known."""
    unknown = _a.baseline_ondemand_price.is_(None), _a.region.in_(list(regions))
    found = sa.select(_i.instance_type).where(_BEGAN_ON, _i.instance_type.is_not(None), *unknown)
    return list(tx.scalars(found.distinct()))


def compare_with(
    tx: sa.Connection, instance_type: str, usd_per_hour: Decimal, whose: sa.ColumnElement[bool]
) -> None:
    """The on-demand price of agents that began on this type, wherever they run by now; the first one stands."""
    began = sa.exists().where(_BEGAN_ON, _i.instance_type == instance_type)
    unknown = sa.update(agents).where(whose, _a.baseline_ondemand_price.is_(None), began)
    tx.execute(unknown.values(baseline_ondemand_price=usd_per_hour))


def counterfactuals(tx: sa.Connection) -> list[Counterfactual]:
    granted: dict[str, list[Row]] = {}
    for row in _GRANTED.rows(tx, {}):
        granted.setdefault(row.agent_id, []).append(row)
    stopped = _stops(tx, [row for rows in granted.values() for row in rows])
    return [
        Counterfactual(
            ClientId(row.client_id),
            AgentId(row.id),
            row.baseline_ondemand_price,
            row.installed_at or row.created_at,
            row.deleted_at,
            [Place(term.since, term.pool, term.heard_at) for term in granted.get(row.id, ())],
            _pauses(granted.get(row.id, ()), stopped),
        )
        for row in _COMPARED.rows(tx, {})
    ]


def _pauses(terms: Sequence[Row], stopped: Mapping[str, Sequence[Pause]]) -> list[Pause]:
    """A term ends, for what serves, with the next one."""
    found: list[Pause] = []
    for term, following in zip_longest(terms, terms[1:]):
        until = None if following is None else following.since
        found += pauses_of(Term(term.since, until), stopped.get(term.instance_id, ()))
    return found


def _stops(tx: sa.Connection, granted: Sequence[Row]) -> dict[str, list[Pause]]:
    """By instance: from the end of each of its runs to the begin of the next, or for good."""
    former = former_runs(tx, sorted({row.instance_id for row in granted}))
    stops: dict[str, list[Pause]] = {}
    for row in granted:
        runs = [(run.launched_at, run.ended_at) for run in former.get(row.instance_id, ())]
        runs.append((row.began, row.ended))
        stops[row.instance_id] = [
            Pause(ended, None if again is None else again[0])
            for (_, ended), again in zip_longest(runs, runs[1:])
            if ended is not None
        ]
    return stops


_COMPARED = Prepared(
    sa.select(
        _a.id, _a.client_id, _a.baseline_ondemand_price, _a.installed_at, _a.created_at, _a.deleted_at
    ).where(_a.baseline_ondemand_price.is_not(None))
)


_GRANTED = Prepared(
    sa.select(
        _g.agent_id,
        _g.instance_id,
        openings.SERVED_SINCE.label("since"),
        openings.HEARD_AT.label("heard_at"),
        BEGAN.label("began"),
        ENDED.label("ended"),
        sa.case((_i.current_mode == Mode.SPOT.value, _i.current_pool_id)).label("pool"),
    )
    .select_from(epoch_grants.join(instances, _i.id == _g.instance_id))
    .order_by(_g.agent_id, _g.epoch)
)


def settled_until(tx: sa.Connection) -> dict[str, datetime]:
    return {row.agent_id: row.until for row in _COMPARED_UNTIL.rows(tx, {})}


_COMPARED_UNTIL = Prepared(
    sa.select(_e.agent_id, sa.func.max(_e.to_at, type_=_e.to_at.type).label("until"))
    .where(_e.kind == EntryKind.ONDEMAND.value)
    .group_by(_e.agent_id)
)
