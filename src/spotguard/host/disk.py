"""`ports.disk.Disk` on a folder that only its owner may read."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from spotguard.domain.errors import InvalidInput
from spotguard.host.reserve import Reserve
from spotguard.telemetry import get_logger

log = get_logger("disk")
_NAME = re.compile(r"[a-z][a-z0-9-]*")
_PRIVATE = 0o600
_LOCK = ".lock"


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """One process at a time works in the folder; `InvalidInput` for the second.

    Each agent knows what it has let go of from its start on: of two, one would open what the other has closed for ever.
    The kernel ends the lock with its process, however that ends; programs that it runs do not inherit it (flock(2)).
    """
    with _locked(folder, _LOCK):
        yield


@contextmanager
def alone_on(metadata_url: str, runtime: Path) -> Iterator[None]:
    """One agent at a time for the instance that this service describes, wherever it works; else `InvalidInput`.

    `runtime`: a folder of this boot that only root may write, such as /run: whoever could write there could keep the
    agent from starting. Where it cannot be written to, that is told, and `alone_in` has to be enough.
    """
    name = f"agent-{hashlib.sha256(metadata_url.encode()).hexdigest()[:16]}.lock"
    with ExitStack() as held:
        try:
            held.enter_context(_locked(runtime / "spotguard", name))
        except OSError as error:
            log.warning("a second agent of another state_folder would not be noticed", because=str(error))
        yield


@contextmanager
def _locked(folder: Path, name: str) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = _lock_file(folder / name)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InvalidInput(f"another agent runs here, and holds {folder / name}: end it first") from error
        yield
    finally:
        os.close(handle)


def _lock_file(path: Path) -> int:
    """On a disk that has turned read-only the one that is there: somebody has to close the gate before its end."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, _PRIVATE)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        return os.open(path, os.O_RDONLY)


class FolderDisk:
    """Every write has reached the disk, name included, when the call returns (fsync of the file and of its folder).

    For a disk that is full by then some room is kept.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder, self._reserve = folder, Reserve(folder)

    def read(self, name: str) -> bytes | None:
        try:
            return self._path(name).read_bytes()
        except FileNotFoundError:
            return None

    def replace(self, name: str, content: bytes) -> None:
        self._write(lambda: self._replace(self._path(name), content))

    def append(self, name: str, line: bytes) -> None:
        self._write(lambda: self._append(self._path(name), line))

    def remove(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)
        self._sync_folder()

    def _write(self, write: Callable[[], None]) -> None:
        self._reserve.make_room_for(write)
        self._reserve.fill()

    def _replace(self, path: Path, content: bytes) -> None:
        fresh = path.with_name(f".{path.name}.new")
        _write(fresh, content, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        fresh.replace(path)
        self._sync_folder()

    def _append(self, path: Path, line: bytes) -> None:
        is_new = not path.exists()
        size = 0 if is_new else path.stat().st_size
        try:
            _write(path, line, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        except OSError:
            if path.exists():
                os.truncate(path, size)  # half a line would spoil the next one
            raise
        if is_new:
            self._sync_folder()

    def _path(self, name: str) -> Path:
        if _NAME.fullmatch(name) is None:
            raise InvalidInput(f"not a name of a file: {name[:40]!r}")
        return self._folder / name

    def _sync_folder(self) -> None:
        sync_names(self._folder)


def sync_names(folder: Path) -> None:
    """What was made, renamed or removed in it is so after a crash as well when this returns."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(path: Path, content: bytes, flags: int) -> None:
    handle = os.open(path, flags, _PRIVATE)
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(handle, left) :]
        os.fsync(handle)
    finally:
        os.close(handle)
