"""Request bodies: bounded, complete in bounded time, strictly JSON."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from spotguard.api.problems import Problem, invalid
from spotguard.api.settings import ApiSettings

T = TypeVar("T")
_ANY: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
_AT = re.compile(r"^(?P<said>.*?)(?: - at `\$(?P<path>[^`]*)`)?$", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `([^`]*)`")
_LAST = {"Connection": "close"}  # the rest of what it sends is not read
_PART = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")


async def read_body(request: Request, settings: ApiSettings) -> bytes:
    """The whole body. 413 above the limit, whether announced or chunked; 408 when its pieces come too slowly."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > settings.max_body_bytes:
        raise _too_large(settings)
    if not _can_wait():
        return await _pieces(request, settings)
    try:
        async with asyncio.timeout(settings.body_seconds):
            return await _pieces(request, settings)
    except TimeoutError as error:
        raise Problem(408, "the body did not arrive in time", headers=_LAST) from error


def _can_wait() -> bool:
    """In a single thread without a task (`api.direct`) nothing ever does: there the body is whole."""
    try:
        return asyncio.current_task() is not None
    except RuntimeError:  # nor a loop
        return False


async def _pieces(request: Request, settings: ApiSettings) -> bytes:
    pieces: list[bytes] = []
    size, more = 0, True
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
    return Problem(413, f"a body may have at most {settings.max_body_bytes} bytes", headers=_LAST)


def decode(body: bytes, wanted: msgspec.json.Decoder[T]) -> T:
    """The body as the wanted shape. Not JSON is 400, another shape 422 with a pointer."""
    try:
        if not body.isascii():
            body.decode()  # msgspec does not look into what it skips
        if rb"\u0000" in body:
            raise invalid("", "NUL characters are not accepted")
        return _shaped(body, wanted)
    except msgspec.ValidationError as error:
        raise _invalid([_told(error)]) from error
    except msgspec.DecodeError as error:
        raise Problem(400, f"the body is not JSON: {error}") from error
    except UnicodeDecodeError as error:
        raise Problem(400, "the body is not UTF-8") from error
    except RecursionError as error:
        raise Problem(400, "the body is nested too deeply") from error


def _shaped(body: bytes, wanted: msgspec.json.Decoder[T]) -> T:
    """The decoder itself ends at the first error; every field that is missing or wrong is told."""
    try:
        return wanted.decode(body)
    except msgspec.ValidationError as first:
        kind: Any = wanted.type
        given = _ANY.decode(body)
        if not (isinstance(given, dict) and isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
            raise
        found = [wrong for field in msgspec.structs.fields(kind) for wrong in _wrong_field(field, given)]
        raise _invalid(found or [_told(first)]) from first


def _invalid(errors: list[tuple[str, str]]) -> Problem:
    return Problem(422, "the request is well-formed but not valid", errors=errors)


def _wrong_field(field: msgspec.structs.FieldInfo, given: dict[str, Any]) -> Iterator[tuple[str, str]]:
    at = f"/{field.encode_name}"
    if field.encode_name not in given:
        if field.required:
            yield at, "is required"
        return
    try:
        msgspec.convert(given[field.encode_name], field.type)
    except msgspec.ValidationError as error:
        pointer, said = _told(error)
        yield at + pointer, said


def _told(error: msgspec.ValidationError) -> tuple[str, str]:
    """Pointer and sentence; a field that is missing is pointed at itself."""
    found = _AT.match(str(error))
    said, path = (found["said"], found["path"] or "") if found else (str(error), "")
    pointer = "".join("/" + (name or index) for name, index in _PART.findall(path))
    missing = _MISSING.fullmatch(said)
    return (f"{pointer}/{missing[1]}", "is required") if missing else (pointer, said)


def decode_any(body: bytes) -> Any:
    return decode(body, _ANY)
