"""Files in memory that a program reads or fills: a disk that is full keeps none of them from it."""

from __future__ import annotations

import os
from typing import IO

_READABLE = 0o644


def sheet(content: bytes = b"", mode: int = _READABLE) -> IO[bytes]:
    """At its beginning; gone once it is closed here and in every program that it was given to."""
    file = os.fdopen(os.memfd_create("spotguard"), "w+b", buffering=0)
    try:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.seek(0)
    except OSError:
        file.close()
        raise
    return file


def content_of(file: IO[bytes]) -> bytes:
    """All of it, whoever wrote it."""
    file.seek(0)
    return file.read()
