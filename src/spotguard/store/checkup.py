"""What the doctor asks the database: about itself, and about the fleet. Across tenants, for the operator."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spotguard.domain.agents import AgentStatus, Executor, KillLevel
from spotguard.domain.ids import AgentId, ClientId, InstanceId
from spotguard.domain.instances import GateState
from spotguard.planning.checkup.facts import Cluster, DatabaseFacts, Fleet, Standby, TurnedSwitch, Watched
from spotguard.planning.findings import Unseen
from spotguard.store import database_time, kill, leases, starting_images
from spotguard.store.accounts import all_accounts
from spotguard.store.audit import counters_equal_rows
from spotguard.store.schema import differences
from spotguard.store.tables import (
    agents,
    clients,
    epoch_grants,
    instance_types,
    instances,
    replica_instances,
    spot_pools,
)


def of_database(tx: Connection, now: datetime) -> DatabaseFacts:
    """`now` is this machine's time as the question is asked. Of the disk the database itself tells nothing."""
    wrong = differences(tx)
    its_time = database_time.told(tx) if database_time.is_shared(tx) else now
    return DatabaseFacts(
        kind=tx.dialect.name,
        schema_differences=tuple(wrong),
        miscounts=() if wrong else tuple(counters_equal_rows(tx)),
        cluster=_cluster(tx),
        ahead_seconds=(its_time - now).total_seconds(),
        space=Unseen("the database is another server's: look there"),
    )


def _cluster(tx: Connection) -> Cluster | None:
    if tx.dialect.name == "sqlite":
        return None
    clustered = tx.execute(sa.text("SHOW GLOBAL VARIABLES LIKE 'wsrep_on'")).first()
    if clustered is None or clustered[1] != "ON":
        return None
    status = {str(row[0]).lower(): row[1] for row in tx.execute(sa.text("SHOW GLOBAL STATUS LIKE 'wsrep_%'"))}
    return Cluster(status.get("wsrep_ready") == "ON", int(status.get("wsrep_cluster_size", 0)))


def of_fleet(tx: Connection, now: datetime) -> Fleet:
    """Of every tenant."""
    lived = [(lease.holder, lease.until > now) for lease in leases.of_coordinators(tx)]
    return Fleet(
        coordinators_alive=tuple(name for name, alive in lived if alive),
        coordinators_gone=tuple(name for name, alive in lived if not alive),
        switches=_turned(tx),
        agents=_watched(tx, now),
        without_account=_without_account(tx),
        disabled=_disabled(tx),
    )


def _disabled(tx: Connection) -> tuple[str, ...]:
    found = (
        sa.select(clients.c.name, agents.c.logical_agent_id)
        .join(clients, clients.c.id == agents.c.client_id)
        .where(agents.c.status != AgentStatus.DELETED.value, sa.not_(agents.c.enabled))
        .order_by(clients.c.name, agents.c.logical_agent_id)
    )
    return tuple(f"{row.name}/{row.logical_agent_id}" for row in tx.execute(found))


def _turned(tx: Connection) -> tuple[TurnedSwitch, ...]:
    found = [(row, KillLevel[row.level.upper()]) for row in kill.list_switches(tx)]
    return tuple(
        TurnedSwitch(_whose(row), level, row.reason) for row, level in found if level is not KillLevel.NONE
    )


def _whose(row: Any) -> str:
    if row.scope == kill.EVERYONE:
        return "everybody"
    return f"client {row.client_id}" if row.scope == kill.CLIENT else f"agent {row.scope}"


def _without_account(tx: Connection) -> tuple[str, ...]:
    """Clients whose moves the server makes, and of whose account it knows nothing."""
    known = all_accounts(tx)
    rows = tx.execute(
        sa.select(clients.c.id, clients.c.name)
        .where(clients.c.executor == Executor.SERVER.value)
        .order_by(clients.c.name)
    )
    return tuple(row.name for row in rows if row.id not in known)


def clients_of_accounts(tx: Connection) -> Sequence[Any]:
    """Id, name and executor of every client that has an account, by name."""
    known = list(all_accounts(tx))
    query = sa.select(clients.c.id, clients.c.name, clients.c.executor).where(clients.c.id.in_(known))
    return tx.execute(query.order_by(clients.c.name, clients.c.id)).all()


