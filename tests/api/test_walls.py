"""Tenants are walls (invariant 15): every route, asked by the wrong one."""

from __future__ import annotations

import re
from typing import Any

import pytest

from spotguard.api.agent_routes import AGENT_CALLS
from spotguard.api.app import client_app
from spotguard.api.context import Api
from spotguard.api.contract import document
from spotguard.api.offload import inline
from spotguard.store import fleet
from spotguard.store.tables import decisions
from tests.api.world import POOL_A, POOL_B, Machine, Tenant, World

OPEN = {"/", "/health/live", "/health/ready", "/metrics", "/openapi.json"}
BODIES: dict[str, Any] = {
    "heartbeat": {"status": "online", "instance_id": "i-00000000000000001", "mode": "spot"},
    "pricing_report": {"pools": [{"id": POOL_A, "price": 0.001}], "on_demand_price": 0.0416},
    "command_result": {"status": "completed"},
    "switch_report": {"timing": {}},
    "interruption_signal": {"signal_type": "termination", "signal_time": "2026-03-01T12:00:00Z"},
    "sync_status": {"sync_status": "synced", "state_transfer_progress": 100},
    "fallback_status": {"sync_status": "synced", "state_transfer_progress": 100},
    "promote": {},
    "/api/client/agents/{agentId}/config": {"enabled": False},
    "/api/client/agents/{agentId}/drill": {"kind": "failover"},
    "/api/client/instances/{instanceId}/force-switch": {"target": "ondemand"},
    "/api/client/instances/{instanceId}/force-switch/preview": {"target": "ondemand"},
    "/api/client/kill-switch": {"level": "all", "reason": "mine"},
    "/api/client/limits": {"maxInstances": 0},
    "/api/client/probes": {"usdPerDay": "1"},
    "/api/client/decisions/{decisionId}/reject": {"reason": "mine"},
    "/api/client/token/rotate": {"confirm": True},
}


def contract() -> dict[str, Any]:
    world = World()
    return document(client_app(Api(world.db, world.clock, world.bell, world.settings, inline)))


def client_calls() -> list[tuple[str, str]]:
    return [
        (method.upper(), path)
        for path, operations in contract()["paths"].items()
        if path.startswith("/api/client") and path != "/api/client/session"  # the door: test_sessions.py
        for method in operations
    ]


CLIENT_CALLS = client_calls()
SCOPED_AGENT_CALLS = [call for call in AGENT_CALLS if "{" in call.path]  # registration has stories of its own
INSTANCE_CALLS = [call for call in AGENT_CALLS if call.credential == "agent"]
SCOPED = [(method, path) for method, path in CLIENT_CALLS if re.search(r"\{(?!poolId)", path)]
WHOLE = [
    path
    for method, path in CLIENT_CALLS
    if method == "GET" and "{" not in path and path not in {"/api/client/stream", "/api/client/pools"}
]


@pytest.fixture
def victim(world: World, acme: Tenant, moving: Machine) -> dict[str, str]:
    """A tenant with something of everything; the ids that a thief would try."""
    moving.heartbeat(gate="open", workload_healthy=True)
    moving.post("interruption-signal", {"signal_type": "rebalance", "signal_time": world.ago(1)})
    db = world.register(acme, "db", letter="c")
    acme.configure(db, manualReplicaEnabled=True)
    (replica,) = acme.get(f"/agents/{db.agent_id}/replicas")["items"]
    return {
        "agentId": moving.agent_id,
        "agent_id": moving.agent_id,
        "instanceId": moving.id,
        "switchId": acme.get("/switches")["items"][0]["id"],
        "switch_id": acme.get("/switches")["items"][0]["id"],
        "replicaId": replica["id"],
        "replica_id": replica["id"],
        "command_id": moving.next_command()["id"],
        "decisionId": proposal(world, moving),
    }


def proposal(world: World, machine: Machine) -> str:
    """A decision that waits for its tenant's answer."""
    row = {
        "id": "0" * 36,
        "client_id": machine.tenant.id,
        "agent_id": machine.agent_id,
        "decided_at": world.clock.now(),
        "policy": "rules-v1",
        "verdict": "await_approval",
        "because": "cheaper",
        "inputs": {},
    }
    world.write(lambda tx: tx.execute(decisions.insert(), row))
    return str(row["id"])


def filled(path: str, ids: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: ids[found[1]], path)


def everything(world: World) -> list[Any]:
    """Every row of every table but what only tells that somebody called."""
    from spotguard.store.tables import metadata

    return [world.rows(table) for table in metadata.sorted_tables]


@pytest.mark.parametrize(("method", "path"), SCOPED, ids=lambda part: part.removeprefix("/api/client"))
def test_another_tenant_finds_nothing(world: World, victim: dict[str, str], method: str, path: str):
    thief = world.tenant("Thief")
    before = everything(world)
    reply = world.link.call(method, filled(path, victim), token=thief.token, body=BODIES.get(path))
    assert reply.status == 404, reply
    assert everything(world) == before
    unknown = dict.fromkeys(victim, "00000000-0000-0000-0000-000000000000")
    none = world.link.call(method, filled(path, unknown), token=thief.token, body=BODIES.get(path))
    assert none.body == reply.body, "what is another's looks like what is not there"


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.removeprefix("/api/client"))
def test_a_list_holds_ones_own(world: World, acme: Tenant, victim: dict[str, str], path: str):
    thief = world.tenant("Thief")
    own = world.register(thief, "thiefs", number=900)
    answer = world.link.send("GET", path, token=thief.token)
    assert answer.status == 200, answer
    for secret in (*victim.values(), acme.id, acme.token, "Acme"):
        assert secret not in answer.content.decode()
    assert own.agent_id


