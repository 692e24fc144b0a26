"""The API's own statements on SQLite and on MariaDB: one long story through all of them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from spotguard.domain.commands import CommandType
from spotguard.store import commands
from spotguard.store.database import Database
from spotguard.store.tables import commands as commands_table
from spotguard.store.tables import instances, ledger_entries
from tests.api.world import POOL_A, POOL_B, POOL_C, Machine, Tenant, World


@pytest.fixture
def world(database: Database) -> World:
    return World(database=database)


@pytest.fixture
def standby(world: World, acme: Tenant, web: Machine) -> Machine:
    web.prices({POOL_A: 0.0312, POOL_B: 0.0298, POOL_C: 0.0324})
    acme.configure(web, manualReplicaEnabled=True, terminateWaitSeconds=60, maxHourlyUsd="0.25")
    (replica,) = acme.get(f"/agents/{web.agent_id}/replicas")["items"]
    machine = world.register(acme, letter="b", token=world.enrolment(web, replica_id=replica["id"]))
    said = {"sync_status": "synced", "state_transfer_progress": 100, "sync_latency_ms": 12, "position": 2**40}
    assert machine.post(f"replicas/{replica['id']}/sync-status", said).body["status"] == "ready"
    return machine


def test_from_registration_to_promotion(world: World, acme: Tenant, web: Machine, standby: Machine):
    assert web.heartbeat(gate="open", workload_healthy=True).body["role"] == "primary"
    (replica,) = acme.get(f"/agents/{web.agent_id}/replicas")["items"]
    path = f"/api/agents/{web.agent_id}/replicas/{replica['id']}/promote"
    switch_id = world.link.call("POST", path, token=acme.token, body={}).body["switch_id"]
    command = web.next_command()
    names = ("gate_closed_at", "delta_sent_at", "released_at")
    report = {"switch_id": switch_id, "timing": {name: world.ago(1) for name in names}}
    told = web.post("switch-report", report | {"pricing": {"old_spot": "0.0312", "new_spot": 0.0298}})
    assert told.body["status"] == "committed", told
    assert web.post("switch-report", report).body["savings_impact"] == "0.001400"
    web.post(
        f"commands/{command['id']}/result", {"status": "completed", "result": {"deep": {"er": [1, None]}}}
    )
    promote = standby.next_command()
    assert standby.post(f"commands/{promote['id']}/result", {"status": "completed"}).status == 200
    assert (standby.heartbeat().body["role"], web.heartbeat().body["role"]) == ("primary", "passive")
    assert acme.agent(web)["instanceId"] == standby.id
    assert "opened" in {step["step"] for step in acme.get("/switches")["items"][0]["steps"]}
    assert acme.get("/health")["invariants"]["broken"] == []


def test_everything_can_be_listed_and_paged(world: World, acme: Tenant, web: Machine, standby: Machine):
    signal = {"signal_type": "rebalance", "signal_time": world.ago(1)}
    first = web.post("interruption-signal", signal)
    assert web.post("interruption-signal", signal).body == first.body
    for kind, usd in (
        ("ondemand", "0.100000001"),
        ("compute", "0.03"),
        ("waived", "-0.01"),
        ("storage", "0"),
    ):
        row = {
            "client_id": acme.id,
            "agent_id": web.agent_id,
            "kind": kind,
            "resource_id": web.id,
            "from_at": world.clock.now(),
            "to_at": world.clock.now() + timedelta(minutes=1),
            "quantity": Decimal(60),
            "rate_usd": Decimal("0.03"),
            "usd": Decimal(usd),
        }
        world.write(lambda tx, row=row: tx.execute(sa.insert(ledger_entries), row))
    assert acme.get("/savings")["savedUsd"] == "0.080000001"
    for group, key in (("day", "2026-03-01"), ("agent", web.agent_id), ("pool", "ondemand")):
        assert acme.get(f"/savings?group={group}")["groups"][0]["key"] == key
    assert acme.get("/savings?group=pool")["groups"][-1]["key"] is None, "storage has no pool"
    agent = f"/agents/{web.agent_id}"
    lists = ["/agents", "/instances", "/switches", "/interruptions", "/pools"]
    lists += [f"{agent}/{part}" for part in ("replicas", "decisions", "commands", "events", "switches")]
    for path in lists:
        whole = [one["id"] for one in acme.get(path)["items"]]
        paged, cursor = [], ""
        while cursor is not None:
            page = acme.get(f"{path}?limit=1{cursor}")
            paged += [one["id"] for one in page["items"]]
            cursor = page["nextCursor"] and f"&cursor={page['nextCursor']}"
        assert paged == whole, path
    assert acme.get(f"/instances/{web.id}/pricing")["pools"][0]["price"] == "0.029800"
    assert len(acme.get(f"/instances/{web.id}/price-history")["pools"]) == 3
    assert world.link.send("GET", "/api/client/switches.csv", token=acme.token).status == 200
    assert world.link.send("GET", "/health/ready").status == 200


def test_commands_are_leased_kept_ended(world: World, acme: Tenant, web: Machine):
    order = {"launch": {"user_data": "secret", "pool_id": POOL_B, "mode": "spot"}}
    kept, ended = world.command(web, payload=order), world.command(web, payload={"launch": None})
    assert len(web.get("pending-commands").body["commands"]) == 2
    world.clock.pass_seconds(60)
    assert {c["attempt"] for c in web.get("pending-commands").body["commands"]} == {2}
    assert world.write(lambda tx: commands.cancel(tx, world.clock.now(), ended, "enough"))
    assert web.post(f"commands/{ended}/result", {"status": "completed"}).status == 409
    assert web.post(f"commands/{kept}/result", {"status": "completed"}).status == 200
    payloads = {row.id: row.payload for row in world.rows(commands_table)}
    assert payloads == {kept: {"launch": {"pool_id": POOL_B, "mode": "spot"}}, ended: {"launch": None}}
    world.command(web, CommandType.SWITCH)
    assert world.register(acme, "db").agent_id
    assert acme.call("DELETE", f"/agents/{web.agent_id}").status == 200
    assert acme.call("PUT", "/limits", {"maxInstances": 3}).body["maxInstances"] == 3
    assert acme.call("PUT", "/kill-switch", {"level": "all", "reason": "x"}).body["level"] == "all"


def test_a_report_after_the_fact(world: World, acme: Tenant, web: Machine):
    body = {
        "command_id": world.command(web, CommandType.SWITCH),
        "old_instance": {"instance_id": web.id, "mode": "spot", "pool_id": POOL_A},
        "new_instance": {"instance_id": "i-0000000000000abcd", "mode": "spot", "pool_id": POOL_B},
        "timing": {"instance_ready_at": world.ago(9), "old_terminated_at": world.ago(0)},
        "pricing": {"on_demand": 0.0416, "old_spot": 0.0312, "new_spot": 0.0298},
    }
    first = web.post("switch-report", body)
    assert first.body["savings_impact"] == "0.001400"
    assert web.post("switch-report", body).body == first.body
    assert acme.get("/instances?active=true")["items"][0]["id"] == "i-0000000000000abcd"


def test_the_row_of_heartbeats_is_unbroken_until_two_minutes_are_missed(world: World, web: Machine):
    """MariaDB reads a column that stands left in the same SET as it is by then."""

    def heard_since() -> timedelta:
        (row,) = world.rows(instances, instances.c.id == web.id)
        return row.heard_since - began

    began = world.clock.now()
    for seconds, since in ((0, 0), (100, 0), (120, 0), (121, 341), (30, 341)):
        world.clock.time += timedelta(seconds=seconds)
        web.heartbeat()
        assert heard_since() == timedelta(seconds=since)
