"""A tenant with very many agents, each with decisions behind it, and a week of prices of twenty pools.

One agent is registered, the others are its copies.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spotguard.api.app import create_app
from spotguard.api.direct import DirectLink
from spotguard.api.offload import inline
from spotguard.api.settings import ApiSettings
from spotguard.api.wakeups import NoWakeups
from spotguard.domain.pools import parse_pool_id
from spotguard.host.clock import SystemClock
from spotguard.store import pools, tenants
from spotguard.store.database import Database
from spotguard.store.tables import agents, decisions, epoch_grants, instances, metadata, spot_price_snapshots

REGION, TYPE = "us-east-1", "m5.large"
ZONES = [f"{REGION}{letter}" for letter in "abcdefghijklmnopqrst"]
ON_DEMAND = 0.096
DAYS = 7
DECISIONS = 20  # of each agent
PER_POOL = 24 * DAYS * 2  # prices that change every half hour: more than AWS's do


def filled(db: Database, count: int) -> tuple[str, str, str]:
    """The tenant's id and token, and an agent's id."""
    clock = SystemClock()
    now = clock.now()
    client_id, token = db.write(lambda tx: tenants.create_client(tx, now, "Many"))
    link = DirectLink(
        create_app(db, clock, NoWakeups(), settings=ApiSettings(rate_limits=None), offload=inline)
    )
    told = _register(link, token)
    db.write(lambda tx: _prices(tx, now, random.Random(7)))
    db.write(lambda tx: _copy(tx, told["agent_id"], count - 1))
    db.write(lambda tx: _decided(tx, now))
    return client_id, token, told["agent_id"]


def _register(link: DirectLink, token: str) -> dict[str, Any]:
    said = {
        "logical_agent_id": "web-00000",
        "instance_id": "i-00000000000000001",
        "instance_type": TYPE,
        "region": REGION,
        "az": ZONES[0],
        "mode": "spot",
        "pool_id": f"{TYPE}.{ZONES[0]}",
        "agent_version": "0.1.0",
        "hostname": "web-00000",
        "private_ip": "10.0.0.1",
        "boot_id": "boot",
    }
    reply = link.call("POST", "/api/agents/register", token=token, body=said)
    assert reply.status == 201, reply
    told = dict(reply.body)
    beat = {
        "status": "online",
        "instance_id": said["instance_id"],
        "mode": "spot",
        "pool_id": said["pool_id"],
    }
    place = f"/api/agents/{told['agent_id']}"
    link.call(
        "POST", f"{place}/heartbeat", token=told["agent_token"], body={**beat, "workload_healthy": True}
    )
    report = {"pools": [{"id": said["pool_id"], "price": 0.03}], "on_demand_price": ON_DEMAND}
    link.call("POST", f"{place}/pricing-report", token=told["agent_token"], body=report)
    return told


def _prices(tx: Connection, now: datetime, dice: random.Random) -> None:
    known = [parse_pool_id(f"{TYPE}.{zone}") for zone in ZONES]
    pools.ensure_pools(tx, now, known)
    rows = [row for pool in known for row in _walk(pool.id, now, dice)]
    tx.execute(sa.insert(spot_price_snapshots), rows)


def _walk(pool_id: str, now: datetime, dice: random.Random) -> Iterator[dict[str, Any]]:
    cents = dice.uniform(2.5, 5)
    for step in range(PER_POOL):
        cents = min(9, max(1, cents + dice.uniform(-0.1, 0.1)))
        at = now - timedelta(days=DAYS) * (1 - (step + 1) / PER_POOL)
        price = Decimal(f"{cents / 100:.6f}")
        yield {"pool_id": pool_id, "price": price, "captured_at": at, "client_id": None}


def _copy(tx: Connection, agent_id: str, count: int) -> None:
    """Every row of the one agent, under new ids."""
    names = [(str(uuid4()), f"web-{number:05d}", f"i-{number + 1:017x}") for number in range(1, count + 1)]
    for table, key in ((agents, "id"), (instances, "agent_id"), (epoch_grants, "agent_id")):
        row = tx.execute(sa.select(table).where(table.c[key] == agent_id)).one()
        stored = {column.name: getattr(row, column.name) for column in table.c if column.computed is None}
        tx.execute(sa.insert(table), [_renamed(table.name, stored, *name) for name in names])


def _decided(tx: Connection, now: datetime) -> None:
    """As many decisions for every agent, the newest an hour ago."""
    everybody = tx.execute(sa.select(agents.c.id, agents.c.client_id)).all()
    for number in range(DECISIONS):
        at = now - timedelta(hours=DECISIONS - number)
        rows = [
            {
                "id": str(uuid4()),
                "client_id": one.client_id,
                "agent_id": one.id,
                "decided_at": at,
                "policy": "rules-v1",
                "verdict": "stay",
                "because": "the present pool is the cheapest",
                "inputs": {"epoch": 1, "config_version": 1},
            }
            for one in everybody
        ]
        tx.execute(sa.insert(decisions), rows)


def _renamed(table: str, row: dict[str, Any], agent_id: str, name: str, machine: str) -> dict[str, Any]:
    if table == agents.name:
        return {**row, "id": agent_id, "logical_agent_id": name, "instance_id": machine, "hostname": name}
    if table == instances.name:
        return {**row, "agent_id": agent_id, "id": machine}
    return {**row, "agent_id": agent_id, "instance_id": machine}


def empty(path: str) -> Database:
    db = Database.open(f"sqlite:///{path}")
    metadata.create_all(db.engine)
    return db
