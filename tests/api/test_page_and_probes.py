"""The page, the probes, the metrics: what needs no credential."""

from __future__ import annotations

import base64
import gc
import hashlib
import re

import msgspec
import pytest
import structlog

from spotguard.api.app import create_app
from spotguard.api.direct import DirectLink
from spotguard.api.offload import inline
from spotguard.store.database import Database
from tests.api.world import Machine, Tenant, World
from tests.support.mariadb import running_server, why_absent


def test_the_page_loads_nothing_from_anywhere_and_runs_only_itself(world: World):
    answer = world.link.send("GET", "/")
    html, policy = answer.content.decode(), answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    for tag in ("script", "style"):
        (block,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(block.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", html)
    assert not re.findall(r"https?://|\bon\w+=|style=|innerHTML|insertAdjacent|document\.write|eval\(", html)
    assert "localStorage" not in html
    assert len(html.splitlines()) < 200


def test_live_never_asks_the_database(world: World):
    broken = Database.open("sqlite:////nowhere/at/all.db")
    link = DirectLink(create_app(broken, world.clock, world.bell, offload=inline))
    assert link.send("GET", "/health/live").status == 200
    ready = link.send("GET", "/health/ready")
    assert ready.status == 503
    assert b"nowhere" not in ready.content
    assert world.link.send("GET", "/health/ready").status == 200


@pytest.mark.parametrize("path", ["/api/client/agents", "/api/agents/a/config", "/api/agents/a/heartbeat"])
def test_without_its_database_every_call_is_told_to_come_back(world: World, path: str):
    """503, not 500: nothing is wrong with the request, and one line in the log says why."""
    broken = Database.open("sqlite:////nowhere/at/all.db")
    link = DirectLink(create_app(broken, world.clock, world.bell, offload=inline))
    body = {"status": "online", "instance_id": "i-0123456789abcdef0", "mode": "spot", "pool_id": None}
    method, said = ("POST", body) if path.endswith("heartbeat") else ("GET", None)
    with structlog.testing.capture_logs() as lines:
        answer = link.send(method, path, msgspec.json.encode(said) if said else b"", token="sgc_x")
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert b"nowhere" not in answer.content
    (line,) = lines
    assert (line["event"], "exc_info" in line) == ("the database cannot serve", False)


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # PyMySQL leaves refused sockets open
@pytest.mark.skipif(why_absent() is not None, reason=str(why_absent()))
def test_a_database_that_is_stopped_under_a_running_server(world: World):
    with running_server() as url:
        database = Database.open(url.format(name="mysql"))  # which every server has
        link = DirectLink(create_app(database, world.clock, world.bell, offload=inline))
        assert link.send("GET", "/health/ready").status == 200
    for path in ("/health/ready", "/api/client/agents", "/api/agents/a/config"):
        assert link.send("GET", path, token="sgc_x").status == 503, path
    database.dispose()
    gc.collect()  # what is left open is this test's


def test_metrics_count_by_route_never_by_id(world: World, acme: Tenant, web: Machine):
    web.heartbeat()
    acme.agent(web)
    world.link.send("GET", "/api/client/agents/%3Cscript%3E", token=acme.token)
    world.link.send("GET", "/not/a/route")
    text = world.link.send("GET", "/metrics").content.decode()
    assert 'route="/api/agents/{agent_id}/heartbeat",status="200"' in text
    assert 'route="/api/client/agents/{agentId}",status="404"' in text
    assert 'method="-",route="none",status="404"' in text
    for secret in (web.agent_id, web.id, acme.id, "script", "not/a"):
        assert secret not in text
