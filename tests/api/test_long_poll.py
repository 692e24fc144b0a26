"""The long poll over real asyncio: woken, early, bounded, and gone with its reader."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import httpx2
import sqlalchemy as sa

from spotguard.api.app import Application, create_app
from spotguard.api.command_polls import MOST_OF_AN_INSTANCE
from spotguard.api.offload import Threads
from spotguard.api.settings import ApiSettings
from spotguard.api.wakeups import Wakeups
from spotguard.store.tables import agents, commands
from tests.api.world import Machine, World

T = TypeVar("T")


def polling(world: World, wakeups: Wakeups, **settings: Any) -> httpx2.AsyncClient:
    app = create_app(world.db, world.clock, wakeups, settings=ApiSettings(**settings), offload=Threads(4))
    return over(app)


def over(app: Application) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://api", timeout=30)


def ask(client: httpx2.AsyncClient, web: Machine, query: str = "wait=20") -> asyncio.Task[httpx2.Response]:
    headers = {"Authorization": f"Bearer {web.token}"}
    return asyncio.create_task(
        client.get(f"/api/agents/{web.agent_id}/pending-commands?{query}", headers=headers)
    )


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 -- the condition is another thread's
            await asyncio.sleep(0.005)


def test_a_waiting_poll_is_woken_by_a_thread(world: World, web: Machine):
    wakeups = Wakeups()

    async def story() -> None:
        async with polling(world, wakeups) as client:
            poll = ask(client, web)
            await until(lambda: wakeups.waiters)
            command_id = await asyncio.to_thread(world.command, web)
            begun = asyncio.get_running_loop().time()
            threading.Thread(target=wakeups.agent, args=(web.id,)).start()
            answer = (await poll).json()
            assert [c["id"] for c in answer["commands"]] == [command_id]
            assert asyncio.get_running_loop().time() - begun < 0.9, "woken, not found by looking again"

    asyncio.run(story())
    assert wakeups.waiters == 0


def test_what_another_process_wrote_is_found_within_seconds(world: World, web: Machine):
    wakeups = Wakeups()

    async def story() -> None:
        async with polling(world, wakeups) as client:
            poll = ask(client, web)
            await until(lambda: wakeups.waiters)
            await asyncio.to_thread(world.command, web)
            async with asyncio.timeout(5):
                assert len((await poll).json()["commands"]) == 1

    asyncio.run(story())


def test_a_server_that_ends_answers_those_who_wait_at_once(world: World, web: Machine):
    wakeups = Wakeups()
    app = create_app(world.db, world.clock, wakeups, offload=Threads(4))

    async def story() -> None:
        async with over(app) as client, asyncio.timeout(5):
            poll = ask(client, web)
            await until(lambda: wakeups.waiters)
            app.end()
            answers = [await poll, await ask(client, web)]
            assert [(a.status_code, a.json()["commands"]) for a in answers] == [(200, [])] * 2

    asyncio.run(story())


def test_a_changed_configuration_ends_the_wait(world: World, web: Machine):
    async def story() -> None:
        async with polling(world, Wakeups()) as client:
            version = web.get("config").body["config_version"]
            old = await ask(client, web, f"wait=20&config_version={version - 1}")
            assert {**old.json(), "server_time": ""} == {
                "commands": [],
                "config_version": version,
                "server_time": "",
            }
            poll = ask(client, web, f"wait=20&config_version={version}")
            await asyncio.sleep(0.05)
            assert not poll.done()
            raised = sa.update(agents).values(config_version=version + 1)
            await asyncio.to_thread(world.write, lambda tx: tx.execute(raised))
            async with asyncio.timeout(5):
                assert (await poll).json()["config_version"] == version + 1

    asyncio.run(story())


def test_it_answers_empty_when_the_time_is_over(world: World, web: Machine):
    async def story() -> None:
        async with polling(world, Wakeups()) as client:
            async with asyncio.timeout(5):
                assert (await ask(client, web, "wait=1")).json()["commands"] == []

    asyncio.run(story())


def test_too_many_waiters_are_sent_away_but_never_without_their_commands(world: World, web: Machine):
    async def story() -> None:
        async with polling(world, Wakeups(), max_waiters=0) as client:
            refused = await ask(client, web)
            assert refused.status_code == 429
            assert refused.headers["retry-after"] == "5"
            world.command(web)
            assert len((await ask(client, web)).json()["commands"]) == 1

    asyncio.run(story())


def test_no_instance_takes_the_room_of_the_others(world: World, web: Machine):
    other = world.register(world.tenant("Other"), number=900)
    wakeups = Wakeups()

    async def story() -> None:
        async with polling(world, wakeups, max_waiters=MOST_OF_AN_INSTANCE + 1) as client:
            greedy = [ask(client, web, "wait=5") for _ in range(MOST_OF_AN_INSTANCE)]
            await until(lambda: wakeups.waiters == MOST_OF_AN_INSTANCE)
            assert (await ask(client, web)).status_code == 429
            poll = ask(client, other, "wait=0.2")
            assert (await poll).status_code == 200
            await asyncio.to_thread(world.command, web)
            wakeups.agent(web.id)
            assert {answer.status_code for answer in await asyncio.gather(*greedy)} == {200}
            assert (await ask(client, web, "wait=0.1")).status_code == 200, "there is room again"

    asyncio.run(story())


def test_whoever_is_gone_is_leased_nothing(world: World, web: Machine):
    wakeups, threads = Wakeups(), Threads(4)
    waiting: list[int] = []  # how many waited when each look was over

    async def looking(work: Callable[[], T], /) -> T:
        found = await threads(work)
        waiting.append(wakeups.waiters)
        return found

    app = create_app(world.db, world.clock, wakeups, offload=looking)

    async def story() -> None:
        gone = asyncio.Event()

        async def receive() -> dict[str, Any]:
            if not gone.is_set():
                await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            """Nobody reads."""

        scope = {
            "type": "http",
            "method": "GET",
            "path": f"/api/agents/{web.agent_id}/pending-commands",
            "query_string": b"wait=20",
            "headers": [(b"authorization", f"Bearer {web.token}".encode())],
            "root_path": "",
        }
        poll = asyncio.create_task(app(scope, receive, send))
        await until(lambda: any(waiting))
        gone.set()
        await asyncio.to_thread(world.command, web)
        wakeups.agent(web.id)
        async with asyncio.timeout(5):
            await poll

    asyncio.run(story())
    assert [row.status for row in world.rows(commands)] == ["pending"]
    assert wakeups.waiters == 0
