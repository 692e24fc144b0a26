"""A health endpoint for load balancers: 200 while this instance serves, else 503, and nothing else.

One thread, no library. Strangers can reach it, so everything is bounded: at most `MOST_CONNECTIONS` at once (the
oldest is dropped for the newest, so that idle ones never keep a load balancer out), a head of at most `LONGEST_HEAD`
bytes, `PATIENCE_SECONDS` from the first byte to the last. The path is not looked at; nothing that was sent is kept or
logged.
"""

from __future__ import annotations

import re
import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Self

from spotguard.domain.errors import InvalidInput

MOST_CONNECTIONS = 64
LONGEST_HEAD = 4096
PATIENCE_SECONDS = 5.0
_BREATH_SECONDS = 0.1  # before the next attempt, when the machine gives no more descriptors
_REQUEST_LINE = re.compile(rb"([A-Z]{1,20}) [!-~]+ HTTP/1\.[01]\r?\n")
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_REASONS = {
    200: "OK",
    400: "Bad Request",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}

Tell = Callable[[Callable[[bool], None]], None]  # `agent.serving.Serving.tell`


@dataclass
class _Caller:
    """One connection. `answered`: only its end is waited for."""

    connection: socket.socket
    until: float
    head: bytes = b""
    answered: bool = False


class HealthEndpoint:
    """Answers from `__enter__` to `__exit__`. `InvalidInput` when it cannot listen there."""

    def __init__(self, address: str, port: int, tell: Tell) -> None:
        self._tell = tell
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            self._listener = socket.create_server((address, port), family=family, backlog=MOST_CONNECTIONS)
        except OSError as error:
            raise InvalidInput(f"the health endpoint cannot listen on {address}:{port}: {error}") from error
        self._listener.setblocking(False)
        self._stop, self._stopped = socket.socketpair()
        self._breath = threading.Event()
        self._callers: dict[socket.socket, _Caller] = {}  # oldest first
        self._selector = selectors.DefaultSelector()
        self._thread = threading.Thread(target=self._serve, name="agent-health-endpoint", daemon=True)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._stopped, selectors.EVENT_READ)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.send(b".")
        self._thread.join()
        for closing in (self._selector, self._listener, self._stop, self._stopped):
            closing.close()

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select(self._wait()):
                if key.fileobj is self._stopped:
                    for caller in list(self._callers.values()):
                        self._drop(caller)
                    return
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj in self._callers:  # not dropped a moment ago for a newer one
                    self._hear(self._callers[key.fileobj])
            now = monotonic()
            for caller in [c for c in self._callers.values() if c.until <= now]:
                self._drop(caller)

    def _wait(self) -> float | None:
        """All have the same patience: the oldest one's ends first."""
        oldest = next(iter(self._callers.values()), None)
        return None if oldest is None else max(0.0, oldest.until - monotonic())

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return  # it has gone again
        except OSError:  # no descriptor is free
            for caller in list(self._callers.values())[:1]:
                self._drop(caller)
            self._breath.wait(_BREATH_SECONDS)
            return
        connection.setblocking(False)
        if len(self._callers) >= MOST_CONNECTIONS:
            self._drop(next(iter(self._callers.values())))
        self._callers[connection] = _Caller(connection, monotonic() + PATIENCE_SECONDS)
        self._selector.register(connection, selectors.EVENT_READ)

    def _hear(self, caller: _Caller) -> None:
        try:
            received = caller.connection.recv(LONGEST_HEAD)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        if not received:
            self._drop(caller)
        elif not caller.answered:
            caller.head += received
            self._answer_if_complete(caller)

    def _answer_if_complete(self, caller: _Caller) -> None:
        if _END_OF_HEAD.search(caller.head) is None and len(caller.head) <= LONGEST_HEAD:
            return
        caller.answered = True
        line = _REQUEST_LINE.match(caller.head)
        if len(caller.head) > LONGEST_HEAD:
            _send(caller, 431)
        elif line is None:
            _send(caller, 400)
        elif line[1] not in {b"GET", b"HEAD"}:
            _send(caller, 405)
        else:
            with_body = line[1] == b"GET"
            self._tell(lambda serves: _send(caller, 200 if serves else 503, with_body=with_body))

    def _drop(self, caller: _Caller) -> None:
        self._callers.pop(caller.connection, None)
        with suppress(KeyError):
            self._selector.unregister(caller.connection)
        caller.connection.close()


def _send(caller: _Caller, status: int, *, with_body: bool = True) -> None:
    """Never waits: the answer fits into the empty buffer of a new connection."""
    body = f"{_REASONS[status]}\n".encode()
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-type: text/plain\r\ncontent-length: {len(body)}\r\n"
        "cache-control: no-store\r\nconnection: close\r\n\r\n"
    )
    with suppress(OSError):  # the caller has gone
        caller.connection.send(head.encode() + (body if with_body else b""))
        caller.connection.shutdown(socket.SHUT_WR)
