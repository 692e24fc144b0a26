"""Savings, exports, health, kill switch, limits."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from spotguard.api.csv_text import cell
from spotguard.domain.ids import AgentId, ClientId
from spotguard.store import events, kill
from spotguard.store.tables import agent_events, agents, clients, instances, leases, ledger_entries, switches
from tests.api.world import POOL_A, POOL_B, Machine, Tenant, World

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def entry(
    world: World, machine: Machine, kind: str, usd: str, *, day: int = 0, pool: str | None = POOL_A
) -> None:
    begin = NOON + timedelta(days=day, minutes=len(world.rows(ledger_entries)))
    row = {
        "client_id": machine.tenant.id,
        "agent_id": machine.agent_id,
        "kind": kind,
        "resource_id": machine.id,
        "pool_id": pool,
        "from_at": begin,
        "to_at": begin + timedelta(minutes=1),
        "quantity": Decimal(60),
        "rate_usd": Decimal("0.03"),
        "usd": Decimal(usd),
    }
    world.write(lambda tx: tx.execute(sa.insert(ledger_entries), row))


def test_savings_come_from_the_ledger_to_the_last_digit(world: World, acme: Tenant, web: Machine):
    other = world.register(world.tenant("Other"), number=900)
    entry(world, other, "ondemand", "1000")
    for _ in range(10):
        entry(world, web, "ondemand", "0.100000001", pool=None)
        entry(world, web, "compute", "0.030000001")
    entry(world, web, "replica", "0.02")
    entry(world, web, "overlap", "0.01")
    entry(world, web, "storage", "0.005", pool=None)
    entry(world, web, "waived", "-0.01")
    savings = acme.get("/savings")
    assert savings["onDemandUsd"] == "1.000000010"
    assert savings["computeUsd"] == "0.300000010"
    assert (savings["replicaUsd"], savings["overlapUsd"], savings["storageUsd"]) == (
        "0.020000000",
        "0.010000000",
        "0.005000000",
    )
    assert savings["savedUsd"] == "0.675000000"
    assert savings["savedPercent"] == 67.5


def test_savings_by_day_agent_and_pool(world: World, acme: Tenant, web: Machine):
    db = world.register(acme, "db")
    entry(world, web, "ondemand", "0.10", pool=None)
    entry(world, web, "compute", "0.04")
    entry(world, db, "ondemand", "0.20", day=1, pool=None)
    entry(world, db, "compute", "0.30", day=1)
    days = acme.get("/savings?group=day")["groups"]
    assert [(g["key"], g["savedUsd"]) for g in days] == [
        ("2026-03-01", "0.060000000"),
        ("2026-03-02", "-0.100000000"),
    ], "losses are shown"
    by_agent = {g["label"]: g["computeUsd"] for g in acme.get("/savings?group=agent")["groups"]}
    assert by_agent == {"web": "0.040000000", "db": "0.300000000"}
    entry(world, web, "storage", "0.01", pool=None)
    pools = {g["key"]: g["onDemandUsd"] for g in acme.get("/savings?group=pool")["groups"]}
    assert pools == {POOL_A: "0", "ondemand": "0.300000000", None: "0"}
    second_day = acme.get("/savings?from=2026-03-02T00:00:00Z&to=2026-03-03T00:00:00Z")
    assert second_day["computeUsd"] == "0.300000000"
    assert second_day["from"] == "2026-03-02T00:00:00.000000Z"


def test_nothing_metered_is_no_percentage(acme: Tenant):
    savings = acme.get("/savings")
    assert (savings["savedUsd"], savings["savedPercent"]) == ("0.000000000", None) or savings[
        "savedPercent"
    ] is None


@pytest.mark.parametrize(
    "query",
    ["group=moon", "from=yesterday", "to=2026-03-01", "from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z"],
)
def test_a_span_is_a_span(acme: Tenant, query: str):
    assert acme.call("GET", f"/savings?{query}").status == 422
    assert acme.call("GET", f"/savings.csv?{query}").status == 422


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("/agents?limit=0", "/query/limit"),
        ("/savings?from=yesterday", "/query/from"),
        ("/savings?from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z", "/query/to"),
        ("/agents?limit=x&cursor=" + "x" * 401, "/query/limit"),
        ("/agents/" + "x" * 40, "/path/agentId"),
    ],
)
def test_a_wrong_parameter_is_pointed_at(acme: Tenant, path: str, pointer: str):
    errors = acme.call("GET", path).body["errors"]
    assert errors[0]["pointer"] == pointer


def test_exports_run_nothing_in_a_spreadsheet(world: World, acme: Tenant, moving: Machine):
    evil = '=HYPERLINK("http://evil","x")'
    world.write(lambda tx: tx.execute(sa.update(agents).values(logical_agent_id=evil)))
    world.write(
        lambda tx: tx.execute(sa.update(switches).values(ended_because="@SUM(1)\n+1", savings_impact=-1))
    )
    answer = world.link.send("GET", "/api/client/switches.csv", token=acme.token)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    (row,) = csv.DictReader(io.StringIO(answer.content.decode()))
    assert row["logical_agent_id"] == "'" + evil
    assert row["ended_because"] == "'@SUM(1)\n+1"
    assert row["savings_impact"] == "-1.000000", "a number is no formula"
    assert row["new_pool_id"] == "t3.medium.ap-south-1b" or row["new_pool_id"] == ""


@given(st.text(max_size=20))
def test_no_cell_begins_like_a_formula(text: str):
    assert not cell(text).startswith(("=", "+", "-", "@", "\t", "\r"))


def test_savings_as_csv(world: World, acme: Tenant, web: Machine):
    entry(world, web, "compute", "0.04")
    answer = world.link.send("GET", "/api/client/savings.csv?group=agent", token=acme.token)
    (row,) = csv.DictReader(io.StringIO(answer.content.decode()))
    assert (row["label"], row["compute_usd"]) == ("web", "0.040000000")


def test_health(world: World, acme: Tenant, web: Machine):
    world.command(web)
    row = {
        "name": "coordinator",
        "holder": "h",
        "epoch": 3,
        "until": world.clock.now() + timedelta(seconds=9),
    }
    world.write(lambda tx: tx.execute(sa.insert(leases), row))
    health = acme.get("/health")
    assert health["invariants"]["checked"]
    assert health["invariants"]["broken"] == []
    assert health["queue"] == {"pending": 1, "leased": 0, "oldestPendingAt": "2026-03-01T12:00:00.000000Z"}
    assert health["agentsBehind"] == []
    assert health["model"] == {
        "policy": "rules-v1",
        "risk": "age-hazard-v1",
        "active": None,
        "shadow": None,
    }
    assert (health["killSwitch"], health["killSwitches"]) == ("none", [])
    turned = {"level": "voluntary", "scope": web.agent_id, "reason": "audit"}
    assert acme.call("PUT", "/kill-switch", turned).status == 200
    assert [one["scope"] for one in acme.get("/health")["killSwitches"]] == [web.agent_id]
    assert health["coordinators"][0]["alive"] is True
    world.clock.pass_seconds(121)
    health = acme.get("/health")
    assert [behind["logicalAgentId"] for behind in health["agentsBehind"]] == ["web"]
    assert health["agentsBehindCount"] == 1
    assert health["coordinators"][0]["alive"] is False


def test_health_names_whom_nobody_serves_and_why(world: World, acme: Tenant, web: Machine):
    other = world.tenant("Other")
    serving = acme.get("/health")
    assert (serving["agentsUnserved"], serving["agentsUnservedCount"]) == ([], 0)
    world.write(lambda tx: tx.execute(sa.update(instances).values(ec2_state="terminated")))
    (nothing_told,) = acme.get("/health")["agentsUnserved"]
    assert (nothing_told["id"], nothing_told["logicalAgentId"]) == (web.agent_id, "web")
    assert nothing_told["why"].startswith("who served has let go or ended")
    client_id, agent_id, then = ClientId(acme.id), AgentId(web.agent_id), world.clock.now()
    world.write(
        lambda tx: events.append(tx, then, client_id, agent_id, "nobody_serves", "no standby, no image")
    )
    told = acme.get("/health")
    assert [one["why"] for one in told["agentsUnserved"]] == ["no standby, no image"]
    assert told["agentsUnservedCount"] == 1
    assert other.get("/health")["agentsUnserved"] == []
    world.write(lambda tx: tx.execute(sa.update(agents).values(status="deleted", deleted_at=then)))
    assert acme.get("/health")["agentsUnserved"] == [], "nobody is to serve what its user has deleted"


def test_health_names_whose_recovery_waits_and_for_what(world: World, acme: Tenant, web: Machine):
    client_id, agent_id, then = ClientId(acme.id), AgentId(web.agent_id), world.clock.now()
    web.prices({POOL_A: 0.0312, POOL_B: 0.0298})
    moved = acme.call("POST", f"/instances/{web.id}/force-switch", {"target": "pool", "poolId": POOL_B})
    assert moved.status == 202
    world.write(lambda tx: tx.execute(sa.update(switches).values(is_recovery=True)))
    assert acme.get("/health")["agentsUnserved"] == [], "it is on its way"
    world.write(lambda tx: events.append(tx, then, client_id, agent_id, "recovery_waits", "no pool has room"))
    assert [one["why"] for one in acme.get("/health")["agentsUnserved"]] == ["no pool has room"]


def test_health_sees_a_wrong_counter(world: World, acme: Tenant, web: Machine):
    other = world.tenant("Other")
    world.write(lambda tx: tx.execute(sa.update(agents).values(replica_count=3)))
    assert len(acme.get("/health")["invariants"]["broken"]) == 1
    assert other.get("/health")["invariants"]["broken"] == [], "another tenant's trouble is its own"


def test_kill_switch(world: World, acme: Tenant, web: Machine):
    assert acme.get("/kill-switch")["level"] == "none"
    stopped = acme.call(
        "PUT", "/kill-switch", {"level": "all", "scope": "client", "reason": "AWS is on fire"}
    )
    assert stopped.status == 200, stopped
    assert stopped.body["level"] == "all"
    assert "emergencies too" in stopped.body["note"]
    acme.call("PUT", "/kill-switch", {"level": "none", "scope": "client", "reason": "out"})
    one = acme.call("PUT", "/kill-switch", {"level": "voluntary", "scope": web.agent_id, "reason": "freeze"})
    assert [s["scope"] for s in one.body["switches"] if s["level"] == "voluntary"] == [web.agent_id]
    assert len(world.rows(agent_events, agent_events.c.kind == "kill_switch")) == 3
    world.write(
        lambda tx: kill.set_level(tx, world.clock.now(), "*", "*", kill.KillLevel.VOLUNTARY, "upgrade")
    )
    assert acme.get("/kill-switch")["level"] == "voluntary", "the operator's counts for everybody"


def test_an_agents_kill_switch_answers_for_the_agent(acme: Tenant, web: Machine):
    stopped = acme.call("PUT", "/kill-switch", {"level": "all", "scope": web.agent_id, "reason": "a fire"})
    assert (stopped.body["scope"], stopped.body["level"]) == (web.agent_id, "all")
    assert stopped.body["note"].startswith("for web: everything is stopped")
    assert acme.get("/kill-switch")["level"] == "none", "the rest of the fleet goes on"
    assert acme.get(f"/kill-switch?scope={web.agent_id}")["level"] == "all"


def test_an_agent_freed_under_a_stopped_client_is_told_so(acme: Tenant, web: Machine):
    acme.call("PUT", "/kill-switch", {"level": "voluntary", "scope": "client", "reason": "audit"})
    freed = acme.call("PUT", "/kill-switch", {"level": "none", "scope": web.agent_id, "reason": "go"})
    assert freed.body["level"] == "voluntary"
    assert freed.body["note"].endswith("(by the switch of the client)")


@pytest.mark.parametrize(("scope", "status"), [("*", 422), ("nobody", 404)])
def test_a_kill_switch_is_read_within_the_tenant(acme: Tenant, scope: str, status: int):
    assert acme.call("GET", f"/kill-switch?scope={scope}").status == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"level": "all", "scope": "*", "reason": "x"}, 422),
        ({"level": "all", "scope": "client", "reason": ""}, 422),
        ({"level": "all", "scope": "client", "reason": "  "}, 422),
        ({"level": "all", "scope": "client"}, 422),
        ({"level": "everything", "scope": "client", "reason": "x"}, 422),
        ({"level": "all", "scope": "nobody", "reason": "x"}, 404),
    ],
)
def test_a_kill_switch_is_turned_with_a_reason(acme: Tenant, body: dict, status: int):
    assert acme.call("PUT", "/kill-switch", body).status == status
    assert acme.get("/kill-switch")["switches"] == []


def test_what_probes_may_cost_is_nothing_until_it_is_set_and_is_one_tenants_own(world: World, acme: Tenant):
    other = world.tenant("Other")
    off = {"usdPerDay": "0.000000", "spentUsd": "0", "items": [], "nextCursor": None}
    assert acme.get("/probes") == off
    assert acme.call("PUT", "/probes", {"usdPerDay": "0.50"}).body["usdPerDay"] == "0.500000"
    assert acme.get("/probes")["usdPerDay"] == "0.500000"
    assert other.get("/probes") == off
    for wrong in (
        {},
        {"usdPerDay": None},
        {"usdPerDay": -1},
        {"usdPerDay": "NaN"},
        {"usdPerDay": 10_000},
        {"usdPerDay": "0.0000001"},
        {"usd": 1},
        [],
    ):
        assert acme.call("PUT", "/probes", wrong).status == 422, wrong
    assert acme.get("/probes")["usdPerDay"] == "0.500000"
    told = [row.message for row in world.rows(agent_events, agent_events.c.kind == "probe_budget")]
    assert told == ["capacity probes may cost 0.50 USD a day"]


def test_limits(world: World, acme: Tenant):
    other = world.tenant("Other")
    assert acme.get("/limits") == {"maxInstances": None, "maxHourlyUsd": None, "maxLaunchesPerHour": None}
    acme.call("PUT", "/limits", {"maxInstances": 5, "max_hourly_usd": "1.25"})
    assert acme.get("/limits") == {"maxInstances": 5, "maxHourlyUsd": "1.250000", "maxLaunchesPerHour": None}
    acme.call("PUT", "/limits", {"maxInstances": None})
    assert acme.get("/limits")["maxInstances"] is None
    assert other.get("/limits")["maxHourlyUsd"] is None
    for wrong in (
        {"maxInstances": -1},
        {"maxInstances": "5"},
        {"maxHourlyUsd": "NaN"},
        {"maxInstance": 1},
        [],
    ):
        assert acme.call("PUT", "/limits", wrong).status == 422, wrong
    assert [row.max_hourly_usd for row in world.rows(clients, clients.c.id == acme.id)] == [Decimal("1.25")]