@pytest.mark.parametrize("call", SCOPED_AGENT_CALLS, ids=lambda call: call.handler.__name__)
def test_another_tenants_instance_does_nothing(world: World, victim: dict[str, str], call: Any):
    thief = world.tenant("Thief")
    machine = world.register(thief, "thiefs", number=900)
    token = thief.token if call.credential == "client" else machine.token
    before = everything(world)
    body = BODIES.get(call.handler.__name__)
    reply = world.link.call(call.method, filled(call.path, victim), token=token, body=body)
    assert reply.status == 404, reply
    assert everything(world) == before


@pytest.mark.parametrize("call", INSTANCE_CALLS, ids=lambda call: call.handler.__name__)
def test_another_agent_of_the_same_tenant_is_not_allowed(
    world: World, acme: Tenant, victim: dict[str, str], call: Any
):
    neighbour = world.register(acme, "neighbour")
    body = BODIES.get(call.handler.__name__)
    before = everything(world)
    reply = world.link.call(call.method, filled(call.path, victim), token=neighbour.token, body=body)
    assert reply.status == 403, reply
    assert everything(world) == before


ALL_CALLS = CLIENT_CALLS + [(call.method, call.path) for call in AGENT_CALLS]


@pytest.mark.parametrize(("method", "path"), ALL_CALLS, ids=str)
def test_without_a_valid_credential_nothing_is_told(
    world: World, victim: dict[str, str], method: str, path: str
):
    where = filled(path, victim | {"poolId": POOL_B})
    body = b"{}" if method in {"POST", "PUT"} else b""
    for token in (None, "wrong", "sgc_" + "x" * 43, "é", "x" * 10_000):
        answer = world.link.send(method, where, body, token=token)
        assert answer.status == 401, (token, answer)
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("method", "path"), CLIENT_CALLS, ids=str)
def test_an_instances_token_is_not_the_tenants(
    world: World, acme: Tenant, victim: dict[str, str], method: str, path: str
):
    machine = world.register(acme, "other")
    where = filled(path, victim | {"poolId": POOL_B})
    assert world.link.call(method, where, token=machine.token, body=BODIES.get(path)).status == 403


@pytest.mark.parametrize("call", INSTANCE_CALLS, ids=lambda call: call.handler.__name__)
def test_the_tenants_token_is_not_an_instances(world: World, acme: Tenant, victim: dict[str, str], call: Any):
    body = BODIES.get(call.handler.__name__)
    assert world.link.call(call.method, filled(call.path, victim), token=acme.token, body=body).status == 403


@pytest.mark.parametrize("path", sorted(OPEN))
def test_what_needs_no_credential_tells_nothing_of_any_tenant(
    world: World, acme: Tenant, victim: dict[str, str], path: str
):
    world.link.call("GET", f"/api/client/agents/{victim['agentId']}", token=acme.token)
    answer = world.link.send("GET", path)
    assert answer.status == 200 or (path == "/" and b"make web" in answer.content)
    for secret in (*victim.values(), acme.id, acme.token, "Acme"):
        assert secret not in answer.content.decode()


def test_a_rotated_token_opens_nothing(world: World, acme: Tenant, web: Machine):
    from spotguard.store import tenants

    fresh = world.write(lambda tx: tenants.rotate_token(tx, world.clock.now(), acme.id))
    assert acme.call("GET", "/me").status == 401
    assert web.heartbeat().status == 200, "agents keep theirs"
    acme.token = fresh
    assert acme.get("/me")["id"] == acme.id


def test_no_zone_is_taken_from_a_strangers_word(world: World, acme: Tenant, web: Machine):
    """Another tenant's report makes rows of pools; they show nothing and lead nobody anywhere."""
    other = world.tenant("Mallory")
    theirs = world.register(other, letter="c")
    invented = "t3.medium.ap-south-1z"
    assert theirs.prices({invented: 0.001}).body["accepted"] == 1
    assert invented in {pool["id"] for pool in other.get("/pools")["items"]}
    assert invented not in {pool["id"] for pool in acme.get("/pools")["items"]}
    assert acme.call("GET", f"/pools/{invented}/prices").status == 404
    panel = acme.get(f"/instances/{web.id}/pricing")["pools"]
    assert invented not in {pool["id"] for pool in panel}
    history = acme.get(f"/instances/{web.id}/price-history")["pools"]
    assert invented not in {pool["id"] for pool in history}
    places = world.db.read(
        lambda tx: fleet.places_for_standby(tx, world.clock.now(), fleet.agent_row(tx, web.agent_id))
    )
    assert invented not in {place.pool.id for place in places}
