"""Request bodies: bounded, complete in bounded time, strictly JSON."""

from __future__ import annotations

import asyncio
import re
from typing import Any, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from spotguard.api.problems import Problem, invalid
from spotguard.api.settings import ApiSettings

T = TypeVar("T")
_AT = re.compile(r"^(?P<said>.*?)(?: - at `\$(?P<path>[^`]*)`)?$", re.DOTALL)
_PART = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")


async def read_body(request: Request, settings: ApiSettings) -> bytes:
    """The whole body. 413 above the limit, whether announced or chunked; 408 when its pieces come too slowly."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > settings.max_body_bytes:
        raise _too_large(settings)
    first = await request.receive()
    body = _piece(first, settings, 0)
    if not first.get("more_body"):
        return body
    try:
        async with asyncio.timeout(settings.body_seconds):
            return await _rest(request, settings, body)
    except TimeoutError as error:
        raise Problem(408, "the body did not arrive in time") from error


async def _rest(request: Request, settings: ApiSettings, first: bytes) -> bytes:
    pieces, size, more = [first], len(first), True
    while more:
        message = await request.receive()
        pieces.append(_piece(message, settings, size))
        size += len(pieces[-1])
        more = bool(message.get("more_body"))
    return b"".join(pieces)


def _piece(message: Any, settings: ApiSettings, before: int) -> bytes:
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    piece: bytes = message.get("body", b"")
    if before + len(piece) > settings.max_body_bytes:
        raise _too_large(settings)
    return piece


def _too_large(settings: ApiSettings) -> Problem:
    # The connection is closed: the rest of what it sends is not read.
    detail = f"a body may have at most {settings.max_body_bytes} bytes"
    return Problem(413, detail, headers={"Connection": "close"})


def decode(body: bytes, wanted: msgspec.json.Decoder[T]) -> T:
    """The body as the wanted shape. Not JSON is 400, another shape 422 with a pointer."""
    try:
        if not body.isascii():
            body.decode()  # msgspec does not look into what it skips
        if rb"\u0000" in body:
            raise invalid("", "NUL characters are not accepted")
        return wanted.decode(body)
    except msgspec.ValidationError as error:
        raise _shape(error) from error
    except msgspec.DecodeError as error:
        raise Problem(400, f"the body is not JSON: {error}") from error
    except UnicodeDecodeError as error:
        raise Problem(400, "the body is not UTF-8") from error
    except RecursionError as error:
        raise Problem(400, "the body is nested too deeply") from error


def _shape(error: msgspec.ValidationError) -> Problem:
    found = _AT.match(str(error))
    said, path = (found["said"], found["path"] or "") if found else (str(error), "")
    pointer = "".join("/" + (name or index) for name, index in _PART.findall(path))
    return invalid(pointer, said)


_ANY: msgspec.json.Decoder[Any] = msgspec.json.Decoder()


def decode_any(body: bytes) -> Any:
    return decode(body, _ANY)
