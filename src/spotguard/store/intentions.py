"""What costs money is written down before EC2 hears of it, with what it reserves of a spend cap (invariants 6, 12)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from spotguard.domain.errors import Refused
from spotguard.domain.ids import AgentId, ClientId, ClientToken, ReplicaId, SwitchId
from spotguard.domain.instances import Mode
from spotguard.domain.money import ZERO
from spotguard.domain.pools import parse_pool_id
from spotguard.ports.clock import Clock
from spotguard.ports.intentions import Intention, IntentionKind, IntentionStatus, Outcome
from spotguard.store.database import Database
from spotguard.store.tables import agents, clients, instances, intentions
from spotguard.store.upserts import insert_missing

Row = sa.Row[Any]
_LAUNCHES = ("launch", "fleet")


@dataclass(frozen=True)
class Wisher:
    """For whom and what for. `voluntary`: spend caps bind it; a rescue is never stopped by one."""

    client_id: ClientId
    agent_id: AgentId
    switch_id: SwitchId | None
    replica_id: ReplicaId | None
    voluntary: bool


class DatabaseIntentions:
    """Implements `execution.intentions.Intentions`: each call is one transaction, durable when it returns."""

    def __init__(self, db: Database, clock: Clock, wisher: Wisher) -> None:
        self._db = db
        self._clock = clock
        self._wisher = wisher

    def of(self, seed: str) -> Sequence[Intention]:
        return self._db.read(lambda tx: of_seed(tx, seed))

    def open(self, intention: Intention) -> None:
        self._db.write(lambda tx: open_intention(tx, self._clock.now(), self._wisher, intention))

    def close(self, token: ClientToken, outcome: Outcome) -> None:
        self._db.write(lambda tx: close_intention(tx, self._clock.now(), token, outcome))


def of_seed(tx: sa.Connection, seed: str) -> list[Intention]:
    rows = tx.execute(
        sa.select(intentions)
        .where(sa.or_(intentions.c.switch_id == seed, intentions.c.replica_id == seed))
        .order_by(intentions.c.created_at, intentions.c.token)
    ).all()
    return [_intention(row) for row in rows if row.request.get("seed") == seed]


def _intention(row: Row) -> Intention:
    asked = row.request
    status = IntentionStatus(row.status)
    outcome = None if status is IntentionStatus.OPEN else Outcome(status, row.resource_id, row.error_code)
    return Intention(
        token=ClientToken(row.token),
        kind=IntentionKind(row.kind),
        seed=asked["seed"],
        purpose=asked["purpose"],
        attempt=asked["attempt"],
        opened_at=row.created_at,
        pool=None if asked["pool_id"] is None else parse_pool_id(asked["pool_id"]),
        mode=None if asked["mode"] is None else Mode(asked["mode"]),
        usd_per_hour=row.hourly_usd,
        outcome=outcome,
    )


def open_intention(tx: sa.Connection, now: datetime, wisher: Wisher, intention: Intention) -> None:
    """The row, and with it what it reserves. `Refused` when a cap does not allow it: nothing was written."""
    is_launch = intention.kind in (IntentionKind.LAUNCH, IntentionKind.FLEET)
    if wisher.voluntary and is_launch:
        require_caps(tx, now, wisher.client_id, wisher.agent_id, intention.usd_per_hour)
    row = {
        "token": intention.token,
        "client_id": wisher.client_id,
        "agent_id": wisher.agent_id,
        "kind": intention.kind.value,
        "switch_id": wisher.switch_id,
        "replica_id": wisher.replica_id,
        "request": {
            "seed": intention.seed,
            "purpose": intention.purpose,
            "attempt": intention.attempt,
            "pool_id": None if intention.pool is None else intention.pool.id,
            "mode": None if intention.mode is None else intention.mode.value,
        },
        "status": IntentionStatus.OPEN.value,
        "hourly_usd": intention.usd_per_hour,
        "voluntary": wisher.voluntary,
        "created_at": now,
    }
    insert_missing(tx, intentions, [row])


def close_intention(tx: sa.Connection, now: datetime, token: ClientToken, outcome: Outcome) -> None:
    """The answer, once: a closed attempt is never opened again."""
    tx.execute(
        sa.update(intentions)
        .where(intentions.c.token == token, intentions.c.status == IntentionStatus.OPEN.value)
        .values(
            status=outcome.status.value,
            resource_id=outcome.resource_id,
            error_code=outcome.error_code,
            closed_at=now,
        )
    )


def require_caps(
    tx: sa.Connection, now: datetime, client_id: ClientId, agent_id: AgentId, usd_per_hour: Decimal | None
) -> None:
    """`Refused` when one more instance at this price breaks a cap of the client or the agent.

    The client's row is touched first: of two coordinators that reserve at once, one waits for the other.
    """
    tx.execute(sa.update(clients).where(clients.c.id == client_id).values(updated_at=now))
    client = tx.execute(sa.select(clients).where(clients.c.id == client_id)).one()
    agent_cap = tx.execute(
        sa.select(agents.c.max_hourly_usd).where(agents.c.id == agent_id)
    ).scalar_one_or_none()
    if agent_cap is not None:
        _require("this agent's spending", agent_cap, hourly_of(tx, client_id, agent_id), usd_per_hour)
    if client.max_hourly_usd is not None:
        _require("the client's spending", client.max_hourly_usd, hourly_of(tx, client_id), usd_per_hour)
    if client.max_instances is not None and _running(tx, client_id) + 1 > client.max_instances:
        raise Refused(
            f"the limit of {client.max_instances} instances is reached: raise maxInstances or end one"
        )
    if client.max_launches_per_hour is not None:
        launched = _launched_within_hour(tx, now, client_id)
        if launched + 1 > client.max_launches_per_hour:
            raise Refused(
                f"{launched} launches within the last hour: the limit is {client.max_launches_per_hour}"
            )


def _require(whose: str, cap: Decimal, present: Decimal | None, more: Decimal | None) -> None:
    if present is None or more is None:
        raise Refused(f"{whose} is capped at {cap} USD/h, and not every price is known")
    if present + more > cap:
        raise Refused(f"{whose} would come to {present + more} USD/h: the cap is {cap}")


def hourly_of(tx: sa.Connection, client_id: ClientId, agent_id: AgentId | None = None) -> Decimal | None:
    """USD/h of what runs and of open launches; None when one of their prices is not known."""
    machines = sa.select(instances.c.current_mode, instances.c.spot_price, instances.c.ondemand_price).where(
        instances.c.client_id == client_id, instances.c.is_active
    )
    opened = sa.select(intentions.c.hourly_usd).where(
        intentions.c.client_id == client_id,
        intentions.c.status == IntentionStatus.OPEN.value,
        intentions.c.kind.in_(_LAUNCHES),
    )
    if agent_id is not None:
        machines = machines.where(instances.c.agent_id == agent_id)
        opened = opened.where(intentions.c.agent_id == agent_id)
    costs = [
        row.spot_price if row.current_mode == Mode.SPOT else row.ondemand_price
        for row in tx.execute(machines)
    ]
    costs += [row.hourly_usd for row in tx.execute(opened)]
    if any(cost is None for cost in costs):
        return None
    return sum(costs, ZERO)


def _running(tx: sa.Connection, client_id: ClientId) -> int:
    machines = sa.select(sa.func.count()).where(instances.c.client_id == client_id, instances.c.is_active)
    opened = sa.select(sa.func.count()).where(
        intentions.c.client_id == client_id,
        intentions.c.status == IntentionStatus.OPEN.value,
        intentions.c.kind.in_(_LAUNCHES),
    )
    return int(tx.execute(machines).scalar_one() + tx.execute(opened).scalar_one())


def _launched_within_hour(tx: sa.Connection, now: datetime, client_id: ClientId) -> int:
    launched = sa.select(sa.func.count()).where(
        intentions.c.client_id == client_id,
        intentions.c.kind.in_(_LAUNCHES),
        intentions.c.created_at > now - timedelta(hours=1),
        intentions.c.status != IntentionStatus.FAILED.value,
    )
    return int(tx.execute(launched).scalar_one())
