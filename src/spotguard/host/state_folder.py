"""How far a folder has come: a number that grows with every change in it, whatever the clock does."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from spotguard.host.sync_memory import SyncMemory

CLOCK_TICK_NANOSECONDS = 50_000_000
"""File times are only as fine as the kernel's tick: what was written this shortly before a look may be missed by it."""


@dataclass(frozen=True)
class Look:
    """The folder at one moment. `settled`: nothing was written within a clock tick of it."""

    fingerprint: str  # of names, owners, modes, sizes and times; contents change the times
    newest_microseconds: int  # since 1970
    size_bytes: int
    settled: bool
    # files of which something changed since the time that was asked about, each `listed`
    changed: bytes = b""
    folders: Mapping[bytes, int] = field(default_factory=dict)  # by their paths, what `inode_of` tells


class StateFolder:
    """Its `position` is the time of the newest change in microseconds since 1970, and more than before after any.

    A clock that was stepped back gives newer files older times: then it counts on from where it was.
    """

    def __init__(self, path: Path, memory: SyncMemory) -> None:
        self.path, self._memory = path, memory

    def look(self, since_ns: int | None = None) -> tuple[int, Look]:
        """The position, and what it was taken from."""
        seen = look_at(self.path, since_ns)
        known = self._memory.known
        if seen.fingerprint != known.fingerprint:
            position = max(known.position + 1, seen.newest_microseconds)
            known = self._memory.keep(fingerprint=seen.fingerprint, position=position)
        return known.position, seen


def look_at(folder: Path, since_ns: int | None = None) -> Look:
    """By change times: modification times can be set at will, and a change of owner does not touch them.

    `since_ns`: which files have changed since then, or a clock tick before, is told too, relative to the folder. One
    walk tells both: of whatever counts for the fingerprint it is known whether it has changed.
    """
    digest, newest, size, settled = hashlib.blake2b(digest_size=16), 0, 0, True
    now, top, changed = time.time_ns(), os.fsencode(folder), bytearray()
    folders = {}
    earliest = None if since_ns is None else since_ns - CLOCK_TICK_NANOSECONDS
    for name, found in _entries(top):
        told = (
            found.st_mode,
            found.st_uid,
            found.st_gid,
            found.st_size,
            found.st_mtime_ns,
            found.st_ctime_ns,
        )
        digest.update(repr((name, found.st_ino, *told)).encode())
        newest = max(newest, found.st_ctime_ns)
        settled = settled and abs(now - found.st_ctime_ns) > CLOCK_TICK_NANOSECONDS
        size += found.st_size
        if stat.S_ISDIR(found.st_mode):
            folders[name] = inode_of(found)
        if earliest is not None and stat.S_ISREG(found.st_mode) and found.st_ctime_ns >= earliest:
            changed += listed(os.path.relpath(name, top))
    return Look(digest.hexdigest(), newest // 1000, size, settled, bytes(changed), folders)


def listed(name: bytes) -> bytes:
    """As rsync reads a name from a list. Behind a `./`: it takes a line that begins with `#` or `;` for a comment."""
    return b"./" + name + b"\0"


def inode_of(found: os.stat_result) -> int:
    """One number for it, among all file systems."""
    return hash((found.st_dev, found.st_ino))


def size_of(folder: Path) -> int:
    """Bytes of everything in it, as `Look.size_bytes` counts them."""
    return sum(found.st_size for _, found in _entries(os.fsencode(folder)))


def _entries(folder: bytes) -> Iterator[tuple[bytes, os.stat_result]]:
    """The folder and everything below, in one order. What is removed meanwhile is told by its folder's time."""
    for above, folders, files in os.walk(folder):
        folders.sort()
        for name in [b".", *folders, *sorted(files)] if above == folder else [*folders, *sorted(files)]:
            path = os.path.join(above, name)  # noqa: PTH118 - names that are no text
            try:
                yield path, os.lstat(path)
            except FileNotFoundError:
                continue
