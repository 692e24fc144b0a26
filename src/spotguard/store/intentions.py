"""What costs money is written down before EC2 hears of it, with what it reserves of a spend cap (invariants 6, 12)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec
import sqlalchemy as sa

from spotguard.domain.errors import Refused
from spotguard.domain.ids import (
    AgentId,
    ClientId,
    ClientToken,
    DrillId,
    InstanceId,
    ProbeId,
    ReplicaId,
    SwitchId,
)
from spotguard.domain.instances import Mode
from spotguard.domain.money import ZERO
from spotguard.domain.pools import Pool, parse_pool_id
from spotguard.ports.clock import Clock
from spotguard.ports.intentions import Intention, IntentionKind, IntentionStatus, Outcome
from spotguard.ports.shape import Shape
from spotguard.store import drills, outgoing, probes
from spotguard.store.database import Database, must_last
from spotguard.store.prepared import Prepared
from spotguard.store.tables import agents, clients, instances, intentions
from spotguard.store.upserts import insert_missing

Row = sa.Row[Any]
LAUNCHES = ("launch", "fleet")
AGENTS = "agent:"
UNSEEN_FOR = timedelta(hours=1)  # so long a launch counts whose instance no row shows yet


class Cap(StrEnum):
    """What people limit."""

    AGENT_USD = "maxHourlyUsd of the agent"
    CLIENT_USD = "maxHourlyUsd"
    INSTANCES = "maxInstances"
    LAUNCHES = "maxLaunchesPerHour"


@dataclass(frozen=True)
class Wisher:
    """For whom and what for. `voluntary`: spend caps bind it; a rescue is never stopped by one."""

    client_id: ClientId
    agent_id: AgentId
    switch_id: SwitchId | None
    replica_id: ReplicaId | None
    voluntary: bool
    drill_id: DrillId | None = None
    probe_id: ProbeId | None = None


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


_OF_SEED = Prepared(
    sa.select(intentions)
    .where(
        sa.or_(
            intentions.c.switch_id == sa.bindparam("seed"),
            intentions.c.replica_id == sa.bindparam("seed"),
            intentions.c.drill_id == sa.bindparam("seed"),
            intentions.c.probe_id == sa.bindparam("seed"),
        )
    )
    .order_by(intentions.c.created_at, intentions.c.token)
)


def of_seed(tx: sa.Connection, seed: str) -> list[Intention]:
    return [intention_of(row) for row in _OF_SEED.rows(tx, {"seed": seed}) if row.request.get("seed") == seed]


def intention_of(row: Row) -> Intention:
    """As it was asked for, with what came of it."""
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
        shape=shape_in(asked),
        outcome=outcome,
    )


def shape_in(request: Mapping[str, Any]) -> Shape | None:
    """What the launch was told to look like; None: whatever EC2 gives."""
    told = request.get("shape")
    return None if told is None else msgspec.convert(told, Shape)


def open_intention(tx: sa.Connection, now: datetime, wisher: Wisher, intention: Intention) -> None:
    """The row, and with it what it reserves. `Refused` when a cap does not allow it: nothing was written."""
    is_launch = intention.kind in (IntentionKind.LAUNCH, IntentionKind.FLEET)
    if wisher.voluntary and is_launch:
        is_probe, usd = wisher.probe_id is not None, intention.usd_per_hour
        after = None if wisher.replica_id is None else outgoing.machine_of(tx, wisher.agent_id)
        require_caps(tx, now, wisher.client_id, wisher.agent_id, usd, is_probe=is_probe, after=after)
        if wisher.probe_id is not None:
            probes.require_waiting(tx, wisher.probe_id)
        if wisher.drill_id is not None:
            drills.require_waiting(tx, wisher.drill_id)
    _insert(tx, now, wisher, intention)


def reserve(
    tx: sa.Connection, now: datetime, wisher: Wisher, *, pool: Pool, mode: Mode, usd_per_hour: Decimal | None
) -> None:
    """An agent launches by itself: it is counted here from its order on, until its instance is named or never comes.

    The caller has asked `require_caps` in this transaction, before it wrote anything.
    """
    seed = agents_token(wisher.replica_id or wisher.switch_id)
    intention = Intention(
        token=ClientToken(seed),
        kind=IntentionKind.LAUNCH,
        seed=seed,  # not the switch's own: whoever carries on the server's attempts does not see an agent's
        purpose="agent",
        attempt=1,
        opened_at=now,
        pool=pool,
        mode=mode,
        usd_per_hour=usd_per_hour,
    )
    _insert(tx, now, wisher, intention)


def reserved_is(
    tx: sa.Connection,
    now: datetime,
    instance_id: InstanceId | str | None,
    *,
    switch_id: SwitchId | None = None,
    replica_id: ReplicaId | None = None,
) -> None:
    """What an agent's launch has become; None: nothing. Without a reservation nothing changes."""
    status = IntentionStatus.FAILED if instance_id is None else IntentionStatus.DONE
    token = ClientToken(agents_token(replica_id or switch_id))
    close_intention(tx, now, token, Outcome(status, resource_id=instance_id))


