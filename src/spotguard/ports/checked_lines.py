"""One JSON value in a line with its checksum: damage by a crash or a failing disk is told from content."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec


class Damaged(Exception):
    """The file is there and is not what was written: nothing in it may be believed."""


def line_of(value: Any) -> bytes:
    content = msgspec.json.encode(value)
    return b"%08x %s\n" % (zlib.crc32(content), content)


def value_of(line: bytes) -> Any:
    checksum, _, content = line.partition(b" ")
    try:
        if int(checksum, 16) == zlib.crc32(content):
            return msgspec.json.decode(content)
    except ValueError:  # not hexadecimal, or not JSON (msgspec.DecodeError is one)
        pass
    raise Damaged(repr(line[:80]))
