"""Server-sent events: from now on, or from the last id; ended cleanly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Self

import msgspec
import pytest

from spotguard.api.app import Application, create_app
from spotguard.api.offload import Threads
from spotguard.api.settings import ApiSettings
from spotguard.store import events, tenants
from tests.api.world import Machine, Tenant, World


def happen(world: World, tenant: Tenant, message: str) -> None:
    world.write(lambda tx: events.append(tx, world.clock.now(), tenant.id, None, "test", message))


class Reader:
    """Reads a stream over ASGI until it hangs up."""

    def __init__(
        self,
        world: World,
        token: str,
        *,
        last: str | None = None,
        app: Application | None = None,
        **settings: Any,
    ) -> None:
        quick = {"stream_poll_seconds": 0.01, **settings}
        self.app = app or create_app(
            world.db, world.clock, world.bell, settings=ApiSettings(**quick), offload=Threads(2)
        )
        self.token, self.last = token, last
        self.status = 0
        self._gone = asyncio.Event()
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._gone.set()
        async with asyncio.timeout(10):
            await self._task

    async def _run(self) -> None:
        headers = [(b"authorization", f"Bearer {self.token}".encode())]
        headers += [(b"last-event-id", self.last.encode())] if self.last else []
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/api/client/stream",
            "query_string": b"",
            "root_path": "",
            "headers": headers,
        }
        await self.app(scope, self._receive, self._send)
        self._pieces.put_nowait(None)

    async def _receive(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message.get("body"):
            self._pieces.put_nowait(message["body"])

    async def pieces(self) -> AsyncIterator[bytes]:
        async with asyncio.timeout(10):
            while (piece := await self._pieces.get()) is not None:
                yield piece

    async def messages(self, many: int) -> list[Any]:
        found: list[Any] = []
        async for piece in self.pieces():
            lines = [line[6:] for line in piece.splitlines() if line.startswith(b"data: ")]
            found += map(msgspec.json.decode, lines)
            if len(found) >= many:
                return found
        return found


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(story())


def test_from_now_on(world: World, acme: Tenant):
    happen(world, acme, "yesterday")

    async def story() -> None:
        async with Reader(world, acme.token) as reader:
            assert (await anext(reader.pieces())).startswith(b"retry:")
            await asyncio.to_thread(happen, world, acme, "line\nbreak")
            await asyncio.to_thread(happen, world, world.tenant("Other"), "not yours")
            await asyncio.to_thread(happen, world, acme, "second")
            assert [told["message"] for told in await reader.messages(2)] == ["line\nbreak", "second"]
            assert reader.status == 200

    run(story)


def test_resumed_by_the_last_id_without_a_gap_or_a_repetition(world: World, acme: Tenant):
    for number in range(450):
        happen(world, acme, str(number))
    ids = [row.id for row in world.read(lambda tx: events.after(tx, acme.id, 0, 500))]

    async def story() -> None:
        async with Reader(world, acme.token, last=str(ids[9])) as reader:
            told = await reader.messages(440)
            assert [event["message"] for event in told] == [str(number) for number in range(10, 450)]
            assert [event["id"] for event in told] == ids[10:]

    run(story)


def test_still_here(world: World, acme: Tenant):
    async def story() -> None:
        async with Reader(world, acme.token, stream_keep_alive_seconds=0.02) as reader:
            pieces = reader.pieces()
            await anext(pieces)
            assert await anext(pieces) == b": still here\n\n"

    run(story)


def test_a_rotated_token_ends_it(world: World, acme: Tenant):
    async def story() -> None:
        async with Reader(world, acme.token) as reader:
            await anext(reader.pieces())
            await asyncio.to_thread(
                world.write, lambda tx: tenants.rotate_token(tx, world.clock.now(), acme.id)
            )
            assert await reader.messages(1) == []

    run(story)


def test_the_server_ends_it_at_once(world: World, acme: Tenant):
    async def story() -> None:
        async with asyncio.timeout(5), Reader(world, acme.token, stream_poll_seconds=60) as reader:
            pieces = reader.pieces()
            assert await anext(pieces) == b"retry: 2000\n\n"
            await asyncio.to_thread(reader.app.end)
            assert [piece async for piece in pieces] == []

    run(story)


def test_it_ends_after_its_time_and_when_nobody_reads(world: World, acme: Tenant):
    async def story() -> None:
        async with Reader(world, acme.token, stream_seconds=0.05) as reader:
            assert await reader.messages(1) == []
        async with Reader(world, acme.token) as reader:
            await anext(reader.pieces())

    run(story)


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 19, "\u0661"])
def test_an_id_that_no_stream_gave(world: World, acme: Tenant, web: Machine, last: str):
    answer = world.link.send(
        "GET",
        "/api/client/stream",
        token=acme.token,
        headers={"Last-Event-ID": last.encode().decode("latin-1")},
    )
    assert answer.status == 422


def test_only_so_many_at_once(world: World, acme: Tenant):
    async def story() -> None:
        async with Reader(world, acme.token, max_streams=0) as reader:
            assert await reader.messages(1) == []
            assert reader.status == 429

    run(story)


def test_a_tenant_that_holds_its_share_leaves_the_others_theirs(world: World, acme: Tenant):
    other = world.tenant("Other")

    async def story() -> None:
        async with Reader(world, acme.token, max_streams=2, max_streams_of_a_client=1) as first:
            await anext(first.pieces())
            async with Reader(world, acme.token, app=first.app) as second:
                assert await second.messages(1) == []
                assert second.status == 429
            async with Reader(world, other.token, app=first.app) as third:
                assert (await anext(third.pieces())).startswith(b"retry:")
                assert third.status == 200

    run(story)


def test_an_id_of_a_future_that_a_restored_backup_has_taken_back(world: World, acme: Tenant):
    happen(world, acme, "before")

    async def story() -> None:
        async with Reader(world, acme.token, last="9" * 18) as reader:
            await anext(reader.pieces())
            await asyncio.to_thread(happen, world, acme, "after")
            assert [told["message"] for told in await reader.messages(1)] == ["after"]

    run(story)