def agents_token(role: str | None) -> str:
    """Of the reservation for what an agent launches itself, for a replica or a switch."""
    return f"{AGENTS}{role}"


def _insert(tx: sa.Connection, now: datetime, wisher: Wisher, intention: Intention) -> None:
    is_launch = intention.kind.value in LAUNCHES
    admitted = _admitted(tx, wisher) if wisher.voluntary and is_launch else None
    row = {
        "token": intention.token,
        "client_id": wisher.client_id,
        "agent_id": wisher.agent_id,
        "kind": intention.kind.value,
        "switch_id": wisher.switch_id,
        "replica_id": wisher.replica_id,
        "drill_id": wisher.drill_id,
        "probe_id": wisher.probe_id,
        "request": {
            "seed": intention.seed,
            "purpose": intention.purpose,
            "attempt": intention.attempt,
            "pool_id": None if intention.pool is None else intention.pool.id,
            "mode": None if intention.mode is None else intention.mode.value,
            "admitted": admitted,
            "shape": None if intention.shape is None else msgspec.to_builtins(intention.shape),
        },
        "status": IntentionStatus.OPEN.value,
        "hourly_usd": intention.usd_per_hour,
        "voluntary": wisher.voluntary,
        "created_at": now,
    }
    insert_missing(tx, intentions, [row])
    must_last(tx)


def close_intention(tx: sa.Connection, now: datetime, token: ClientToken, outcome: Outcome) -> None:
    """The answer, once: a closed attempt is never opened again."""
    _CLOSE.change(
        tx,
        {
            "asked": token,
            "answer": outcome.status.value,
            "resource": outcome.resource_id,
            "code": outcome.error_code,
            "now": now,
        },
    )


_CLOSE = Prepared(
    sa.update(intentions)
    .where(intentions.c.token == sa.bindparam("asked"), intentions.c.status == IntentionStatus.OPEN.value)
    .values(
        status=sa.bindparam("answer"),
        resource_id=sa.bindparam("resource"),
        error_code=sa.bindparam("code"),
        closed_at=sa.bindparam("now"),
    )
)


def require_caps(
    tx: sa.Connection,
    now: datetime,
    client_id: ClientId,
    agent_id: AgentId,
    usd_per_hour: Decimal | None,
    *,
    is_probe: bool = False,
    after: InstanceId | None = None,
) -> None:
    """`Refused` when one more instance at this price breaks a cap of the client or the agent.

    A probe takes nobody's place: a real launch at its price has to fit beside it, and none is counted for a real one.
    `after`: once this instance has ended.
    The client's row is touched first: of two coordinators that reserve at once, one waits for the other.
    """
    more = 2 if is_probe else 1
    usd = None if usd_per_hour is None else more * usd_per_hour
    if after is not None:
        ended = _machines_usd(tx, client_id, agent_id, after)
        more, usd = more - 1, None if usd is None or ended is None else usd - ended
    tx.execute(sa.update(clients).where(clients.c.id == client_id).values(updated_at=now))
    client = tx.execute(sa.select(clients).where(clients.c.id == client_id)).one()
    agent_cap = tx.scalar(sa.select(agents.c.max_hourly_usd).where(agents.c.id == agent_id))
    if agent_cap is not None:
        _require("this agent's spending", agent_cap, hourly_of(tx, now, client_id, agent_id), usd)
    if client.max_hourly_usd is not None:
        _require("the client's spending", client.max_hourly_usd, hourly_of(tx, now, client_id), usd)
    if client.max_instances is not None and _running(tx, now, client_id) + more > client.max_instances:
        raise Refused(
            f"the limit of {client.max_instances} instances is reached: raise maxInstances or end one"
        )
    if client.max_launches_per_hour is not None:
        launched = _launched_within_hour(tx, now, client_id, probes_too=is_probe)
        if launched + 1 > client.max_launches_per_hour:
            raise Refused(
                f"{launched} launches within the last hour: the limit is {client.max_launches_per_hour}"
            )


def _require(whose: str, cap: Decimal, present: Decimal | None, more: Decimal | None) -> None:
    if present is None or more is None:
        raise Refused(f"{whose} is capped at {cap} USD/h, and not every price is known")
    if present + more > cap:
        raise Refused(
            f"{whose} would come to {present + more} USD/h: the cap is {cap}; raise maxHourlyUsd, or end what runs"
        )


def hourly_of(
    tx: sa.Connection, now: datetime, client_id: ClientId, agent_id: AgentId | None = None
) -> Decimal | None:
    """USD/h of what runs and of launches that no row shows yet; None when one of their prices is not known."""
    opened = sa.select(intentions.c.hourly_usd).where(unseen(now, client_id))
    if agent_id is not None:
        opened = opened.where(intentions.c.agent_id == agent_id)
    return total_usd([_machines_usd(tx, client_id, agent_id), *tx.execute(opened).scalars()])


