"""What a person may order of an agent now, and why not: each order is carried out and taken back.

The rules that will judge the order itself judge it here, so that a screen cannot promise what a click is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from spotguard.domain.agents import Autonomy
from spotguard.domain.commands import CreatedBy
from spotguard.domain.errors import IllegalMove, InvalidInput, Refused
from spotguard.domain.ids import AgentId, ClientId, ReplicaId
from spotguard.models.shelf import Shelf
from spotguard.store import (
    approvals,
    configuration,
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
    approve: Control | None
    promote: dict[ReplicaId, Control]


def of_agent(
    tx: sa.Connection,
    now: datetime,
    client_id: ClientId,
    agent_id: AgentId,
    shelf: Shelf,
    *,
    auto_needs_drill: bool,
) -> Controls:
    """In a transaction that may write: every row is afterwards as it was. `NotFound` for another tenant's agent.

    `shelf`: where the models lie that an approval asks again.
    """
    fleet.agent_row(tx, agent_id, client_id)
    whom = (tx, now, client_id, agent_id)
    waiting = views_agents.agent(*whom).waiting

    def setting(**wanted: object) -> Control:
        return _tried(tx, lambda: configuration.configure(*whom, wanted, auto_needs_drill=auto_needs_drill))

    def promotion(replica_id: ReplicaId) -> Order:
        return lambda: plans.promote(
            tx,
            now,
            client_id=client_id,
            agent_id=agent_id,
            replica_id=replica_id,
            created_by=CreatedBy.USER,
        )

    live = [ReplicaId(row.id) for row in replicas.live(tx, agent_id)]
    return Controls(
        move=_tried(tx, lambda: move_orders.require_movable(*whom)),
        automatic=setting(auto_switch_enabled=True),
        manual=setting(manual_replica_enabled=True),
        autonomy_auto=setting(autonomy=Autonomy.AUTO.value),
        create_replica=_tried(
            tx,
            lambda: plans.create_replica(
                tx, now, client_id=client_id, agent_id=agent_id, created_by=CreatedBy.USER
            ),
        ),
        failover_drill=_tried(tx, lambda: drill_orders.open_failover(*whom, CreatedBy.USER)),
        restore_drill=_tried(tx, lambda: restore_orders.order_restore(*whom, CreatedBy.USER)),
        approve=None
        if waiting is None
        else _tried(tx, lambda: approvals.approve(tx, now, client_id, waiting.id, shelf)),
        promote={one: _tried(tx, promotion(one)) for one in live},
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
