"""Which folder had which name when a pass was made, in 8 bytes each.

Below a folder that was renamed nothing has a new time: that its files are others than those of the pass its inode says.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterable
from pathlib import Path

from spotguard.host.disk import sync_names
from spotguard.ports.checked_lines import Damaged
from spotguard.telemetry import get_logger

log = get_logger("sync")


def trace(name: bytes, inode: int) -> int:
    """Of a folder below this name; of another one below it, or of it below another, there is another."""
    return int.from_bytes(hashlib.blake2b(b"%d %s" % (inode, name), digest_size=8).digest(), "big")


class KnownFolders:
    """The traces of the folders that were the same in all passes that are meant."""

    def __init__(self, traces: Iterable[int] = ()) -> None:
        self._traces = array("Q", sorted(traces))

    def __contains__(self, one: int) -> bool:
        at = bisect_left(self._traces, one)
        return at < len(self._traces) and self._traces[at] == one

    def __len__(self) -> int:
        return len(self._traces)

    def without(self, gone: Collection[int]) -> KnownFolders:
        return KnownFolders(one for one in self._traces if one not in gone) if gone else self

    def common_with(self, other: KnownFolders) -> KnownFolders:
        return KnownFolders(one for one in self._traces if one in other)

    def written(self) -> bytes:
        return self._traces.tobytes()


NO_FOLDERS = KnownFolders()


class FolderMemory:
    """One file for each set of folders, named by what is in it: torn or changed it is none, and one that is there
    already is not written again with each pass.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, KnownFolders] = {}

    def named(self, name: str) -> KnownFolders:
        """None of them where it is not there: then every file counts as another."""
        if name and name not in self._known:  # an agent before an upgrade has given it none
            try:
                self._known[name] = self._read(name)
            except (OSError, Damaged) as error:
                log.warning("names of folders not read", because=str(error))
        return self._known.get(name, NO_FOLDERS)

    def keep(self, folders: KnownFolders) -> str:
        """Its name. What cannot be written is still known to this process."""
        content = folders.written()
        name = _name_of(content)
        self._known[name] = folders
        if not (self._folder / name).exists():
            try:
                self._write(name, content)
            except OSError as error:
                log.warning("names of folders not written", because=str(error))
        return name

    def keep_only(self, names: Collection[str]) -> None:
        self._known = {name: known for name, known in self._known.items() if name in names}
        for path in self._folder.glob("*"):
            if path.name not in names:
                path.unlink(missing_ok=True)

    def _read(self, name: str) -> KnownFolders:
        content = (self._folder / name).read_bytes()
        if _name_of(content) != name:
            raise Damaged(name)
        traces = array("Q")
        traces.frombytes(content)
        return KnownFolders(traces)

    def _write(self, name: str, content: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".new-", delete=False) as file:
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(self._folder / name)
            except OSError:
                Path(file.name).unlink(missing_ok=True)  # else a full disk gets one with each try
                raise
        sync_names(self._folder)


def _name_of(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
