"""Every byte string to every endpoint: a 2xx or 4xx with a problem document, bounded, nothing half-applied."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spotguard.api.app import create_app
from spotguard.api.offload import inline
from spotguard.api.settings import ApiSettings
from tests.api.test_walls import ALL_CALLS, filled
from tests.api.world import POOL_A, POOL_B, Machine, Tenant, World

DEEP = b"[" * 10_000 + b"]" * 10_000
HOSTILE: dict[str, tuple[bytes, set[int]]] = {
    "nothing": (b"", {400, 422}),
    "no JSON": (b"{", {400}),
    "NaN": (b'{"status": NaN}', {400}),
    "Infinity": (b'{"status": -Infinity}', {400}),
    "a number beyond floats": (b'{"status": 1e999}', {400, 422}),
    "a huge integer": (b'{"status": ' + b"9" * 5000 + b"}", {400, 422}),
    "deep": (DEEP, {400, 422}),
    "deep where it is skipped": (b'{"zzz":' + DEEP + b"}", {400, 422}),
    "NUL": (rb'{"status": "a\u0000b"}', {422}),
    "raw NUL": (b'{"status": "a\x00b"}', {400}),
    "lone surrogate": (rb'{"status": "\ud800 x"}', {400}),
    "bad UTF-8": (b'{"status": "\xff\xfe"}', {400}),
    "bad UTF-8 where it is skipped": (b'{"zzz": "\xff\xfe"}', {400}),
    "UTF-16": ('{"status": "online"}'.encode("utf-16"), {400}),
    "a byte order mark": (b"\xef\xbb\xbf{}", {400}),
    "an array": (b"[1, 2]", {422}),
    "a string": (b'"{}"', {422}),
    "null": (b"null", {422}),
    "a comment": (b"{} // no", {400, 422}),
    "two documents": (b"{}{}", {400, 422}),
    "too large": (b'{"status": "' + b"x" * (256 * 1024) + b'"}', {413}),
}
WITH_BODY = sorted(
    {(m, p) for m, p in ALL_CALLS if m in {"POST", "PUT"}}
    - {
        ("POST", "/api/client/agents/{agentId}/replicas"),
        ("POST", "/api/client/decisions/{decisionId}/approve"),
    }
)


@pytest.fixture
def ids(world: World, moving: Machine) -> dict[str, str]:
    return {
        "agent_id": moving.agent_id,
        "agentId": moving.agent_id,
        "instanceId": moving.id,
        "command_id": moving.next_command()["id"],
        "replica_id": "none",
        "switch_id": "none",
        "replicaId": "none",
        "switchId": "none",
        "decisionId": "none",
        "poolId": POOL_B,
    }


def token_for(path: str, machine: Machine) -> str:
    is_tenants = path.startswith("/api/client") or path.endswith(("/promote", "/register"))
    return machine.tenant.token if is_tenants else machine.token


def everything(world: World) -> list[Any]:
    from spotguard.store.tables import metadata

    return [world.rows(table) for table in metadata.sorted_tables]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bodies(world: World, moving: Machine, ids: dict[str, str], name: str):
    body, expected = HOSTILE[name]
    before = everything(world)
    for method, path in WITH_BODY:
        answer = world.link.send(method, filled(path, ids), body, token=token_for(path, moving))
        harmless = path.endswith(("/promote", "/limits", "/config", "/switch-report")) and answer.status in {
            200,
            404,
            422,
        }
        assert answer.status in expected or harmless, (path, answer)
        assert answer.status < 500
        if answer.status >= 400:
            problem = answer.json()
            assert {"type", "title", "status", "detail"} <= problem.keys()
            assert problem["status"] == answer.status
            assert len(answer.content) < 10_000, "what was sent is not sent back"
    assert everything(world) == before


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    place=st.sampled_from(WITH_BODY),
    body=st.binary(max_size=200)
    | st.builds(
        lambda v: json.dumps(v).encode(),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: (
                st.lists(inner)
                | st.dictionaries(
                    st.text() | st.sampled_from(["status", "pools", "timing", "old_instance", "pricing"]),
                    inner,
                )
            ),
            max_leaves=10,
        ),
    ),
)
def test_any_bytes(world: World, moving: Machine, ids: dict[str, str], place: tuple[str, str], body: bytes):
    method, path = place
    answer = world.link.send(method, filled(path, ids), body, token=token_for(path, moving))
    assert answer.status < 500, answer


hostile_text = st.sampled_from(
    [
        "",
        " ",
        "'",
        "\x00",
        "\u202e",
        "<script>",
        "%00",
        "..",
        "NaN",
        "١٢",
        "x" * 300,
        "=1+1",
        "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
        "-1",
        "1e9",
    ]
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.sampled_from(ALL_CALLS), text=hostile_text | st.text(max_size=40), query=hostile_text)
def test_any_id_and_query(
    world: World, moving: Machine, ids: dict[str, str], place: tuple[str, str], text: str, query: str
):
    from urllib.parse import quote

    method, path = place
    if path == "/api/client/stream":
        return
    hostile = quote(text, safe="", errors="surrogatepass") or "%20"
    asked = quote(query, safe="", errors="surrogatepass")
    where = (
        filled(path, dict.fromkeys(ids, hostile))
        + f"?limit={asked}&cursor={asked}&wait={asked}&from={asked}&days={asked}"
    )
    answer = world.link.send(
        method, where, b"{}" if method in {"POST", "PUT"} else b"", token=token_for(path, moving)
    )
    assert answer.status < 500, answer


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/api/client/agents/", 404),
        ("POST", "/api/nothing", 404),
        ("PATCH", "/api/client/me", 405),
        ("DELETE", "/api/client/agents", 405),
        ("GET", "/api/agents/register", 405),
        ("PUT", "/api/agents/x/heartbeat", 405),
        ("POST", "/health/live", 405),
        ("POST", "/", 405),
    ],
)
def test_wrong_doors_are_problems_too(world: World, acme: Tenant, method: str, path: str, status: int):
    answer = world.link.send(method, path, token=acme.token)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    if status == 405:
        assert answer.headers["allow"]


def test_a_failure_tells_nothing_of_the_inside(world: World, acme: Tenant, web: Machine):
    """A database that is broken in the middle of a registration."""
    refuse = (
        "CREATE TRIGGER broken BEFORE INSERT ON agent_tokens BEGIN SELECT RAISE(ABORT, 'sqlite is sick'); END"
    )
    world.write(lambda tx: tx.exec_driver_sql(refuse))
    said = json.dumps(world.describe("new")).encode()
    answer = world.link.send("POST", "/api/agents/register", said, token=acme.token)
    world.write(lambda tx: tx.exec_driver_sql("DROP TRIGGER broken"))
    assert answer.status == 500
    assert b"sick" not in answer.content
    assert b"agent_tokens" not in answer.content
    assert [agent["id"] for agent in acme.get("/agents")["items"]] == [web.agent_id], "nothing half-applied"


def test_markup_and_formulae_are_kept_as_text(world: World, acme: Tenant):
    machine = world.register(acme, "<script>alert(1)</script>", hostname="\u202eevil")
    assert acme.agent(machine)["logicalAgentId"] == "<script>alert(1)</script>"
    answer = world.link.send("GET", f"/api/client/agents/{machine.agent_id}", token=acme.token)
    assert answer.headers["content-type"] == "application/json"


def asgi(
    world: World,
    messages: list[dict[str, Any]],
    headers: list[tuple[bytes, bytes]],
    machine: Machine,
    **more: Any,
):
    """A request whose body arrives as it is told, piece by piece; the answer's status."""
    app = create_app(world.db, world.clock, world.bell, settings=ApiSettings(**more), offload=inline)
    sent: list[Any] = []
    waiting = list(messages)

    async def receive() -> dict[str, Any]:
        if waiting:
            return waiting.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": f"/api/agents/{machine.agent_id}/pricing-report",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"authorization", f"Bearer {machine.token}".encode()), *headers],
    }

    async def story() -> None:
        async with asyncio.timeout(10):
            await app(scope, receive, send)

    asyncio.run(story())
    return sent[0]["status"] if sent else None, len(waiting)


