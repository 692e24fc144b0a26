"""The contract: committed, complete, and kept under generated requests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from spotguard.api.agent_routes import AGENT_CALLS
from spotguard.api.app import client_app
from spotguard.api.context import Api
from spotguard.api.contract import document, text
from spotguard.api.offload import inline
from spotguard.backtest.replays import replayed
from tests.api.world import World

COMMITTED = Path(__file__).parents[2] / "openapi.json"
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


def of(world: World) -> Any:
    return client_app(Api(world.db, world.clock, world.bell, world.settings, inline))


def test_openapi_json_is_what_the_code_says(world: World):
    committed = COMMITTED.read_text(encoding="utf-8")
    assert committed == text(of(world)), "run: python -m spotguard.api.openapi"


def test_every_call_of_the_specification_is_there(world: World):
    told = document(of(world))["paths"]
    wanted = {
        "/api/agents/register": "post",
        "/api/agents/{agent_id}/heartbeat": "post",
        "/api/agents/{agent_id}/config": "get",
        "/api/agents/{agent_id}/pricing-report": "post",
        "/api/agents/{agent_id}/pending-commands": "get",
        "/api/agents/{agent_id}/commands/{command_id}/result": "post",
        "/api/agents/{agent_id}/switch-report": "post",
        "/api/agents/{agent_id}/interruption-signal": "post",
        "/api/agents/{agent_id}/replicas/{replica_id}/sync-status": "post",
        "/api/agents/{agent_id}/replicas/{replica_id}/promote": "post",
        "/api/agents/{agent_id}/switches/{switch_id}/fallback-status": "post",
        "/api/client/me": "get",
        "/api/client/agents": "get",
        "/api/client/agents/{agentId}": "delete get",
        "/api/client/agents/{agentId}/backtest": "get",
        "/api/client/agents/{agentId}/config": "post",
        "/api/client/agents/{agentId}/controls": "get",
        "/api/client/agents/{agentId}/deletion": "get",
        "/api/client/agents/{agentId}/replicas": "get post",
        "/api/client/agents/{agentId}/replicas/{replicaId}": "delete",
        "/api/client/agents/{agentId}/decisions": "get",
        "/api/client/agents/{agentId}/commands": "get",
        "/api/client/agents/{agentId}/events": "get",
        "/api/client/agents/{agentId}/restore-points": "get",
        "/api/client/agents/{agentId}/switches": "get",
        "/api/client/instances": "get",
        "/api/client/instances/{instanceId}": "get",
        "/api/client/instances/{instanceId}/pricing": "get",
        "/api/client/instances/{instanceId}/price-history": "get",
        "/api/client/instances/{instanceId}/force-switch": "post",
        "/api/client/instances/{instanceId}/force-switch/preview": "post",
        "/api/client/switches": "get",
        "/api/client/switches/{switchId}": "get",
        "/api/client/switches.csv": "get",
        "/api/client/decisions/{decisionId}": "get",
        "/api/client/decisions/{decisionId}/approve": "post",
        "/api/client/decisions/{decisionId}/reject": "post",
        "/api/client/agents/{agentId}/drill": "post",
        "/api/client/agents/{agentId}/drills": "get",
        "/api/client/interruptions": "get",
        "/api/client/pools": "get",
        "/api/client/pools/{poolId}/prices": "get",
        "/api/client/savings": "get",
        "/api/client/savings.csv": "get",
        "/api/client/health": "get",
        "/api/client/kill-switch": "get put",
        "/api/client/limits": "get put",
        "/api/client/probes": "get put",
        "/api/client/leftovers": "get",
        "/api/client/session": "delete get post",
        "/api/client/stream": "get",
        "/api/client/tokens": "get",
        "/api/client/token/rotate": "post",
        "/health/live": "get",
        "/health/ready": "get",
        "/metrics": "get",
    }
    assert {path: " ".join(sorted(calls)) for path, calls in told.items()} == wanted
    assert len(AGENT_CALLS) == 11


WORLD = World(replayer=lambda question, _is_given_up: replayed(question))
TENANT = WORLD.tenant()
MACHINE = WORLD.register(TENANT)
MACHINE.prices({"t3.medium.ap-south-1a": 0.03, "t3.medium.ap-south-1b": 0.02})
schema = schemathesis.openapi.from_dict(document(of(WORLD))).exclude(
    path=["/api/client/stream", "/api/client/session", "/api/client/token/rotate"]
)  # the first never ends; the others need a session, or end the test's own token: tests/api/test_sessions.py
IDS = {"agent_id": MACHINE.agent_id, "agentId": MACHINE.agent_id, "instanceId": MACHINE.id}


@schema.parametrize()
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_generated_requests_get_what_the_contract_says(case: Any) -> None:
    case.path_parameters = {
        **(case.path_parameters or {}),
        **{k: v for k, v in IDS.items() if k in case.path},
    }
    case.query = {
        name: value for name, value in (case.query or {}).items() if name != "wait"
    }  # test_long_poll waits
    tenants = case.path.startswith("/api/client") or case.path.endswith(("promote", "register"))
    case.headers = {"Authorization": f"Bearer {TENANT.token if tenants else MACHINE.token}"}
    response = case.call(app=WORLD.app)
    case.validate_response(response, checks=CHECKS)
