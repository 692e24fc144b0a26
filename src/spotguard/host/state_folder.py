"""How far a folder has come: a number that grows with every change in it, whatever the clock does."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from spotguard.host.known_folders import KnownFolders, trace
from spotguard.host.sync_memory import SyncMemory

CLOCK_TICK_NANOSECONDS = 50_000_000
"""File times are only as fine as the kernel's tick: what was written this shortly before a look may be missed by it."""


@dataclass(frozen=True)
class Linked:
    """The passes that one is linked to: when the oldest of them began, and which folders were the same in all."""

    since_ns: int
    folders: KnownFolders


@dataclass(frozen=True)
class Look:
    """The folder at one moment. `settled`: nothing was written within a clock tick of it."""

    fingerprint: str  # of names, owners, modes, sizes and times; contents change the times
    newest_microseconds: int  # since 1970
    size_bytes: int
    settled: bool
    # files that may be others than those of their names in the passes that were asked about, each `listed`
    changed: bytes = b""
    folders: Mapping[bytes, int] = field(default_factory=dict)  # by their paths, what `inode_of` tells


class StateFolder:
    """Its `position` is the time of the newest change in microseconds since 1970, and more than before after any.

    A clock that was stepped back gives newer files older times: then it counts on from where it was.
    """

    def __init__(self, path: Path, memory: SyncMemory) -> None:
        self.path, self._memory = path, memory

    def look(self, linked: Linked | None = None) -> tuple[int, Look]:
        """The position, and what it was taken from."""
        seen = look_at(self.path, linked)
        known = self._memory.known
        if seen.fingerprint != known.fingerprint:
            position = max(known.position + 1, seen.newest_microseconds)
            known = self._memory.keep(fingerprint=seen.fingerprint, position=position)
        return known.position, seen


def look_at(folder: Path, linked: Linked | None = None) -> Look:
    """By change times: modification times can be set at will, and a change of owner does not touch them.

    `linked`: which files have changed since then, or a clock tick before, is told too, relative to the folder. One
    walk tells both: of whatever counts for the fingerprint it is known whether it has changed.
    """
    digest, newest, size, settled = hashlib.blake2b(digest_size=16), 0, 0, True
    now, top = time.time_ns(), os.fsencode(folder)
    folders = {}
    changes = None if linked is None else _Changes(top, linked)
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
            folders[name.removesuffix(b"/.")] = inode_of(found)
        if changes is not None:
            changes.meet(name, found)
    changed = b"" if changes is None else changes.told()
    return Look(digest.hexdigest(), newest // 1000, size, settled, changed, folders)


class _Changes:
    """Files with a new change time, and all below a folder that is another, or was not there: its own it has kept."""

    def __init__(self, top: bytes, linked: Linked) -> None:
        self._top, self._known = top, linked.folders
        self._earliest = linked.since_ns - CLOCK_TICK_NANOSECONDS
        self._come: set[bytes] = set()  # such folders
        self._elsewhere: dict[int, int] = {}  # of files below them: how many of their names were not met
        self._told = bytearray()

    def meet(self, name: bytes, found: os.stat_result) -> None:
        """A folder before what is in it."""
        if stat.S_ISDIR(found.st_mode):
            place = name.removesuffix(b"/.")
            is_known = trace(within(self._top, place), inode_of(found)) in self._known
            if not is_known or self._is_below_come(place):
                self._come.add(place)
        elif self._is_another(name, found):
            self._told += listed(within(self._top, name))
            if found.st_nlink > 1:
                self._count(inode_of(found), found.st_nlink)

    def told(self) -> bytes:
        """Each `listed`. rsync takes all names of a file for the same as the first: the others are sent with it."""
        if self._elsewhere:
            for name, found in _entries(self._top):
                if inode_of(found) in self._elsewhere and not self._is_another(name, found):
                    self._told += listed(within(self._top, name))
        return bytes(self._told)

    def _is_another(self, name: bytes, found: os.stat_result) -> bool:
        is_new = found.st_ctime_ns >= self._earliest or self._is_below_come(name)
        return is_new and stat.S_ISREG(found.st_mode)

    def _is_below_come(self, name: bytes) -> bool:
        return bool(self._come) and name.rpartition(b"/")[0] in self._come

    def _count(self, inode: int, names: int) -> None:
        left = self._elsewhere.pop(inode, names) - 1
        if left:
            self._elsewhere[inode] = left


def folders_of(folder: Path, seen: Look) -> KnownFolders:
    """To be remembered of it."""
    top = os.fsencode(folder)
    return KnownFolders(trace(within(top, name), inode) for name, inode in seen.folders.items())


def within(top: bytes, name: bytes) -> bytes:
    """The name below it; nothing for itself."""
    return name[len(top) + 1 :]


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
            except (FileNotFoundError, NotADirectoryError):
                continue
