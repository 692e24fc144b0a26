"""`GET /agents/{id}/backtest`: from the tenant's own rows, one at a time, given up with its reader."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from spotguard.api.app import create_app
from spotguard.api.offload import Threads
from spotguard.api.settings import ApiSettings
from spotguard.backtest.replays import replayed
from spotguard.domain.errors import Refused
from spotguard.ports.replay import Replayed, Replayer, ReplayQuestion
from spotguard.store import prices
from tests.api.world import POOL_A, POOL_B, Machine, Tenant, World

DAY = 86_400.0
Answer = tuple[int, Any]


def direct(question: ReplayQuestion, is_given_up: Callable[[], bool]) -> Replayed:
    return replayed(question)


class Asker:
    """Asks over ASGI, and may hang up."""

    def __init__(self, world: World, replayer: Replayer | None) -> None:
        settings = ApiSettings(rate_limits=None)
        self._app = create_app(
            world.db, world.clock, world.bell, settings=settings, offload=Threads(4), replayer=replayer
        )
        self.gone = asyncio.Event()

    async def ask(self, token: str, agent_id: str, query: str = "") -> Answer:
        scope = {
            "type": "http",
            "method": "GET",
            "path": f"/api/client/agents/{agent_id}/backtest",
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(b"authorization", f"Bearer {token}".encode())],
        }
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        await self._app(scope, self._receive, send)
        body = b"".join(part.get("body", b"") for part in sent)
        return sent[0]["status"], msgspec.json.decode(body)

    async def _receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}


def priced(world: World, tenant: Tenant, days: int) -> None:
    """Reports every hour, A at 0.0134 and B at 0.0200."""
    for _ in range(days * 24):
        told = [(POOL_A, Decimal("0.0134")), (POOL_B, Decimal("0.0200"))]
        now = world.clock.now()
        world.write(lambda tx, now=now, told=told: prices.record_report(tx, now, tenant.id, now, told))
        world.clock.pass_seconds(3600)


@pytest.fixture
def machine(world: World, acme: Tenant, web: Machine) -> Machine:
    assert web.prices({POOL_A: 0.0134}, on_demand=0.0448).status == 200
    priced(world, acme, 6)
    return web


def test_it_tells_bills_of_the_tenants_own_prices_and_what_it_does_not_know(
    world: World, acme: Tenant, machine: Machine
):
    status, told = asyncio.run(Asker(world, direct).ask(acme.token, machine.agent_id, "days=5"))
    assert status == 200, told
    by_name = {one["policy"]: one for one in told["policies"]}
    assert list(by_name) == ["on-demand", "reactive", "cheaper-5", "engine", "clairvoyant"]
    assert Decimal(told["onDemandUsd"]) == Decimal("0.0448") * 24 * 5
    assert by_name["on-demand"]["usd"] == told["onDemandUsd"]
    assert by_name["engine"]["savedPercent"] == pytest.approx(100 * (1 - 0.0134 / 0.0448), abs=1)
    assert {POOL_A, POOL_B} <= set(told["pools"])
    assert any(sentence.startswith("availability:") for sentence in told["unknown"])


def test_another_tenants_agent_is_not_there_and_too_many_days_are_refused(
    world: World, acme: Tenant, machine: Machine
):
    globex = world.tenant("Globex")
    assert asyncio.run(Asker(world, direct).ask(globex.token, machine.agent_id))[0] == 404
    assert asyncio.run(Asker(world, direct).ask(acme.token, machine.agent_id, "days=31"))[0] == 422


def test_one_is_worked_out_at_a_time_and_given_up_with_its_reader(
    world: World, acme: Tenant, machine: Machine
):
    begun, over = threading.Event(), threading.Event()

    def endless(_question: ReplayQuestion, is_given_up: Callable[[], bool]) -> Replayed:
        begun.set()
        while not is_given_up():
            over.wait(0.01)
        raise Refused("nobody waits for this replay any more")

    async def two() -> tuple[Answer, Answer]:
        asker = Asker(world, endless)
        first = asyncio.create_task(asker.ask(acme.token, machine.agent_id))
        await asyncio.to_thread(begun.wait)
        second = await asker.ask(acme.token, machine.agent_id)
        asker.gone.set()
        return await first, second

    (first, second) = asyncio.run(two())
    assert (first[0], second[0]) == (409, 429)


def test_a_server_without_a_replayer_says_so(acme: Tenant, machine: Machine):
    assert acme.call("GET", f"/agents/{machine.agent_id}/backtest").status == 503