def types_in_use(tx: Connection, client_id: ClientId) -> tuple[str, ...]:
    """Instance types of its live instances."""
    query = sa.select(instances.c.instance_type).where(
        instances.c.client_id == client_id, instances.c.is_active, instances.c.instance_type.is_not(None)
    )
    return tuple(tx.scalars(query.distinct().order_by(instances.c.instance_type)).all())


def serving_instances(tx: Connection, client_id: ClientId) -> tuple[tuple[AgentId, InstanceId], ...]:
    """Who holds the epoch of each of its agents, the newest grant first."""
    query = (
        sa.select(agents.c.id, epoch_grants.c.instance_id)
        .join(agents, agents.c.id == epoch_grants.c.held_agent_id)
        .where(agents.c.client_id == client_id, agents.c.status != AgentStatus.DELETED.value)
        .order_by(epoch_grants.c.granted_at.desc(), agents.c.id)
    )
    return tuple((AgentId(row.id), InstanceId(row.instance_id)) for row in tx.execute(query))


def _watched(tx: Connection, now: datetime) -> tuple[Watched, ...]:
    standbys = _standbys(tx, now)
    query = (
        sa.select(
            agents.c.id,
            agents.c.logical_agent_id,
            agents.c.status,
            clients.c.name,
            instances.c.last_heartbeat_at,
            instances.c.agent_version,
            instances.c.gate,
            instances.c.current_pool_id,
            instances.c.az,
            instances.c.hibernates,
            sa.or_(starting_images.IS_PROVEN, starting_images.HAS_OURS).label("has_image"),
            instances.c.state_on_root,
            starting_images.HAS_OURS.label("is_imaged"),
            agents.c.allowed_instance_types,
        )
        .join(clients, clients.c.id == agents.c.client_id)
        .outerjoin(epoch_grants, epoch_grants.c.held_agent_id == agents.c.id)
        .outerjoin(instances, instances.c.id == epoch_grants.c.instance_id)
        .where(agents.c.status != AgentStatus.DELETED.value, agents.c.enabled)
        .order_by(clients.c.name, agents.c.logical_agent_id, agents.c.id)
    )
    rows = tx.execute(query).all()
    known = _known_types(tx, {name for row in rows for name in row.allowed_instance_types})
    return tuple(
        Watched(
            name=row.logical_agent_id,
            client=row.name,
            switching=row.status == AgentStatus.SWITCHING,
            silent_seconds=_age(now, row.last_heartbeat_at),
            version=row.agent_version,
            gate_open=None if row.gate is None else row.gate == GateState.OPEN,
            pool_id=row.current_pool_id,
            az=row.az,
            standbys=standbys.get(row.id, ()),
            hibernates=row.hibernates,
            has_image=bool(row.has_image),
            state_on_root=row.state_on_root is True,
            is_imaged=bool(row.is_imaged),
            unknown_types=tuple(sorted(set(row.allowed_instance_types) - known)),
        )
        for row in rows
    )


def _known_types(tx: Connection, wanted: set[str]) -> set[str]:
    """Those of which somebody has told a price, or what they are."""
    kinds = (instance_types.c.instance_type, spot_pools.c.instance_type)
    told = (tx.scalars(sa.select(kind).where(kind.in_(sorted(wanted)))) for kind in kinds)
    return {name for names in told for name in names}


def _standbys(tx: Connection, now: datetime) -> dict[str, tuple[Standby, ...]]:
    r = replica_instances.c
    query = (
        sa.select(r.id, r.agent_id, r.status, r.pool_id, r.az, r.synced_at).where(r.is_active).order_by(r.id)
    )
    found: dict[str, tuple[Standby, ...]] = {}
    for row in tx.execute(query):
        standby = Standby(row.id, row.status, row.pool_id, row.az, _age(now, row.synced_at))
        found[row.agent_id] = (*found.get(row.agent_id, ()), standby)
    return found


def _age(now: datetime, then: datetime | None) -> float | None:
    return None if then is None else (now - then).total_seconds()
