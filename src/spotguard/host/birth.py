"""When a file was made, which Python's `os` does not tell."""

from __future__ import annotations

import ctypes
import os
import struct

_AT_FDCWD, _AT_SYMLINK_NOFOLLOW = -100, 0x100
_BIRTH = 0x800  # STATX_BTIME, asked for and answered in the mask that comes first
_SECONDS = struct.Struct("=80x q I")  # statx(2): stx_btime
_BYTES = 256


def born_ns(path: bytes) -> int | None:
    """Nanoseconds since 1970; None where the file system, the kernel or the C library does not know it, or no file."""
    ask = getattr(ctypes.CDLL(None), "statx", None)
    if ask is None:
        return None
    told = ctypes.create_string_buffer(_BYTES)
    if ask(_AT_FDCWD, os.fsencode(path), _AT_SYMLINK_NOFOLLOW, _BIRTH, told) != 0:
        return None
    if not int.from_bytes(told.raw[:4], "little") & _BIRTH:
        return None
    seconds, nanoseconds = _SECONDS.unpack_from(told.raw)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)
