"""Browsers: signed in by token, held by a cookie, guarded by a CSRF token, ended by logout and by rotation."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from spotguard.api.direct import Answer
from spotguard.domain.clock import rfc3339
from spotguard.store.tables import agent_events, instances
from tests.api.world import Machine, Tenant, World


class Browser:
    """Signs in and keeps the cookie, as a browser does."""

    def __init__(self, world: World, token: str, **headers: str) -> None:
        self.world = world
        self.answer = self._send("POST", "/session", {"token": token}, headers)
        self.cookie = self.answer.headers.get("set-cookie", "").partition(";")[0]
        self.csrf = self.answer.json().get("csrfToken", "")

    def get(self, path: str, **headers: str) -> Answer:
        return self._send("GET", path, None, {"Cookie": self.cookie, **headers})

    def change(self, method: str, path: str, body: Any = None, csrf: str | None = None) -> Answer:
        token = self.csrf if csrf is None else csrf
        return self._send(method, path, body, {"Cookie": self.cookie, "X-CSRF-Token": token})

    def _send(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Answer:
        content = b"" if body is None else msgspec.json.encode(body)
        place = path if path.startswith("/api") else f"/api/client{path}"
        return self.world.link.send(method, place, content, headers=headers)


@pytest.fixture
def browser(world: World, acme: Tenant) -> Browser:
    return Browser(world, acme.token)


def test_a_token_is_exchanged_for_a_cookie_that_no_script_reads_and_no_other_site_sends(browser: Browser):
    assert browser.answer.status == 201
    cookie = browser.answer.headers["set-cookie"]
    assert {"HttpOnly", "Path=/", "SameSite=strict"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert browser.get("/me").json()["name"] == "Acme"
    assert browser.get("/session").json()["csrfToken"] == browser.csrf


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"{}", b'{"token": 1}', b'{"token": ""}', b'{"token": "a\x00"}', b"\xff"],
)
def test_a_hostile_body_is_turned_away_at_the_door(world: World, acme: Tenant, body: bytes):
    answer = world.link.send("POST", "/api/client/session", body)
    assert answer.status in {400, 401, 422}
    assert answer.headers["content-type"] == "application/problem+json"
    assert "set-cookie" not in answer.headers


def test_behind_https_the_cookie_travels_nowhere_else():
    world = World(is_public_https=True)
    assert "Secure" in Browser(world, world.tenant().token).answer.headers["set-cookie"]


def test_nobody_signs_in_with_another_token_or_from_another_site(world: World, acme: Tenant, web: Machine):
    assert Browser(world, "sgc_wrong").answer.status == 401
    assert Browser(world, web.token).answer.status == 403
    assert Browser(world, acme.token, **{"Sec-Fetch-Site": "cross-site"}).answer.status == 403


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_no_form_of_another_site_signs_anybody_in_where_browsers_tell_no_fetch_metadata(
    world: World, acme: Tenant, kind: str
):
    elsewhere = {"Origin": "http://elsewhere.test"}
    assert Browser(world, acme.token, **elsewhere, **{"Content-Type": kind}).answer.status == 403
    own = {"Origin": "http://here.test", "Content-Type": "application/json; charset=utf-8"}
    assert Browser(world, acme.token, **own).answer.status == 201
    assert (
        world.link.send("OPTIONS", "/api/client/session", headers=elsewhere).status == 405
    )  # no leave is given


def test_nothing_of_a_tenant_stays_behind_in_a_browsers_cache(browser: Browser):
    for path in ("/me", "/switches.csv", "/session", "/agents"):
        assert browser.get(path).headers["cache-control"] == "no-store", path


def test_a_change_needs_the_csrf_token(browser: Browser, web: Machine):
    change = ("POST", f"/agents/{web.agent_id}/config", {"enabled": False})
    assert browser.change(*change, csrf="").status == 403
    assert browser.change(*change, csrf="0" * 64).status == 403
    assert browser.get(f"/agents/{web.agent_id}").json()["config"]["enabled"] is True
    assert browser.change(*change).status == 200


def test_a_session_may_promote_and_speaks_for_no_agent(browser: Browser, web: Machine):
    promote = f"/api/agents/{web.agent_id}/replicas/none/promote"
    assert browser.change("POST", promote, {}, csrf="").status == 403
    assert browser.change("POST", promote, {}).status == 404
    assert browser.get(f"/api/agents/{web.agent_id}/config").status == 401


def test_a_session_sees_only_its_own_tenant(world: World, browser: Browser, web: Machine):
    other = Browser(world, world.tenant("Umbrella").token)
    assert browser.get(f"/agents/{web.agent_id}").status == 200
    assert other.get(f"/agents/{web.agent_id}").status == 404
    assert other.change("POST", f"/agents/{web.agent_id}/config", {"enabled": False}).status == 404
    assert other.get("/tokens").json()["agentTokens"] == []


def test_a_page_of_one_session_reads_nothing_once_another_tab_has_signed_in_as_another_tenant(
    world: World, browser: Browser, web: Machine
):
    page = {"X-CSRF-Token": browser.csrf}
    assert browser.get("/me", **page).json()["name"] == "Acme"
    former = browser.cookie
    other = Browser(world, world.tenant("Umbrella").token, Cookie=former)
    assert other.get("/me").json()["name"] == "Umbrella"
    answer = other.get("/agents", **page)
    assert (answer.status, answer.json()["detail"]) == (
        401,
        "this browser has another session now: sign in again",
    )
    browser.cookie = former
    assert browser.get("/me").status == 401  # what one browser had before has ended


def test_signing_out_ends_the_session_wherever_its_cookie_is(browser: Browser):
    assert browser.change("DELETE", "/session", csrf="").status == 403
    assert browser.change("DELETE", "/session").status == 204
    assert browser.get("/me").status == 401


def test_a_session_ends_by_itself(world: World, browser: Browser):
    world.clock.pass_seconds(12 * 3600 - 1)
    assert browser.get("/me").status == 200
    world.clock.pass_seconds(1)
    assert browser.get("/me").status == 401


def test_where_the_clock_goes_faster_its_hours_are_the_viewers():
    world = World(clock_rate=120)
    browser = Browser(world, world.tenant().token)
    assert "Max-Age=43200" in browser.answer.headers["set-cookie"]
    world.clock.pass_seconds(120 * 12 * 3600 - 1)
    assert browser.get("/me").status == 200
    world.clock.pass_seconds(1)
    assert browser.get("/me").status == 401


def test_rotating_the_token_ends_every_session_but_the_one_that_did_it(
    world: World, acme: Tenant, browser: Browser
):
    other = Browser(world, acme.token)
    assert len(browser.get("/tokens").json()["browsers"]) == 2
    token = browser.change("POST", "/token/rotate", {"confirm": True}).json()["token"]
    assert (browser.get("/me").status, other.get("/me").status) == (200, 401)
    assert world.link.send("GET", "/api/client/me", token=acme.token).status == 401
    assert Browser(world, token).answer.status == 201
    assert token not in str(world.rows(agent_events))


def test_a_bearer_token_goes_before_a_cookie(world: World, browser: Browser):
    umbrella = world.tenant("Umbrella")
    answer = world.link.send(
        "GET", "/api/client/me", token=umbrella.token, headers={"Cookie": browser.cookie}
    )
    assert answer.json()["name"] == "Umbrella"


def test_agents_tokens_are_listed_without_a_secret(browser: Browser, web: Machine):
    (row,) = browser.get("/tokens").json()["agentTokens"]
    assert (row["logicalAgentId"], row["instanceId"], row["revokedAt"]) == ("web", web.id, None)
    assert web.token not in browser.get("/tokens").content.decode()


def test_a_token_whose_instance_has_ended_is_told_so(world: World, browser: Browser, web: Machine):
    (row,) = browser.get("/tokens").json()["agentTokens"]
    assert row["instanceEndedAt"] is None
    ended = {"is_active": False, "terminated_at": world.clock.now()}
    world.write(lambda tx: tx.execute(sa.update(instances).where(instances.c.id == web.id).values(**ended)))
    (row,) = browser.get("/tokens").json()["agentTokens"]
    assert row["instanceEndedAt"] == rfc3339(world.clock.now())
