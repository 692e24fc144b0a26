"""The page, the probes, the metrics: what needs no credential."""

from __future__ import annotations

import asyncio
import gc
import gzip
import re
from pathlib import Path

import msgspec
import pytest
import structlog
from starlette.routing import Router

from spotguard.api import dashboard
from spotguard.api.app import create_app
from spotguard.api.direct import DirectLink
from spotguard.api.offload import inline
from spotguard.store.database import Database
from tests.api.world import Machine, Tenant, World
from tests.support.mariadb import running_server, why_absent


@pytest.fixture
def built(tmp_path: Path) -> DirectLink:
    """The routes of a dashboard of two files."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text('<meta content="{nonce}"><meta content="{notice}">')
    (tmp_path / "assets/index-abc.js").write_text("let figures = 0;\n" * 200)
    (tmp_path / ".stamp").write_text("not for readers")
    return DirectLink(Router(list(dashboard.routes('played "prices"', tmp_path))))


def test_every_page_runs_only_files_of_ours_and_has_a_nonce_of_its_own(built: DirectLink):
    nonces = set()
    for path in (
        "/",
        "/sign-in",
        "/agents/a",
        "/switches",
        "/switches/s",
        "/savings",
        "/pools",
        "/health",
        "/tokens",
    ):
        answer = built.send("GET", path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-" in policy
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
        (nonce,) = re.findall(r"'nonce-([^']+)'", policy)
        assert f'content="{nonce}"' in answer.content.decode()
        assert "played &quot;prices&quot;" in answer.content.decode()
        nonces.add(nonce)
    assert len(nonces) == 9


def test_assets_are_packed_kept_for_ever_and_nothing_else_is_there(built: DirectLink):
    plain = built.send("GET", "/assets/index-abc.js")
    packed = built.send("GET", "/assets/index-abc.js", headers={"Accept-Encoding": "gzip, br"})
    assert gzip.decompress(packed.content) == plain.content
    assert packed.headers["content-encoding"] == "gzip"
    assert "immutable" in plain.headers["cache-control"]
    assert plain.headers["content-type"].startswith("text/javascript")
    for path in ("/assets/.stamp", "/assets/..%2F.stamp", "/assets/../index.html", "/assets/none.js"):
        assert built.send("GET", path).status == 404, path


def test_a_browser_at_no_page_gets_the_dashboard_and_a_program_what_it_got_before(tmp_path: Path):
    (tmp_path / "index.html").write_text('<meta content="{nonce}"><meta content="{notice}">')
    link = DirectLink(dashboard.or_page(Router([]), "told", tmp_path))

    def answered(path: str, accept: str, method: str = "GET") -> tuple[int, str]:
        answer = link.send(method, path, headers={"Accept": accept})
        return answer.status, answer.headers["content-type"].partition(";")[0]

    browser = "text/html,application/xhtml+xml,*/*;q=0.8"
    assert answered("/nope", browser) == (404, "text/html")
    before = (404, "text/plain")
    assert answered("/nope", "*/*") == answered("/nope", "application/json") == before
    assert answered("/nope", browser, "POST") == answered("/api/nope", browser) == before
    (tmp_path / "index.html").unlink()
    assert answered("/nope", browser) == before


def test_the_icon_that_browsers_ask_for_by_custom_leads_to_ours(built: DirectLink, tmp_path: Path):
    assert built.send("GET", "/favicon.ico").status == 404
    other = tmp_path / "other"
    (other / "assets").mkdir(parents=True)
    (other / "assets/icon-abc.svg").write_text("<svg/>")
    answer = DirectLink(Router(list(dashboard.routes("", other)))).send("GET", "/favicon.ico")
    assert (answer.status, answer.headers["location"]) == (307, "/assets/icon-abc.svg")


def test_where_it_was_not_built_the_page_says_how(tmp_path: Path):
    answer = DirectLink(Router(list(dashboard.routes("", tmp_path)))).send("GET", "/")
    assert (answer.status, "make web" in answer.json()["detail"]) == (503, True)


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


@pytest.mark.long
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


def test_who_asks_in_process_from_a_callback_of_a_loop_is_answered(world: World, acme: Tenant):
    """No task is there whose waiting could be ended: the browser's driver calls so."""

    async def asked() -> int:
        loop = asyncio.get_running_loop()
        status: asyncio.Future[int] = loop.create_future()
        body = {"usdPerDay": "0.50"}
        loop.call_soon(lambda: status.set_result(acme.call("PUT", "/probes", body).status))
        return await status

    assert asyncio.run(asked()) == 200