def test_a_chunked_body_is_cut_off_at_the_limit(world: World, web: Machine):
    piece = {"type": "http.request", "body": b"x" * 100_000, "more_body": True}
    status, unread = asgi(world, [piece] * 1000, [], web)
    assert status == 413
    assert unread == 997, "and the rest is not read"


def test_an_announced_length_is_believed_if_it_is_too_large(world: World, web: Machine):
    status, unread = asgi(
        world, [{"type": "http.request", "body": b""}], [(b"content-length", b"999999999")], web
    )
    assert (status, unread) == (413, 1)


def test_a_body_that_trickles_is_given_up(world: World, web: Machine):
    first = {"type": "http.request", "body": b"{", "more_body": True}
    assert asgi(world, [first], [], web, body_seconds=0.05) == (408, 0)


def test_a_body_that_never_begins_is_given_up(world: World, web: Machine):
    announced = [(b"content-length", b"20")]
    assert asgi(world, [], announced, web, body_seconds=0.05) == (408, 0)


def test_whoever_hangs_up_is_told_nothing(world: World, web: Machine):
    first = {"type": "http.request", "body": b"{", "more_body": True}
    assert asgi(world, [first, {"type": "http.disconnect"}], [], web) == (None, 0)


def test_in_pieces_is_whole(world: World, web: Machine):
    body = json.dumps({"pools": [{"id": POOL_A, "price": 0.03}]}).encode()
    pieces = [{"type": "http.request", "body": body[i : i + 1], "more_body": True} for i in range(len(body))]
    assert asgi(world, [*pieces, {"type": "http.request", "body": b"", "more_body": False}], [], web) == (
        200,
        0,
    )
