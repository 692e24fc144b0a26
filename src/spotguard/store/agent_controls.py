"""What a person may order of an agent now, and why not: each order is carried out and taken back.

The rules that will judge the order itself judge it here, so that a screen cannot promise what a click is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import sqlalchemy as sa

from spotguard.domain.agents import Autonomy
from spotguard.domain.commands import CreatedBy
from spotguard.domain.errors import IllegalMove, InvalidInput, Refused
from spotguard.domain.ids import AgentId, ClientId, ReplicaId
from spotguard.models.shelf import Shelf
from spotguard.store import (
    approvals,
    configuration,
    deletions,
    drill_orders,
    fleet,
    move_orders,
    plans,
    replicas,
    restore_orders,
    views_agents,
)

Order = Callable[[], object]


@dataclass(frozen=True)
class Control:
    """One control. `because`: the refusal that the order would meet now; None: it would be taken."""

    because: str | None

    @property
    def allowed(self) -> bool:
        return self.because is None


@dataclass(frozen=True)
class Controls:
    """Every control of an agent's page. `promote` by replica; `approve` None: nothing waits for an answer."""

    move: Control
    automatic: Control
    manual: Control
    autonomy_auto: Control
    create_replica: Control
    failover_drill: Control
    restore_drill: Control
    delete: Control
    approve: Control | None
    promote: dict[ReplicaId, Control]


@dataclass(frozen=True)
class Choice:
    """What an agent's page has controls for. `waiting`: the decision that waits for an answer."""

    waiting: str | None
    live: tuple[ReplicaId, ...]


def choice_of(tx: sa.Connection, now: datetime, client_id: ClientId, agent_id: AgentId) -> Choice:
    """`NotFound` for another tenant's agent."""
    waiting = views_agents.agent(tx, now, client_id, agent_id).waiting
    live = tuple(ReplicaId(row.id) for row in replicas.live(tx, agent_id))
    return Choice(None if waiting is None else waiting.id, live)


def of_agent(
    tx: sa.Connection,
    now: datetime,
    client_id: ClientId,
    agent_id: AgentId,
    shelf: Shelf,
    choice: Choice,
    *,
    auto_needs_drill: bool,
) -> Controls:
    """In a transaction that may write: every row is afterwards as it was. `NotFound` for another tenant's agent.

    `shelf`: where the models lie that an approval asks again. `choice`: read in a transaction of its own, so that
    SQLite's one writer is not held for it; what has ended since is refused for that.
    """
    fleet.agent_row(tx, agent_id, client_id)
    orders = _Orders(tx, now, client_id, agent_id)
    setting = partial(orders.setting, auto_needs_drill=auto_needs_drill)
    return Controls(
        move=_tried(tx, orders.move),
        automatic=_tried(tx, setting("auto_switch_enabled", True)),
        manual=_tried(tx, setting("manual_replica_enabled", True)),
        autonomy_auto=_tried(tx, setting("autonomy", Autonomy.AUTO.value)),
        create_replica=_tried(tx, orders.create_replica),
        failover_drill=_tried(tx, orders.failover_drill),
        restore_drill=_tried(tx, orders.restore_drill),
        delete=_tried(tx, orders.delete),
        approve=None if choice.waiting is None else _tried(tx, orders.approval(choice.waiting, shelf)),
        promote={replica: _tried(tx, orders.promotion(replica)) for replica in choice.live},
    )


@dataclass(frozen=True)
class _Orders:
    """As the API gives them."""

    tx: sa.Connection
    now: datetime
    client_id: ClientId
    agent_id: AgentId

    @property
    def whom(self) -> tuple[sa.Connection, datetime, ClientId, AgentId]:
        return self.tx, self.now, self.client_id, self.agent_id

    def move(self) -> None:
        move_orders.require_movable(*self.whom)

    def setting(self, name: str, value: object, *, auto_needs_drill: bool) -> Order:
        return lambda: configuration.configure(*self.whom, {name: value}, auto_needs_drill=auto_needs_drill)

    def create_replica(self) -> None:
        tx, now, client_id, agent_id = self.whom
        plans.create_replica(tx, now, client_id=client_id, agent_id=agent_id, created_by=CreatedBy.USER)

    def failover_drill(self) -> None:
        drill_orders.open_failover(*self.whom, CreatedBy.USER)

    def restore_drill(self) -> None:
        restore_orders.order_restore(*self.whom, CreatedBy.USER)

    def delete(self) -> None:
        deletions.require_deletable(*self.whom)

    def approval(self, decision_id: str, shelf: Shelf) -> Order:
        return lambda: approvals.approve(self.tx, self.now, self.client_id, decision_id, shelf)

    def promotion(self, replica_id: ReplicaId) -> Order:
        tx, now, client_id, agent_id = self.whom
        return lambda: plans.promote(
            tx,
            now,
            client_id=client_id,
            agent_id=agent_id,
            replica_id=replica_id,
            created_by=CreatedBy.USER,
        )


def _tried(tx: sa.Connection, order: Order) -> Control:
    trial = tx.begin_nested()
    try:
        order()
    except (Refused, InvalidInput, IllegalMove) as refusal:
        return Control(str(refusal))
    finally:
        trial.rollback()
    return Control(None)
