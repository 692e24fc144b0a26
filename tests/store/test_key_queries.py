"""The specification's three key queries, word for word but for `?`, `NOW()` and the order of unknown prices."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from spotguard.domain.ids import PoolId
from spotguard.store import tables as t
from spotguard.store.prices import current_prices, record_report
from spotguard.store.types import Money, UtcTime
from tests.store import rows
from tests.store.rows import NEW, NOW, OLD, POOL_A, POOL_B, POOL_C, add

AGENT_WITH_CONFIGURATION = sa.text("""
    SELECT
        a.id, a.logical_agent_id, a.instance_id,
        a.auto_switch_enabled, a.manual_replica_enabled,
        a.auto_terminate_enabled, a.terminate_wait_seconds,
        a.replica_count, a.current_replica_id,
        a.status, a.last_heartbeat_at
    FROM agents a
    WHERE a.client_id = :client AND a.id = :agent
""").columns(last_heartbeat_at=UtcTime)

# Ruling S12: NOW() is a bound time, and pools without a price come last.
PRICES_SQL = """
    SELECT sp.id, sp.pool_name, sp.az, sps.price
    FROM spot_pools sp
    LEFT JOIN (
        SELECT pool_id, price,
               ROW_NUMBER() OVER (PARTITION BY pool_id ORDER BY captured_at DESC) as rn
        FROM spot_price_snapshots
        WHERE captured_at >= :an_hour_ago
    ) sps ON sps.pool_id = sp.id AND sps.rn = 1
    WHERE sp.instance_type = :type AND sp.region = :region
    ORDER BY sps.price IS NULL, sps.price ASC
"""
AN_HOUR_AGO = sa.bindparam("an_hour_ago", type_=UtcTime)
CURRENT_PRICES = sa.text(PRICES_SQL).bindparams(AN_HOUR_AGO).columns(price=Money)

# MySQL's own words for the hour, against a bound now.
CURRENT_PRICES_BY_INTERVAL = sa.text(
    PRICES_SQL.replace(":an_hour_ago", "DATE_SUB(:now, INTERVAL 1 HOUR)")
).bindparams(sa.bindparam("now", type_=UtcTime))

ACTIVE_REPLICAS = sa.text("""
    SELECT id, instance_id, replica_type, status, sync_status, state_transfer_progress
    FROM replica_instances
    WHERE agent_id = :agent
      AND is_active = TRUE
      AND status NOT IN ('terminated', 'promoted')
    ORDER BY created_at DESC
""")


def test_agent_with_all_configuration(database):
    client_id = rows.with_agent(database)
    beat = NOW - timedelta(seconds=30)
    database.write(lambda tx: tx.execute(sa.update(t.agents).values(last_heartbeat_at=beat)))
    asked = {"client": client_id, "agent": "agent-1"}
    agent = database.read(lambda tx: tx.execute(AGENT_WITH_CONFIGURATION, asked).one())
    assert agent.logical_agent_id == "web-1"
    assert (agent.auto_switch_enabled, agent.manual_replica_enabled, agent.auto_terminate_enabled) == (
        1,
        0,
        1,
    )
    assert (agent.terminate_wait_seconds, agent.replica_count, agent.status) == (1800, 0, "online")
    assert agent.last_heartbeat_at == beat


def test_another_tenant_s_agent_is_not_there(database):
    rows.with_agent(database)
    other = rows.client(database, "Other")
    asked = {"client": other, "agent": "agent-1"}
    assert database.read(lambda tx: tx.execute(AGENT_WITH_CONFIGURATION, asked).all()) == []


def report(database, client_id, at: datetime, prices: dict[str, str]) -> None:
    told = [(PoolId(pool), Decimal(price)) for pool, price in prices.items()]
    database.write(lambda tx: record_report(tx, at, client_id, at, told))


def test_current_prices_cheapest_first_and_unknown_last(database):
    client_id = rows.client(database)
    rows.pools(database)
    report(database, client_id, NOW - timedelta(minutes=59), {POOL_A: "0.0312", POOL_B: "0.0298"})
    report(database, client_id, NOW - timedelta(minutes=1), {POOL_A: "0.0290"})
    report(database, client_id, NOW - timedelta(hours=2), {POOL_C: "0.0001"})
    expected = [(POOL_A, Decimal("0.0290")), (POOL_B, Decimal("0.0298")), (POOL_C, None)]

    asked = {"type": "t3.medium", "region": "ap-south-1", "an_hour_ago": NOW - timedelta(hours=1)}
    found = database.read(lambda tx: tx.execute(CURRENT_PRICES, asked).all())
    assert [(row.id, row.price) for row in found] == expected
    ours = database.read(lambda tx: current_prices(tx, NOW, client_id, ["t3.medium"], "ap-south-1"))
    assert [(pool.pool.id, pool.price) for pool in ours] == expected


def test_current_prices_with_the_interval_of_the_specification(mariadb_database):
    client_id = rows.client(mariadb_database)
    rows.pools(mariadb_database, POOL_A, POOL_B)
    report(mariadb_database, client_id, NOW - timedelta(minutes=59), {POOL_A: "0.0312"})
    report(mariadb_database, client_id, NOW - timedelta(minutes=61), {POOL_B: "0.0100"})
    asked = {"type": "t3.medium", "region": "ap-south-1", "now": NOW}
    found = mariadb_database.read(lambda tx: tx.execute(CURRENT_PRICES_BY_INTERVAL, asked).all())
    assert [(row.id, row.price) for row in found] == [(POOL_A, Decimal("0.0312")), (POOL_B, None)]


@pytest.mark.parametrize("minutes", [0, 60])
def test_a_price_of_exactly_an_hour_counts(database, minutes):
    client_id = rows.client(database)
    report(database, client_id, NOW - timedelta(minutes=minutes), {POOL_A: "0.03"})
    asked = {"type": "t3.medium", "region": "ap-south-1", "an_hour_ago": NOW - timedelta(hours=1)}
    assert database.read(lambda tx: tx.execute(CURRENT_PRICES, asked).one()).price == Decimal("0.03")


def test_active_replicas_newest_first(database):
    rows.with_agent(database)
    ended = {"status": "terminated", "is_active": False}
    promoted = {"status": "promoted", "is_active": False, "instance_id": OLD}
    add(database, t.replica_instances, **rows.replica(id="old", replica_type="automatic-rebalance"))
    later = NOW + timedelta(minutes=1)
    add(
        database,
        t.replica_instances,
        **rows.replica(id="new", created_at=later, status="ready", sync_status="synced", instance_id=NEW),
    )
    add(database, t.replica_instances, **rows.replica(id="gone", **ended))
    add(database, t.replica_instances, **rows.replica(id="promoted", **promoted))
    found = database.read(lambda tx: tx.execute(ACTIVE_REPLICAS, {"agent": "agent-1"}).all())
    assert [(row.id, row.status, row.sync_status) for row in found] == [
        ("new", "ready", "synced"),
        ("old", "launching", None),
    ]
