"""Calls of the `Cloud` port, and of `RouteCalls`, as lines of JSON, for a cloud that lives in another process.

A question is `{"method", "arguments"}`, an answer `{"value"}` or `{"error": {"kind", "code", "detail"}}`, where `kind`
is the member of the error tree. What may be asked, and of which types, is read from the ports themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from inspect import Signature, signature
from typing import Any, cast, get_type_hints

import msgspec

from spotguard.domain.errors import CloudError, Doubtful, InvalidInput
from spotguard.ports.cloud import Cloud
from spotguard.ports.route_calls import RouteCalls, TrafficOverCalls
from spotguard.ports.traffic import Traffic

_CALLS: Mapping[str, Callable[..., Any]] = {
    name: made
    for port in (Cloud, RouteCalls)
    for name, made in vars(port).items()
    if callable(made) and not name.startswith("_")
}
METHODS = frozenset(_CALLS)
KINDS: Mapping[str, type[CloudError]] = {kind.__name__: kind for kind in CloudError.__subclasses__()}


class _Question(msgspec.Struct):
    method: str
    arguments: dict[str, msgspec.Raw]


class _Error(msgspec.Struct):
    kind: str
    code: str
    detail: str


class _Answer(msgspec.Struct):
    value: msgspec.Raw = msgspec.Raw(b"null")
    error: _Error | None = None


def remote(ask: Callable[[bytes], bytes]) -> Cloud:
    """A cloud elsewhere: `ask` carries a question there and brings the answer back, or raises a `CloudError`."""
    return cast("Cloud", _Remote(ask))


def remote_traffic(ask: Callable[[bytes], bytes]) -> Traffic:
    """The same for its routes."""
    return TrafficOverCalls(cast("RouteCalls", _Remote(ask)))


class _Remote:
    """Has the methods of the ports; each becomes a question with its arguments under their names."""

    def __init__(self, ask: Callable[[bytes], bytes]) -> None:
        self._ask = ask

    def __getattr__(self, method: str) -> Callable[..., Any]:
        if method not in METHODS:
            raise AttributeError(method)

        def call(*arguments: Any, **named: Any) -> Any:
            given = _signature(method).bind(self, *arguments, **named).arguments
            del given["self"]
            line = msgspec.json.encode({"method": method, "arguments": given}, enc_hook=list)  # any iterable
            return value_of(method, self._ask(line + b"\n"))

        return call


def answered(cloud: object, line: bytes) -> bytes:
    """Ask `cloud`, which has the methods of the ports, what the line asks; its answer as one line.

    `InvalidInput` for a line that is no question. What is not of the error tree is a bug and passes through: then there
    is no answer.
    """
    method, arguments = _read(line)
    ask: Callable[..., Any] = getattr(cloud, method)
    try:
        value = ask(**arguments)
    except CloudError as error:
        told = {"kind": type(error).__name__, "code": error.code, "detail": error.detail}
        return msgspec.json.encode({"error": told}) + b"\n"
    return msgspec.json.encode({"value": value}) + b"\n"


def value_of(method: str, line: bytes) -> Any:
    """What the cloud gave, or raises what it raised; `Doubtful` for a line that is no answer to this question."""
    try:
        answer = msgspec.json.decode(line, type=_Answer)
        if answer.error is not None:
            kind = KINDS.get(answer.error.kind, Doubtful)
            raise kind(answer.error.code, answer.error.detail)
        return msgspec.json.decode(answer.value, type=_types(method)["return"])
    except msgspec.DecodeError as error:
        raise Doubtful("UnreadableAnswer", str(error)[:200]) from error


def _read(line: bytes) -> tuple[str, dict[str, Any]]:
    try:
        asked = msgspec.json.decode(line, type=_Question)
        if asked.method not in METHODS:
            raise InvalidInput(f"a cloud has no {asked.method[:40]!r}")
        types = _types(asked.method)
        return asked.method, {
            name: msgspec.json.decode(value, type=types[name]) for name, value in asked.arguments.items()
        }
    except (msgspec.DecodeError, KeyError) as error:
        raise InvalidInput(f"no question to a cloud: {error}") from error


@cache
def _types(method: str) -> Mapping[str, Any]:
    return get_type_hints(_CALLS[method])


@cache
def _signature(method: str) -> Signature:
    return signature(_CALLS[method])
