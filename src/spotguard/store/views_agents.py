"""Agents as people see them: state, role, price, saving, health, the last signal, what comes next and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spotguard.domain.agents import AgentStatus, Autonomy, KillLevel
from spotguard.domain.decisions import Verdict
from spotguard.domain.drills import DrillKind
from spotguard.domain.errors import NotFound
from spotguard.domain.ids import AgentId, ClientId
from spotguard.domain.instances import Mode
from spotguard.domain.replicas import LIVE_REPLICA, ReplicaStatus
from spotguard.domain.switches import OPEN_SWITCH, SwitchStatus
from spotguard.planning.approvals import stands_until
from spotguard.planning.outlook import LastDecision, LiveStandby, OpenMove, Outlook, Standing, outlook
from spotguard.planning.presence import Heard, Presence, heard
from spotguard.store import drills, fleet, kill, live_signals, obstacles, ondemand, prices
from spotguard.store.batches import batch_of, batched
from spotguard.store.prepared import Prepared
from spotguard.store.steps import only_prunes
from spotguard.store.tables import (
    agents,
    decisions,
    epoch_grants,
    instances,
    replica_instances,
    switches,
)
from spotguard.store.views_paging import Asked, Page, by_id

_a = agents.c


@dataclass(frozen=True)
class AgentView:
    """One agent with everything that stands around it. `row` has the columns of `agents`."""

    row: Any
    serving: Any  # its holder's `instances` row, None before the first grant
    price: Decimal | None
    on_demand: Decimal | None
    replicas: Sequence[Any]
    move: Any  # the newest of which more is to be done than to delete what its old instance left
    decision: Any  # the newest
    signal: Any  # the newest of the serving instance that counts
    failover: Any  # the newest drill that is over, of either kind
    restore: Any
    kill: KillLevel
    now: datetime
    listened_since: datetime | None  # nobody could be heard before; None: somebody always listened
    unserved: str | None = None  # why nobody serves it
    recovery_waits: str | None = None  # what keeps its recovery from an instance
    standby_waits: str | None = None  # what keeps its standby from one

    @property
    def health(self) -> str:
        """`healthy`, `unhealthy`, `silent`, `unknown` or `deleted`."""
        if self.row.status == AgentStatus.DELETED:
            return "deleted"
        if self.serving is None or self.serving.last_heartbeat_at is None:
            return "unknown"
        if self._heard is not Heard.HEARD:
            return self._heard.value
        if self.serving.workload_healthy is None:
            return "unknown"
        return "healthy" if self.serving.workload_healthy else "unhealthy"

    @property
    def _heard(self) -> Heard:
        last = None if self.serving is None else self.serving.last_heartbeat_at
        if last is None:
            return Heard.HEARD  # nobody waits for it yet
        presence = Presence(AgentId(self.row.id), last, last, self.listened_since)
        return heard(presence, self.now, was_silent=self.row.status == AgentStatus.OFFLINE)

    @property
    def saving_percent(self) -> Decimal | None:
        """Of the present price against on-demand of the same type; standbys are the ledger's."""
        if self.price is None or self.on_demand is None:
            return None
        return ((1 - self.price / self.on_demand) * 100).quantize(Decimal("0.01"))

    @property
    def waiting(self) -> Any:
        """The decision that waits for a person's answer, or None."""
        decision = self.current_decision
        if decision is None:
            return None
        until = stands_until(Verdict(decision.verdict), decision.decided_at)
        return decision if until is not None and self.now < until else None

    @property
    def current_decision(self) -> Any:
        """The newest, if it was made for the present term of primacy and settings; else None."""
        if self.decision is None:
            return None
        told = self.decision.inputs.get("epoch"), self.decision.inputs.get("config_version")
        return self.decision if told == (self.row.epoch, self.row.config_version) else None

    @property
    def outlook(self) -> Outlook:
        """What is under way or would be done next, and why."""
        return outlook(
            Standing(
                now=self.now,
                deleted=self.row.status == AgentStatus.DELETED,
                enabled=self.row.enabled,
                place=self._place,
                heard=self._heard,
                protection=fleet.protection(self.row),
                autonomy=Autonomy(self.row.autonomy),
                kill=self.kill,
                move=_open_move(self.move, self.recovery_waits),
                standby=_standby(self.replicas, self.standby_waits),
                signal_because=None if self.signal is None else self.signal.because,
                decision=_last_decision(self.current_decision),
                unserved=self.unserved,
            )
        )

    @property
    def _place(self) -> str | None:
        if self.serving is None:
            return None
        if self.row.current_mode == Mode.SPOT:
            return f"in {self.row.current_pool_id} (spot)"
        return f"on demand in {self.row.az}"


