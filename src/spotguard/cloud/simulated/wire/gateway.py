"""The WSGI application: which room of the house a request goes to, and what may happen to it on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from select import select
from socket import SHUT_RDWR
from threading import Event
from typing import Any

from spotguard.cloud.simulated.wire import metadata
from spotguard.cloud.simulated.wire.aws import Aws
from spotguard.cloud.simulated.wire.control import PREFIX as CONTROL
from spotguard.cloud.simulated.wire.control import Control
from spotguard.cloud.simulated.wire.errors import error_body, status_of
from spotguard.cloud.simulated.wire.exchange import Reply, Request
from spotguard.cloud.simulated.wire.faults import Call, Fault, FaultKind, Moment, WireFaults

LONGEST_SILENCE = 60.0  # seconds until a client that nobody answers is cut off

StartResponse = Callable[..., Any]


class Gateway:
    """Answers every request of the server's threads; what touches the account happens under the lock."""

    def __init__(
        self, aws: Aws, faults: WireFaults, lock: AbstractContextManager[Any], closing: Event
    ) -> None:
        self._aws = aws
        self._faults = faults
        self._lock = lock
        self._closing = closing
        self._control = Control(aws.account, faults)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        request = Request.read(environ)
        if request.path.startswith(metadata.PREFIX):
            with self._lock:
                reply = metadata.answer(self._aws.account.ec2, request)
        elif request.path.startswith(CONTROL):
            with self._lock:
                reply = self._control.answer(request)
        else:
            reply = self._called(request)
        if reply is None:
            self._stay_silent(environ)
            raise _cut(environ)
        start_response(reply.status_line, reply.header_list())
        return [reply.body]

    def _called(self, request: Request) -> Reply:
        """A call of AWS, with its faults on both sides of the effect."""
        call = self._aws.call_of(request)
        faults = self._faults.of(call)
        self._faults.told(call, Moment.BEFORE)
        instead = self._suffer(request, call, faults, Moment.BEFORE)
        if instead is not None:
            return instead
        with self._lock:
            reply = self._aws.answer(request, call)
        self._faults.told(call, Moment.AFTER)
        instead = self._suffer(request, call, faults, Moment.AFTER)
        if reply is None:
            raise _cut(request.environ)
        return instead or reply

    def _suffer(self, request: Request, call: Call, faults: list[Fault], moment: Moment) -> Reply | None:
        """What the faults of this moment make of the call: time passes, an error instead, or no answer at all."""
        for fault in faults:
            if fault.moment is not moment:
                continue
            if fault.kind is FaultKind.CUT:
                raise _cut(request.environ)
            if fault.kind is FaultKind.DELAY:
                self._closing.wait(fault.seconds)
            else:
                status = fault.status or status_of(fault.code)
                return Reply(status, error_body(call.service, fault.code, "injected on the wire"))
        return None

    def _stay_silent(self, environ: dict[str, Any]) -> None:
        """Until the client gives up, or the server closes."""
        connection, waited, step = environ["werkzeug.socket"], 0.0, 0.25
        while waited < LONGEST_SILENCE and not self._closing.is_set():
            if select([connection], [], [], step)[0]:
                return
            waited += step


def _cut(environ: dict[str, Any]) -> ConnectionAbortedError:
    """End the connection; the error tells the HTTP server that nothing more can be said."""
    try:
        environ["werkzeug.socket"].shutdown(SHUT_RDWR)
    except OSError as error:  # the client was faster
        return ConnectionAbortedError(str(error))
    return ConnectionAbortedError("cut on purpose")
