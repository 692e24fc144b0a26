"""The line to the server."""

import json
import threading

import pytest

from spotguard.domain.errors import ServerAway
from spotguard.host.link import LARGEST_BODY, HttpLink
from tests.host.servers import serving


def test_a_call_carries_the_token_and_json_and_brings_the_reply():
    with serving(lambda asked: (201, {"agent_id": "a"})) as server, HttpLink(server.url) as link:
        reply = link.call("POST", "/api/agents/register", token="t0ken", body={"a": 1})
        assert (reply.status, reply.body) == (201, {"agent_id": "a"})
        (asked,) = server.asked
        assert asked.headers["authorization"] == "Bearer t0ken"
        assert json.loads(asked.body) == {"a": 1}


@pytest.mark.parametrize("status", [400, 401, 404, 409, 413, 422, 429])
def test_a_4xx_is_a_reply(status):
    with serving(lambda asked: (status, {"detail": "no"})) as server, HttpLink(server.url) as link:
        assert link.call("GET", "/x", token="t").status == status


@pytest.mark.parametrize(
    "answer",
    [
        (500, {}),
        (503, b""),
        (200, b"<html>"),
        (302, b""),
        (403, {"message": "Forbidden"}),
        (404, []),
        (404, b""),
        (200, b"[" * 5000),
        (200, b"x" * (LARGEST_BODY + 1)),
    ],
)
def test_what_is_not_our_servers_answer_is_a_server_that_is_away(answer):
    with serving(lambda asked: answer) as server, HttpLink(server.url) as link, pytest.raises(ServerAway):
        link.call("GET", "/x", token="t")


def test_nobody_there_and_nobody_answering():
    with HttpLink("http://127.0.0.1:1") as link, pytest.raises(ServerAway):
        link.call("GET", "/x", token="t")
    release = threading.Event()

    def hang(asked):
        release.wait(5)
        return 200, {}

    with serving(hang) as server, HttpLink(server.url) as link:
        with pytest.raises(ServerAway):
            link.call("GET", "/x", token="t", timeout_seconds=0.2)
        release.set()


def test_a_server_whose_answer_drips_is_away():
    """Each byte comes in time, and the answer never: who serves under a notice waits for it."""
    fed_up = threading.Event()

    def drip():
        while not fed_up.wait(0.05):
            yield b" "

    with serving(lambda asked: (200, drip())) as server, HttpLink(server.url) as link:
        with pytest.raises(ServerAway, match="takes longer than it may"):
            link.call("GET", "/x", token="t", timeout_seconds=0.3)
        fed_up.set()
