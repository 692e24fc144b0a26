"""What a move is ordered with: may it be opened, and which plan it follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from spotguard.domain.agents import AgentStatus, KillLevel
from spotguard.domain.commands import CreatedBy, Priority
from spotguard.domain.errors import Refused
from spotguard.domain.ids import AgentId, ClientId, ReplicaId
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.domain.replicas import LIVE_REPLICA
from spotguard.domain.switches import MoveKind, Trigger
from spotguard.domain.traffic import Route, route_of
from spotguard.engine.hazard import AgeHazard
from spotguard.planning.guard_rails import above_the_limit
from spotguard.planning.move_warnings import warnings
from spotguard.planning.switching import MoveFacts, MovePlan, choose, why_impossible
from spotguard.planning.traffic import expected, why_unreachable
from spotguard.store import (
    adrift,
    commands,
    fallbacks,
    fleet,
    forecasts,
    grants,
    intentions,
    kill,
    move_plans,
    quarantine,
    quotas,
    replicas,
    salvages,
    storage,
    type_facts,
)
from spotguard.store import agents as agent_rows
from spotguard.store.fallbacks import Kept
from spotguard.store.move_prices import prices_of
from spotguard.store.prepared import Prepared
from spotguard.store.tables import switches

Row = sa.Row[Any]
_PREPARING = Prepared(sa.select(switches.c.id).where(switches.c.open_agent_id == sa.bindparam("agent")))
_URGENT = (Trigger.EMERGENCY, Trigger.REBALANCE)


@dataclass(frozen=True)
class MoveOrder:
    """A wish for a move; `prepare` adds what the rows know."""

    client_id: ClientId
    agent_id: AgentId
    trigger: Trigger
    created_by: CreatedBy
    priority: Priority
    target_pool: Pool | None
    target_mode: Mode
    replica_id: ReplicaId | None
    kind: MoveKind | None
    close_by: datetime | None
    reason: str
    plan_extra: Mapping[str, Any]
    agent: Any = None
    held: Any = None
    plan: MovePlan = field(
        default_factory=lambda: choose(MoveFacts(same_az=False, standby=True, state_gib=None))
    )
    warnings: tuple[str, ...] = ()
    prices: Mapping[str, Decimal | None] = field(default_factory=dict)
    is_recovery: bool = False
    hazard: AgeHazard | None = None  # whose risk people are told; None: the built-in rule's
    because: str | None = None  # told of the plan instead of its own reason
    makes_replica: bool = False  # `replica_id` was wished for by this order, and is launched first
    kept: Kept | None = None  # the old instance of the last move, where its place is ordered

    @property
    def goes_back(self) -> Kept | None:
        """Nothing is launched: the workload goes back to this one."""
        return self.kept if self.kept is not None and self.kept.why_not is None else None

    @property
    def route(self) -> Route | None:
        return None if self.agent is None or self.agent.traffic is None else route_of(self.agent.traffic)

    @property
    def mode(self) -> Mode:
        return self.target_mode

    @property
    def overlap_usd(self) -> Decimal | None:
        """An hour of what runs in addition: where nothing is launched that is the old one, which runs on."""
        launches = self.makes_replica or (self.replica_id is None and self.goes_back is None)
        return self.prices["new" if launches else "old"]

    @property
    def target(self) -> Pool:
        return self.target_pool or Pool(self.agent.instance_type, self.agent.az)

    @property
    def is_urgent(self) -> bool:
        return self.trigger in _URGENT

    @property
    def is_capped(self) -> bool:
        """A launch by somebody's wish: spend caps (invariant 12) and vCPU quotas bind it.

        What runs already was counted.
        """
        return not self.is_urgent and self.replica_id is None and self.goes_back is None

    @staticmethod
    def recovery(
        tx: sa.Connection,
        now: datetime,
        agent: Row,
        held: Row,
        kind: MoveKind,
        replica_id: ReplicaId | None,
        because: str,
        plan: Mapping[str, Any],
    ) -> MoveOrder:
        """A move without an old half."""
        bare = MoveOrder(
            client_id=agent.client_id,
            agent_id=agent.id,
            trigger=Trigger.EMERGENCY,
            created_by=CreatedBy.COORDINATOR,
            priority=Priority.EMERGENCY,
            target_pool=None,
            target_mode=Mode.SPOT,
            replica_id=replica_id,
            kind=kind,
            close_by=None,
            reason=because,
            plan_extra=plan,
            agent=agent,
            held=held,
            is_recovery=True,
        )
        cost = None if bare.route is None else expected(bare.route)
        facts = MoveFacts(
            same_az=True, standby=replica_id is not None, state_gib=None, forced=kind, traffic=cost
        )
        chosen = choose(facts)
        return replace(
            bare,
            plan=replace(chosen, because=because),
            prices=prices_of(tx, now, agent, bare.target, bare.target_mode),
        )


def prepare(tx: sa.Connection, now: datetime, wish: MoveOrder) -> MoveOrder:
    """The wish with its agent, holder, plan and prices. `Refused` says which rule forbids it and what to do."""
    order = _permitted(tx, now, wish)
    order = _with_target(tx, now, order)
    order = replace(order, prices=prices_of(tx, now, order.agent, order.target, order.target_mode))
    _require_price(order)
    if order.is_capped:
        intentions.require_caps(tx, now, order.client_id, order.agent_id, order.prices["new"])
        quotas.require_room(tx, now, order.client_id, order.target, order.mode)
    order = replace(order, plan=_plan(tx, order))
    _require_volumes(tx, order)
    return replace(order, warnings=_warnings(tx, now, order))


def _require_volumes(tx: sa.Connection, order: MoveOrder) -> None:
    """What an image holds, or what is carried, is what is attached; a standby has had its state already."""
    if order.is_urgent or order.plan.kind is MoveKind.SYNCED:
        return
    if adrift.volumes_are_missing(tx, order.agent_id):
        raise Refused("a volume of the serving instance is attached to nobody: wait until it has it again")


def _permitted(tx: sa.Connection, now: datetime, wish: MoveOrder) -> MoveOrder:
    agent = fleet.agent_row(tx, wish.agent_id, wish.client_id)
    order = replace(wish, agent=agent, held=grants.holder(tx, wish.agent_id))
    require_permission(tx, order)
    _require_idle(tx, now, order)
    return order


def require_movable(tx: sa.Connection, now: datetime, client_id: ClientId, agent_id: AgentId) -> None:
    """`Refused` when no move by hand would be taken now, wherever it went. In a trial: see `agent_controls`."""
    nowhere = MoveOrder(
        client_id=client_id,
        agent_id=agent_id,
        trigger=Trigger.MANUAL,
        created_by=CreatedBy.USER,
        priority=Priority.USER,
        target_pool=None,
        target_mode=Mode.ONDEMAND,
        replica_id=None,
        kind=None,
        close_by=None,
        reason="",
        plan_extra={},
    )
    _permitted(tx, now, nowhere)


def preview(tx: sa.Connection, now: datetime, wish: MoveOrder) -> MoveOrder:
    """What `prepare` would come to, or how it refuses; every row stays as it is."""
    trial = tx.begin_nested()
    try:
        return prepare(tx, now, wish)
    finally:
        trial.rollback()


def require_permission(tx: sa.Connection, order: MoveOrder) -> None:
    """`Refused` for an agent that is deleted, disabled or stopped by the kill switch."""
    if order.agent.status == AgentStatus.DELETED:
        raise Refused("this agent is deleted: register its workload under a new name")
    if not order.agent.enabled:
        raise Refused("this agent is disabled, SpotGuard keeps its hands off: enable it first")
    level = kill.level_for(tx, order.client_id, order.agent_id)
    if level is KillLevel.ALL or (level is KillLevel.VOLUNTARY and not order.is_urgent):
        raise Refused(kill.stands_at(tx, level, order.client_id, order.agent_id))


def _require_idle(tx: sa.Connection, now: datetime, order: MoveOrder) -> None:
    if order.held is None:
        raise Refused("no instance of this agent serves: register one first")
    if order.held.released_at is not None:
        raise Refused("the present holder has let go already: a recovery is under way, wait for it")
    if not order.is_urgent and salvages.is_open_for(tx, order.agent_id):
        raise Refused("a copy of a dead instance's volume is attached for a look: wait some minutes")
    if _PREPARING.first(tx, {"agent": order.agent_id}) is not None:
        raise Refused("another switch of this agent is under way: wait until it has ended")
    stale = commands.open_mover(tx, order.agent_id)
    if stale is not None:  # of a move that is over: its instance lost the epoch before it could answer
        commands.cancel(tx, now, stale, "its switch has ended")


def _with_target(tx: sa.Connection, now: datetime, order: MoveOrder) -> MoveOrder:
    if order.replica_id is not None:
        replica = replicas.get(tx, order.agent_id, order.replica_id)
        if replica.status not in LIVE_REPLICA:
            raise Refused(f"this replica is {replica.status}: create another")
        pool = Pool(replica.instance_type, replica.az)
        return _reachable(replace(order, target_pool=pool, target_mode=Mode(replica.mode)))
    if order.target_mode is Mode.SPOT and order.target_pool is None:
        raise Refused("a spot pool must be named")
    if order.agent.instance_type is None or order.agent.az is None:
        raise Refused("this agent's instance type and zone are not known yet: wait for its registration")
    if _is_present(order):
        raise Refused(f"the workload runs {_place(order)} already: nothing to do")
    order = replace(order, kept=_kept(tx, now, order))
    if order.goes_back is not None:
        return _reachable(replace(order, target_pool=order.goes_back.pool))
    why = type_facts.why_it_fails(tx, order.agent, order.target.instance_type)
    if why is not None:
        raise Refused(f"this machine would not run on {order.target.instance_type}: {why}")
    if order.kind is MoveKind.VOLUME and order.target.az != order.agent.az:
        raise Refused(
            f"a volume lives in one zone: choose a pool in {order.agent.az}, or another kind of move"
        )
    return _reachable(order)


def _kept(tx: sa.Connection, now: datetime, order: MoveOrder) -> Kept | None:
    """Only a person goes back, and not where he asks for a way that copies nothing."""
    if order.trigger is not Trigger.MANUAL or order.kind not in (None, MoveKind.SYNCED):
        return None
    kept = fallbacks.kept(tx, now, order.agent_id)
    return kept if kept is not None and kept.is_at(order.target_pool, order.target_mode) else None


def _reachable(order: MoveOrder) -> MoveOrder:
    """An emergency goes all the same: what it serves is worth more than its address."""
    because = why_unreachable(order.route, order.agent.az, order.target.az)
    if because is not None and not order.is_urgent:
        raise Refused(because)
    return order


def _is_present(order: MoveOrder) -> bool:
    if order.target_mode is Mode.ONDEMAND:
        present = Pool(order.agent.instance_type, order.agent.az)
        return bool(order.agent.current_mode == Mode.ONDEMAND and order.target == present)
    return bool(order.agent.current_mode == Mode.SPOT and order.target.id == order.agent.current_pool_id)


def _place(order: MoveOrder) -> str:
    return "on demand" if order.target_mode is Mode.ONDEMAND else f"in {order.target.id}"


def _require_price(order: MoveOrder) -> None:
    launches = order.replica_id is None and order.goes_back is None
    if launches and order.target_mode is Mode.SPOT and order.prices["new_spot"] is None:
        raise Refused(
            f"no recent price is known of {order.target.id}: a pool without a price is never chosen"
        )


def _plan(tx: sa.Connection, order: MoveOrder) -> MovePlan:
    volume = storage.state_volume_of(tx, order.held.instance_id)
    facts = MoveFacts(
        same_az=order.target.az == order.agent.az,
        standby=order.replica_id is not None,
        kept=order.goes_back is not None,
        state_gib=None if volume is None else volume.size_gib,
        can_sync=agent_rows.can_sync(tx, order.held.instance_id),
        state_on_root=agent_rows.state_on_root(tx, order.held.instance_id),
        forced=order.kind,
        launched=order.makes_replica,
        overlap_usd_per_hour=order.overlap_usd,
        wait_seconds=order.agent.terminate_wait_seconds if order.agent.auto_terminate_enabled else 0,
        measured=move_plans.measured(tx, order.client_id),
        traffic=None if order.route is None else expected(order.route),
    )
    because = why_impossible(facts)
    if because is not None:
        raise Refused(because)
    plan = choose(facts)
    return plan if order.because is None else replace(plan, because=order.because)


def _warnings(tx: sa.Connection, now: datetime, order: MoveOrder) -> tuple[str, ...]:
    struck = quarantine.active(tx, order.client_id, now, order.mode)
    change = move_plans.change_of(
        order.agent,
        order.plan,
        order.target,
        order.mode,
        old_usd=order.prices["old"],
        new_usd=order.prices["new"],
        quarantined_until=struck.get(order.target.id),
        above_risk_limit=_above_the_limit(tx, now, order),
        not_back=None if order.kept is None else order.kept.why_not,
    )
    return warnings(change)


def _above_the_limit(tx: sa.Connection, now: datetime, order: MoveOrder) -> str | None:
    """Only what a person asks for can be: the guard-rails refuse it to everybody else."""
    if order.trigger is not Trigger.MANUAL or order.mode is not Mode.SPOT:
        return None
    risk = forecasts.risk_of(tx, now, order.client_id, order.target, order.hazard)
    return above_the_limit(risk, order.agent.risk_threshold)
