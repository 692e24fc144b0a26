"""The health endpoint over real sockets: its answers, and everybody who means it ill."""

import contextlib
import socket
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spotguard.domain.errors import InvalidInput
from spotguard.host.health_endpoint import LONGEST_HEAD, MOST_CONNECTIONS, PATIENCE_SECONDS, HealthEndpoint

GET = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"


class Workload:
    """Serves or does not; `tell` is what `Serving.tell` is."""

    def __init__(self):
        self.serves = True

    def tell(self, hear):
        hear(self.serves)


@pytest.fixture(scope="module")
def workload():
    return Workload()


@pytest.fixture(scope="module")
def endpoint(workload):
    with HealthEndpoint("127.0.0.1", 0, workload.tell) as endpoint:
        yield endpoint


def connected(endpoint):
    return socket.create_connection(("127.0.0.1", endpoint.port), timeout=PATIENCE_SECONDS + 3)


def said(connection):
    heard = b""
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(4096):
            heard += part
    return heard


def ask(endpoint, sent=GET):
    with connected(endpoint) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(sent)
        return said(connection)


def status(answer):
    return int(answer.split()[1]) if answer else None


@pytest.mark.parametrize("serves", [True, False])
def test_it_answers_200_only_while_the_instance_serves(endpoint, workload, serves):
    workload.serves = serves
    answer = ask(endpoint)
    assert status(answer) == (200 if serves else 503)
    assert answer.endswith(b"\n")
    assert b"connection: close" in answer
    head = ask(endpoint, GET.replace(b"GET", b"HEAD"))
    assert status(head) == status(answer)
    assert head.endswith(b"\r\n\r\n")


def test_a_request_may_come_in_pieces(endpoint, workload):
    workload.serves = True
    with connected(endpoint) as connection:
        for piece in (GET[:5], GET[5:20], GET[20:]):
            connection.sendall(piece)
        assert status(said(connection)) == 200


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc", 405),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"get / HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * LONGEST_HEAD + b"\r\n\r\n", 431),
        (b"\r\n\r\n", 400),
    ],
)
def test_what_is_no_such_request_gets_its_4xx(endpoint, workload, sent, expected):
    workload.serves = True
    assert status(ask(endpoint, sent)) == expected


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=2 * LONGEST_HEAD))
def test_any_bytes_get_a_4xx_or_an_end_and_it_lives_on(endpoint, workload, sent):
    workload.serves = True
    answer = ask(endpoint, sent + b"\r\n\r\n")
    assert status(answer) in {None, 400, 405, 431} or sent.startswith((b"GET ", b"HEAD "))
    assert status(ask(endpoint)) == 200


def test_idle_connections_never_keep_a_load_balancer_out(endpoint, workload):
    workload.serves = True
    with contextlib.ExitStack() as open_ones:
        idle = [open_ones.enter_context(connected(endpoint)) for _ in range(3 * MOST_CONNECTIONS)]
        idle[-1].sendall(b"GET / HT")  # and never goes on
        begun = time.monotonic()
        assert status(ask(endpoint)) == 200
        assert time.monotonic() - begun < 2
        assert said(idle[0]) == b""  # dropped for a newer one


def test_whoever_is_slow_is_cut_off(endpoint):
    begun = time.monotonic()
    with connected(endpoint) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        assert said(connection) == b""
    assert PATIENCE_SECONDS - 1 < time.monotonic() - begun < PATIENCE_SECONDS + 2


def test_many_at_once_are_all_answered(endpoint, workload):
    workload.serves = True
    answers = []
    askers = [threading.Thread(target=lambda: answers.append(status(ask(endpoint)))) for _ in range(40)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert answers == [200] * 40


def test_a_port_that_is_taken_is_one_clear_error(endpoint, workload):
    with pytest.raises(InvalidInput, match="cannot listen on"):
        HealthEndpoint("127.0.0.1", endpoint.port, workload.tell)


def test_it_ends_at_once_and_answers_nobody_afterwards(workload):
    with HealthEndpoint("127.0.0.1", 0, workload.tell) as endpoint:
        port = endpoint.port
        begun = time.monotonic()
    assert time.monotonic() - begun < 1
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)
