"""Ordering a probe: what a tenant's agents would gain by a look, whether its budget and everybody else allow it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import sqlalchemy as sa

from spotguard.domain.errors import Refused
from spotguard.domain.ids import AgentId, ClientId, ImageId, PoolId, ProbeId
from spotguard.domain.instances import Mode
from spotguard.domain.replicas import ReplicaStatus, ReplicaType
from spotguard.domain.signals import SignalType
from spotguard.domain.switches import SwitchStatus
from spotguard.engine import watching
from spotguard.engine.arrays import Floats
from spotguard.engine.forecast import Ask, Prospect
from spotguard.engine.records import PoolRecord
from spotguard.engine.rules_v1 import Situation
from spotguard.planning.probes import FRUITLESS_PAUSE, LaunchProbe, Lookable, NoProbe, ProbeFacts, plan
from spotguard.ports.intentions import IntentionStatus
from spotguard.store import fleet, forecasts, intentions, kill, looks, probes, quotas
from spotguard.store.tables import agents, replica_instances, spot_interruption_events, switches
from spotguard.store.tables import intentions as intentions_table

Row = sa.Row[Any]
_MOST_POOLS = 50  # of the greatest worth: the others wait until these are known


def lookables(
    tx: sa.Connection,
    now: datetime,
    client_id: ClientId,
    found: Sequence[tuple[Row, Situation]],
    known: Mapping[PoolId, Prospect],
) -> list[Lookable]:
    """Pools of one market that somebody would gain by knowing. `found`: its agents, with what the engine sees."""
    asks = zip([agent for agent, _ in found], forecasts.asks(found), strict=True)
    asking = [(agent, ask) for agent, ask in asks if ask is not None and agent.ami_id]
    told = watching.worths([ask for _, ask in asking], known)
    together = told.usd.sum(axis=0)
    most = [n for n in np.argsort(-together, kind="stable")[:_MOST_POOLS].tolist() if together[n] > 0]
    records = {pool.id: record for pool, record in looks.records(tx, now, client_id).items()} if most else {}
    return [_lookable(asking, told.pool_ids[n], told.usd[:, n], records.get(told.pool_ids[n])) for n in most]


def _lookable(
    asking: Sequence[tuple[Row, Ask]], pool_id: PoolId, usd: Floats, record: PoolRecord | None
) -> Lookable:
    """Who gains most would launch there; what all gain is added up, and who wants to know first is waited for."""
    agent, ask = asking[int(usd.argmax())]
    assessed = next(a for a in ask.pools if a.pool.id == pool_id)
    bare = Lookable(assessed.pool, AgentId(agent.id), assessed.usd_per_hour, float(usd.sum()))
    if record is None or assessed.usd_per_hour is None:
        return bare
    price = float(assessed.usd_per_hour)
    gaining = [asking[row][1] for row in np.flatnonzero(usd).tolist()]
    alike = {(one.stakes, one.present is not None) for one in gaining}
    pauses = [
        watching.pause_seconds(record, stakes.proof_hours(price), on_spot=on_spot)
        for stakes, on_spot in alike
    ]
    return replace(bare, seen_at=record.seen_at, due_at=record.seen_at + timedelta(seconds=min(pauses)))


@dataclass(frozen=True)
class Stops:
    """What no row tells: why voluntary action is frozen, and whether EC2 takes fewer calls than rescues need."""

    frozen: str | None
    throttled: bool


def facts(
    tx: sa.Connection, now: datetime, client_id: ClientId, pools: Sequence[Lookable], stops: Stops
) -> ProbeFacts:
    """What the plan looks at; of room in caps and quotas nothing yet."""
    return ProbeFacts(
        now=now,
        usd_per_day=probes.budget_of(tx, client_id),
        spent_usd=probes.spent(tx, client_id, probes.today_of(now)),
        kill=kill.level_for(tx, client_id),
        frozen=stops.frozen,
        busy=who_launches(tx, client_id),
        throttled=stops.throttled,
        is_open=probes.is_open(tx, client_id),
        fruitless=probes.fruitless(tx, client_id, now - FRUITLESS_PAUSE),
        looks_to_prove=watching.LOOKS_TO_PROVE,
        pools=pools,
    )


def order(
    tx: sa.Connection, now: datetime, client_id: ClientId, pools: Sequence[Lookable], stops: Stops
) -> ProbeId | NoProbe:
    """The row of the probe that is bought, or why none is."""
    probes.hold(tx, now, client_id)
    answer = _with_room(tx, now, client_id, facts(tx, now, client_id, pools, stops))
    if isinstance(answer, NoProbe):
        return answer
    agent = fleet.agent_row(tx, answer.target.agent_id, client_id)
    return probes.insert(tx, now, client_id, answer, ImageId(agent.ami_id))


def _with_room(
    tx: sa.Connection, now: datetime, client_id: ClientId, told: ProbeFacts
) -> LaunchProbe | NoProbe:
    """Caps and quotas are asked only where nothing else forbids a look."""
    while isinstance(answer := plan(told), LaunchProbe):
        target = answer.target
        why = _why_no_room(tx, now, client_id, target, answer.usd_per_hour)
        if why is None:
            return answer
        full = replace(target, no_room=why)
        told = replace(told, pools=[full if one is target else one for one in told.pools])
    return answer


def _why_no_room(
    tx: sa.Connection, now: datetime, client_id: ClientId, target: Lookable, usd_per_hour: Decimal
) -> str | None:
    stopped = kill.level_for(tx, client_id, target.agent_id)
    if stopped:
        return f"the kill switch of its agent stands at {stopped.name.lower()}"
    try:
        intentions.require_caps(tx, now, client_id, target.agent_id, usd_per_hour, is_probe=True)
    except Refused as refusal:
        return str(refusal)
    return quotas.why_not_two(tx, now, client_id, target.pool, Mode.SPOT)


def who_launches(tx: sa.Connection, client_id: ClientId) -> str | None:
    """Whoever looks for capacity in earnest, or is about to: a probe would only be in its way. A sentence, or None."""
    for query, what in _LAUNCHING:
        name = tx.scalar(query, {"client": client_id})
        if name is not None:
            return f"{name} {what}"
    return None


def _named(source: sa.FromClause, agent_id: sa.ColumnElement[str], *where: sa.ColumnElement[bool]) -> Any:
    return (
        sa.select(agents.c.logical_agent_id)
        .select_from(source.join(agents, agents.c.id == agent_id))
        .where(agents.c.client_id == sa.bindparam("client"), *where)
        .limit(1)
    )


_e, _s, _r, _t = spot_interruption_events.c, switches.c, replica_instances.c, intentions_table.c
_LAUNCHING: tuple[tuple[Any, str], ...] = (
    (
        _named(
            spot_interruption_events,
            _e.agent_id,
            _e.resolved_at.is_(None),
            _e.signal_type == SignalType.TERMINATION.value,
        ),
        "is about to be interrupted",
    ),
    (
        _named(
            switches, _s.agent_id, _s.status == SwitchStatus.PREPARING.value, _s.new_instance_id.is_(None)
        ),
        "looks for a place to move to",
    ),
    (
        _named(
            replica_instances,
            _r.agent_id,
            _r.replica_type != ReplicaType.MANUAL.value,
            _r.status.in_([ReplicaStatus.LAUNCHING.value, ReplicaStatus.SYNCING.value]),
        ),
        "waits for an emergency standby",
    ),
    (
        _named(
            intentions_table,
            _t.agent_id,
            _t.status == IntentionStatus.OPEN.value,
            _t.kind.in_(intentions.LAUNCHES),
            _t.probe_id.is_(None),
        ),
        "has a launch under way",
    ),
)