def _open_move(row: Any, waits: str | None) -> OpenMove | None:
    if row is None:
        return None
    to = _named(row.new_mode, row.new_pool_id) or "a new instance"
    because = waits or (row.plan or {}).get("because") or f"trigger: {row.event_trigger}"
    return OpenMove(to, row.kind, SwitchStatus(row.status), because)


def _standby(rows: Sequence[Any], waits: str | None) -> LiveStandby | None:
    """The one that is furthest."""
    if not rows:
        return None
    row = next((one for one in rows if one.status == ReplicaStatus.READY), rows[0])
    because = row.because if row.instance_id is not None or waits is None else f"it waits: {waits}"
    progress = f"{row.state_transfer_progress.normalize():f}"
    place = _named(row.mode, row.pool_id) or "a pool that is not known yet"
    return LiveStandby(place, ReplicaStatus(row.status), progress, because)


def _named(mode: str | None, pool_id: str | None) -> str | None:
    """On demand has no pool: where one is told, it is type and zone."""
    if mode != Mode.ONDEMAND:
        return pool_id
    return "on demand" if pool_id is None else f"{pool_id} (on demand)"


def _last_decision(row: Any) -> LastDecision | None:
    if row is None:
        return None
    target = row.target_pool_id or ("on demand" if row.target_mode == Mode.ONDEMAND else None)
    return LastDecision(Verdict(row.verdict), target, row.because, row.decided_at)


def agent(
    tx: Connection,
    now: datetime,
    client_id: ClientId,
    agent_id: AgentId,
    *,
    listened_since: datetime | None = None,
) -> AgentView:
    row = tx.execute(sa.select(agents).where(_a.client_id == client_id, _a.id == agent_id)).first()
    if row is None:
        raise NotFound("no such agent")
    return _views(tx, now, client_id, [row], listened_since)[0]


def page(
    tx: Connection,
    now: datetime,
    client_id: ClientId,
    asked: Asked,
    *,
    deleted: bool = False,
    listened_since: datetime | None = None,
) -> Page:
    """By id. Deleted ones only when asked for."""
    query = sa.select(agents).where(_a.client_id == client_id)
    if not deleted:
        query = query.where(_a.status != AgentStatus.DELETED.value)
    found = by_id(tx, query, _a.id, asked, falling=False)
    return Page(list(_views(tx, now, client_id, found.rows, listened_since)), found.next_cursor)


def _views(
    tx: Connection, now: datetime, client_id: ClientId, rows: Sequence[Any], listened_since: datetime | None
) -> list[AgentView]:
    """A handful of queries for the whole page, never one per agent."""
    ids = [row.id for row in rows]
    serving = _serving(tx, ids)
    replicas = _live_replicas(tx, ids)
    moves = _newest(tx, _OPEN_MOVE, ids)
    decided = _newest(tx, _DECISION, ids)
    signals = live_signals.newest(tx, now, [machine.id for machine in serving.values()])
    failovers = drills.newest(tx, ids, DrillKind.FAILOVER)
    restores = drills.newest(tx, ids, DrillKind.RESTORE)
    levels = kill.levels_of(tx, client_id)
    unserved, waits = obstacles.of_serving(tx, ids), obstacles.of_recoveries(tx, ids)
    without_machine = [agent for agent, rows in replicas.items() if rows[0].instance_id is None]
    standbys_wait = obstacles.of_standbys(tx, without_machine)
    market = _Market(tx, now, client_id, [serving.get(row.id, row) for row in rows])
    views = []
    for row in rows:
        machine = serving.get(row.id)
        on_demand = market.on_demand(machine or row) or row.baseline_ondemand_price
        views.append(
            AgentView(
                row=row,
                serving=machine,
                price=on_demand if row.current_mode == Mode.ONDEMAND else market.spot(machine or row),
                on_demand=on_demand,
                replicas=replicas.get(row.id, []),
                move=moves.get(row.id),
                decision=decided.get(row.id),
                signal=None if machine is None else signals.get(machine.id),
                failover=failovers.get(row.id),
                restore=restores.get(row.id),
                kill=kill.level_among(levels, row.id),
                now=now,
                listened_since=listened_since,
                unserved=unserved.get(row.id),
                recovery_waits=waits.get(row.id),
                standby_waits=standbys_wait.get(row.id),
            )
        )
    return views


