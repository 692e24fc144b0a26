"""Rows for the store's tests: complete and legal; a test changes what it is about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from spotguard.domain.ids import ClientId
from spotguard.domain.pools import parse_pool_id
from spotguard.store import tables as t
from spotguard.store.database import Database
from spotguard.store.pools import ensure_pools
from spotguard.store.tenants import create_client

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
POOL_A, POOL_B, POOL_C = (f"t3.medium.ap-south-1{letter}" for letter in "abc")
OLD, NEW = "i-0123456789abcdef0", "i-0123456789abcdef1"


def client(database: Database, name: str = "Acme") -> ClientId:
    return database.write(lambda tx: create_client(tx, NOW, name))[0]


def pools(database: Database, *ids: str) -> None:
    database.write(
        lambda tx: ensure_pools(tx, NOW, [parse_pool_id(i) for i in ids or (POOL_A, POOL_B, POOL_C)])
    )


def add(database: Database, table: sa.Table, **values: Any) -> None:
    database.write(lambda tx: tx.execute(sa.insert(table), values))


def agent(client_id: str, **values: Any) -> dict[str, Any]:
    return {
        "id": "agent-1",
        "client_id": client_id,
        "logical_agent_id": "web-1",
        "risk_threshold": Decimal("0.30"),
        "allowed_instance_types": [],
        "allowed_azs": [],
        "created_at": NOW,
        "updated_at": NOW,
    } | values


def replica(**values: Any) -> dict[str, Any]:
    return {"id": "replica-1", "agent_id": "agent-1", "replica_type": "manual", "created_at": NOW} | values


def command(client_id: str, **values: Any) -> dict[str, Any]:
    return {
        "id": "command-1",
        "client_id": client_id,
        "agent_id": "agent-1",
        "instance_id": OLD,
        "command_type": "switch",
        "priority": 75,
        "created_by": "user",
        "payload": {},
        "created_at": NOW,
        "expires_at": NOW,
    } | values


def switch(client_id: str, **values: Any) -> dict[str, Any]:
    return {
        "id": "switch-1",
        "client_id": client_id,
        "agent_id": "agent-1",
        "old_instance_id": OLD,
        "event_trigger": "manual",
        "trigger_type": "manual",
        "timing_data": {},
        "plan": {},
        "created_at": NOW,
    } | values


def grant(**values: Any) -> dict[str, Any]:
    return {
        "agent_id": "agent-1",
        "epoch": 1,
        "instance_id": OLD,
        "status": "held",
        "granted_at": NOW,
        "proof": "first",
    } | values


def signal(**values: Any) -> dict[str, Any]:
    return {
        "id": "event-1",
        "agent_id": "agent-1",
        "instance_id": OLD,
        "signal_type": "instance-termination",
        "signal_time": NOW,
        "detected_at": NOW,
        "action": "none",
        "created_at": NOW,
    } | values


def instance(client_id: str, **values: Any) -> dict[str, Any]:
    return {"id": OLD, "client_id": client_id, "created_at": NOW, "updated_at": NOW} | values


def with_agent(database: Database) -> ClientId:
    """A client with one agent, `agent-1`."""
    client_id = client(database)
    add(database, t.agents, **agent(client_id))
    return client_id


@contextmanager
def refused(promise: str) -> Iterator[None]:
    """The database itself says no, and names the promise."""
    # a broken CHECK is an IntegrityError on SQLite, an OperationalError (4025) on MariaDB
    with pytest.raises(sa.exc.DBAPIError, match=promise):
        yield