def _machines_usd(
    tx: sa.Connection,
    client_id: ClientId,
    agent_id: AgentId | None = None,
    instance_id: InstanceId | None = None,
) -> Decimal | None:
    ours, agents_own = intentions.alias("ours"), intentions.alias("agents_own")
    role = sa.func.coalesce(instances.c.replica_id, instances.c.switch_id)
    reserved = sa.func.coalesce(
        ours.c.hourly_usd, agents_own.c.hourly_usd, type_=intentions.c.hourly_usd.type
    )
    priced = (instances.c.current_mode, instances.c.spot_price, instances.c.ondemand_price, reserved)
    machines = (
        sa.select(*priced[:3], reserved.label("reserved"), sa.func.count().label("many"))
        .outerjoin(ours, ours.c.token == instances.c.intention_token)
        .outerjoin(agents_own, agents_own.c.token == sa.literal(AGENTS) + role)
        .where(instances.c.client_id == client_id, instances.c.is_active)
        .group_by(*priced)
    )
    if agent_id is not None:
        machines = machines.where(instances.c.agent_id == agent_id)
    if instance_id is not None:
        machines = machines.where(instances.c.id == instance_id)
    return total_usd(_usd_of(row) for row in tx.execute(machines))


def _usd_of(alike: Any) -> Decimal | None:
    """Of machines that cost the same: their present price; what was reserved for each until one is written."""
    present: Decimal | None = alike.spot_price if alike.current_mode == Mode.SPOT else alike.ondemand_price
    reserved: Decimal | None = alike.reserved
    each = reserved if present is None else present
    return None if each is None else each * alike.many


def total_usd(costs: Iterable[Decimal | None]) -> Decimal | None:
    """None when one of them is not known."""
    known = list(costs)
    return None if None in known else sum((cost for cost in known if cost is not None), ZERO)


def unseen(now: datetime, client_id: ClientId) -> sa.ColumnElement[bool]:
    """Launches without an answer, and those whose named instance has not come into a row yet."""
    return unseen_since(now - UNSEEN_FOR, client_id)


def unseen_since(since: Any, client_id: Any) -> sa.ColumnElement[bool]:
    """The same, whose answer came after `since`: for a prepared statement."""
    i = intentions.c
    named = sa.and_(
        i.status == IntentionStatus.DONE.value,
        i.closed_at > since,
        i.resource_id.not_in(sa.select(instances.c.id).where(instances.c.client_id == client_id)),
    )
    waits = sa.or_(i.status == IntentionStatus.OPEN.value, named)
    return sa.and_(i.client_id == client_id, i.kind.in_(LAUNCHES), waits)


def _running(tx: sa.Connection, now: datetime, client_id: ClientId) -> int:
    asked = sa.select(sa.func.count()).select_from(intentions).where(unseen(now, client_id))
    return _machines(tx, client_id) + int(tx.execute(asked).scalar_one())


def _admitted(tx: sa.Connection, wisher: Wisher) -> dict[str, dict[str, str]]:
    """Under which caps it was let in, and what was there then: prices move later, and people change caps."""
    client = tx.execute(sa.select(clients).where(clients.c.id == wisher.client_id)).one()
    agent_cap = tx.scalar(sa.select(agents.c.max_hourly_usd).where(agents.c.id == wisher.agent_id))
    told: dict[str, tuple[Decimal | int | None, Decimal | int | None]] = {
        Cap.AGENT_USD: (agent_cap, _machines_usd(tx, wisher.client_id, wisher.agent_id)),
        Cap.CLIENT_USD: (client.max_hourly_usd, _machines_usd(tx, wisher.client_id)),
        Cap.INSTANCES: (client.max_instances, _machines(tx, wisher.client_id)),
        Cap.LAUNCHES: (client.max_launches_per_hour, 0),
    }
    return {
        cap: {"limit": str(limit), "before": str(before)}
        for cap, (limit, before) in told.items()
        if limit is not None and before is not None
    }


def _machines(tx: sa.Connection, client_id: ClientId) -> int:
    active = sa.select(sa.func.count()).where(instances.c.client_id == client_id, instances.c.is_active)
    return int(tx.execute(active).scalar_one())


def _launched_within_hour(tx: sa.Connection, now: datetime, client_id: ClientId, *, probes_too: bool) -> int:
    launched = sa.select(sa.func.count()).where(
        intentions.c.client_id == client_id,
        intentions.c.kind.in_(LAUNCHES),
        intentions.c.created_at > now - timedelta(hours=1),
        intentions.c.status != IntentionStatus.FAILED.value,
        sa.true() if probes_too else intentions.c.probe_id.is_(None),
    )
    return int(tx.execute(launched).scalar_one())