def _serving(tx: Connection, ids: Sequence[str]) -> dict[str, Any]:
    held = (
        sa.select(instances)
        .join(epoch_grants, epoch_grants.c.instance_id == instances.c.id)
        .where(epoch_grants.c.held_agent_id.in_(ids), instances.c.agent_id == epoch_grants.c.held_agent_id)
    )
    return {row.agent_id: row for row in tx.execute(held)}


def _live_replicas(tx: Connection, ids: Sequence[str]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    alive = [status.value for status in LIVE_REPLICA]
    replicas = replica_instances.c
    query = sa.select(replica_instances).where(
        replicas.agent_id.in_(ids), replicas.is_active, replicas.status.in_(alive)
    )
    for row in tx.execute(query.order_by(replicas.created_at.desc(), replicas.id)):
        found.setdefault(row.agent_id, []).append(row)
    return found


def _newest(tx: Connection, statement: Prepared, ids: Sequence[str]) -> dict[str, Any]:
    return {row.agent_id: row for some in batched(ids) for row in statement.rows(tx, some)}


def _newest_of(
    table: sa.Table, at: str, which: Callable[[Any], sa.ColumnElement[bool]] | None = None
) -> Prepared:
    """Of each agent the newest row: one look into an index by agent and time, however long the history is."""
    mine = table.alias("mine").c
    newest = (
        sa.select(mine.id)
        .where(mine.agent_id == _a.id, *([which(mine)] if which else []))
        .order_by(mine[at].desc(), mine.id.desc())
        .limit(1)
        .correlate(agents)
        .scalar_subquery()
    )
    found = sa.select(table).select_from(agents.join(table, table.c.id == newest))
    return Prepared(found.where(_a.id.in_(batch_of(_a.id))))


def _goes_on(move: Any) -> sa.ColumnElement[bool]:
    """More is to be done of it than to delete what its old instance left."""
    is_open = move.status.in_([status.value for status in OPEN_SWITCH])
    return sa.and_(is_open, sa.not_(only_prunes(move.id)))


_OPEN_MOVE = _newest_of(switches, "created_at", _goes_on)
_DECISION = _newest_of(decisions, "decided_at")


class _Market:
    """Present prices of the types and regions that a page of agents runs in."""

    def __init__(self, tx: Connection, now: datetime, client_id: ClientId, machines: Iterable[Any]) -> None:
        self._spot: dict[tuple[str, str], Decimal | None] = {}
        self._ondemand: dict[str, dict[str, Decimal]] = {}
        types: dict[str, set[str]] = {}
        for machine in machines:
            if machine.region and machine.instance_type:
                types.setdefault(machine.region, set()).add(machine.instance_type)
        for region, wanted in types.items():
            self._ondemand[region] = ondemand.prices_of(tx, client_id, region)
            for known in prices.prices_known_to(tx, now, client_id, sorted(wanted), region):
                self._spot[known.pool.instance_type, known.pool.az] = known.price

    def spot(self, machine: Any) -> Decimal | None:
        return self._spot.get((machine.instance_type, machine.az))

    def on_demand(self, machine: Any) -> Decimal | None:
        return self._ondemand.get(machine.region, {}).get(machine.instance_type)
