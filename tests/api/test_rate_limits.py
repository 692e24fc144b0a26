"""Who floods or guesses is slowed down; an agent that is known is never turned away."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import httpx2
import pytest

from spotguard.api.app import create_app
from spotguard.api.limiting import RateLimits, Windows, site_of
from spotguard.api.offload import Threads
from spotguard.api.settings import ApiSettings
from spotguard.api.turns import MOST_AT_ONCE
from spotguard.store import tenants
from tests.api.test_long_poll import until
from tests.api.world import HandClock, Machine, Tenant, World

FEW = RateLimits(client_per_minute=5, strangers_per_minute=5, failures_per_minute=3)


@pytest.fixture
def world() -> World:
    return World(rate_limits=FEW)


def statuses(world: World, path: str, token: str | None, times: int) -> list[int]:
    return [world.link.send("GET", path, token=token).status for _ in range(times)]


def test_a_tenant_waits_for_the_next_minute_and_another_does_not(world: World, acme: Tenant):
    other = world.tenant("Other")
    assert statuses(world, "/api/client/me", acme.token, 8) == [200] * 6 + [429] * 2, (
        "the first makes it known"
    )
    refused = world.link.send("GET", "/api/client/me", token=acme.token)
    assert refused.headers["content-type"] == "application/problem+json"
    assert int(refused.headers["retry-after"]) == 60
    assert "within a minute" in refused.json()["detail"]
    spaced = world.link.send("GET", "/api/client/me", headers={"Authorization": f"bearer   {acme.token} "})
    assert spaced.status == 429, "spelled otherwise it is the same token"
    assert other.get("/me")["name"] == "Other"
    world.clock.pass_seconds(60)
    assert acme.get("/me")["name"] == "Acme"


def test_a_known_agent_meets_no_limit(world: World, acme: Tenant, web: Machine):
    assert statuses(world, "/api/client/me", "guess", 5) == [401] * 3 + [429] * 2
    web.heartbeat()
    for _ in range(20):
        assert web.heartbeat().status == 200
        assert web.get("pending-commands").status == 200
    notice = {"signal_type": "termination", "signal_time": world.ago(1)}
    assert web.post("interruption-signal", notice).status == 200


def test_guessing_is_slowed_by_address_and_ends_with_the_minute(world: World, acme: Tenant):
    guesses = [world.link.send("GET", "/api/client/me", token=f"sgc_{n}").status for n in range(5)]
    assert guesses == [401, 401, 401, 429, 429]
    world.clock.pass_seconds(61)
    assert acme.get("/me")["name"] == "Acme"


def test_a_tenant_is_not_locked_out_by_whoever_guesses_beside_him(world: World, acme: Tenant, web: Machine):
    other = world.tenant("Other")
    assert statuses(world, "/api/client/me", "guess", 5) == [401] * 3 + [429] * 2
    assert other.get("/me")["name"] == "Other", "never seen by this process before"
    assert acme.get("/me")["name"] == "Acme"
    assert statuses(world, "/api/client/me", "guess", 2) == [429] * 2


def test_a_flood_of_guesses_is_looked_up_only_so_often(world: World):
    statuses(world, "/api/client/me", "guess", 3 + 50)
    newcomer = world.tenant("New")
    assert world.link.send("GET", "/api/client/me", token=newcomer.token).status == 429
    world.clock.pass_seconds(1)
    assert newcomer.get("/me")["name"] == "New", "a second later"


def test_a_guess_is_not_made_good_by_what_needs_no_credential(world: World):
    for n in range(5):
        world.link.send("GET", "/health/live", token=f"sgc_{n}")
        world.link.send("GET", "/api/nothing", token=f"sgc_{n}")
    assert [world.link.send("GET", "/api/client/me", token=f"sgc_{n}").status for n in range(5)] == [
        401,
        401,
        401,
        429,
        429,
    ]


def test_a_newcomer_beside_guessing_neighbours_is_let_in(world: World, acme: Tenant):
    """A successor's first words, from an address where others use tokens that were revoked."""
    config = "/api/agents/x/config"
    assert statuses(world, config, "revoked", 29) == [401] * 29
    newcomer = world.register(acme, "web")
    assert newcomer.heartbeat().status == 200
    assert statuses(world, config, "revoked", 3) == [401, 429, 429]
    assert newcomer.heartbeat().status == 200


def test_a_token_that_is_revoked_is_a_stranger_again(world: World, acme: Tenant):
    assert acme.get("/me")
    world.write(lambda tx: tenants.rotate_token(tx, world.clock.now(), acme.id))
    assert statuses(world, "/api/client/me", acme.token, 5) == [401] * 3 + [429] * 2


def test_who_asks_much_at_once_waits_for_himself(world: World, acme: Tenant, web: Machine):
    """Threads are few: a tenant's long questions leave room for the notices of others."""
    asked, may_answer = [], threading.Event()

    async def slow(work: Any, /) -> Any:
        def worked() -> Any:
            asked.append(work)
            assert may_answer.wait(10)
            return work()

        return await threads(worked)

    async def story() -> None:
        app = create_app(world.db, world.clock, world.bell, settings=ApiSettings(), offload=slow)
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://api", timeout=30) as client:

            def get(path: str, token: str) -> asyncio.Task[httpx2.Response]:
                return asyncio.create_task(client.get(path, headers={"Authorization": f"Bearer {token}"}))

            many = [get("/api/client/me", acme.token) for _ in range(3 * MOST_AT_ONCE)]
            await until(lambda: len(asked) >= MOST_AT_ONCE)
            await asyncio.sleep(0.05)
            assert len(asked) == MOST_AT_ONCE
            one = get(f"/api/agents/{web.agent_id}/config", web.token)
            await until(lambda: len(asked) > MOST_AT_ONCE)
            may_answer.set()
            answers = await asyncio.gather(one, *many)
            assert {answer.status_code for answer in answers} == {200}, "nobody is refused"

    threads = Threads()
    asyncio.run(story())


def test_strangers_share_their_address_limit(world: World):
    assert statuses(world, "/health/live", None, 7) == [200] * 5 + [429] * 2
    assert statuses(world, "/api/client/me", None, 1) == [429]


def test_nought_is_no_limit():
    world = World(rate_limits=RateLimits(0, 0, 0))
    acme = world.tenant()
    assert set(statuses(world, "/api/client/me", acme.token, 20)) == {200}
    assert set(statuses(world, "/health/live", None, 20)) == {200}
    assert set(statuses(world, "/api/client/me", "guess", 20)) == {401}


@pytest.mark.parametrize(
    ("address", "site"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::2", "2001:db8:1:2::/64"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_an_ipv6_customer_is_his_prefix(address: str, site: str):
    assert site_of(address) == site


def test_counters_are_bounded_and_follow_the_clock():
    clock = HandClock()
    windows = Windows(clock)
    assert [windows.incr("a", 60) for _ in range(3)] == [1, 2, 3]
    clock.pass_seconds(60)
    assert (windows.get("a"), windows.incr("a", 60)) == (0, 1)
    for number in range(100_001):
        windows.incr(str(number), 60)
    assert windows.reset() <= 100_000
