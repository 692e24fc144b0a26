"""`ports.salvage.Salvage` on a machine: the copy is mounted read-only beside the state, and the trees compared.

Mounted so, its journal is replayed first: what was made durable last (fsync(2)) is nowhere else (ext4(5), `noload`).
"""

from __future__ import annotations

import os
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from spotguard.domain.clock import EARLIEST, LATEST
from spotguard.domain.errors import SalvageFailed
from spotguard.host.commands import Ran, run
from spotguard.ports.salvage import Missing

_BY_ID = Path("/dev/disk/by-id")
_OPTIONS = ("ro", "ro,nouuid")  # XFS mounts none beside its original without the second
MOUNT_SECONDS = 600.0  # a journal is replayed from blocks that come from the snapshot as they are read
UNMOUNT_SECONDS = 60.0
UNMOUNT_AGAIN_SECONDS = (1.0, 5.0, 20.0)

Run = Callable[[tuple[str, ...], float], Ran]
Mounted = Callable[[str], AbstractContextManager[Path]]


class MountedSalvage:
    """One comparison at a time, in a thread of its own: a tree of millions of files takes its minutes."""

    def __init__(self, state_path: Path, mounted: Mounted | None = None) -> None:
        self._state_path = state_path
        self._mounted = mounted or mounted_read_only
        self._volume: str | None = None
        self._thread: threading.Thread | None = None
        self._found: Missing | SalvageFailed | None = None

    def compare(self, copy_id: str) -> Missing | None:
        if self._volume != copy_id or self._thread is None:
            if self._thread is not None and self._thread.is_alive():
                return None  # of another volume, which is finished first
            self._volume, self._found = copy_id, None
            self._thread = threading.Thread(target=self._look, args=(copy_id,), daemon=True)
            self._thread.start()
        if self._thread.is_alive():
            return None
        found, self._volume, self._thread = self._found, None, None
        if found is None:  # what its thread died of stands in the agent's log
            raise SalvageFailed(f"the look at {copy_id} broke off")
        if isinstance(found, SalvageFailed):
            raise found
        return found

    def _look(self, copy_id: str) -> None:
        try:
            with self._mounted(copy_id) as root:
                self._found = missing_in(self._state_path, inside(root, within_its_mount(self._state_path)))
        except (OSError, SalvageFailed) as error:
            self._found = SalvageFailed(str(error))


@contextmanager
def mounted_read_only(copy_id: str) -> Iterator[Path]:
    """Its file system at a folder that is gone afterwards. `SalvageFailed` with what `mount` said."""
    with mounted_at(device_of(copy_id), copy_id) as root:
        yield root


@contextmanager
def mounted_at(device: Path, copy_id: str, run: Run = run) -> Iterator[Path]:
    """`SalvageFailed` also where it cannot be unmounted afterwards."""
    with _mount_point() as folder:
        said = []
        for options in _OPTIONS:
            ran = run(("mount", "-o", options, str(device), folder), MOUNT_SECONDS)
            if ran.succeeded:
                break
            said.append(ran.output[-300:])
        else:
            raise SalvageFailed(f"{copy_id} cannot be mounted: {'; '.join(said)}")
        try:
            yield Path(folder)
        finally:
            _unmount(folder, copy_id, run)


@contextmanager
def _mount_point() -> Iterator[str]:
    """Empty where it is removed: where something is still mounted it stays, and nothing in it is deleted."""
    folder = tempfile.mkdtemp(prefix="spotguard-salvage-")
    try:
        yield folder
    finally:
        with suppress(OSError):
            Path(folder).rmdir()


def _unmount(folder: str, copy_id: str, run: Run) -> None:
    """EC2 takes no volume away that is mounted: what goes through /tmp (a backup, an indexer) holds it for a while."""
    ended = run(("umount", folder), UNMOUNT_SECONDS)
    for pause in UNMOUNT_AGAIN_SECONDS:
        if ended.succeeded:
            return
        threading.Event().wait(pause)
        ended = run(("umount", folder), UNMOUNT_SECONDS)
    if not ended.succeeded:
        raise SalvageFailed(f"{copy_id} cannot be unmounted from {folder}: {ended.output[-300:]}")


def device_of(copy_id: str) -> Path:
    """EC2's NVMe disks carry the volume's id as their serial number; of a partitioned one the first partition."""
    name = f"nvme-Amazon_Elastic_Block_Store_{copy_id.replace('-', '')}"
    found = next((path for path in (_BY_ID / f"{name}-part1", _BY_ID / name) if path.exists()), None)
    if found is None:
        raise SalvageFailed(f"this machine shows no disk of {copy_id} in {_BY_ID}")
    return found


def within_its_mount(path: Path) -> Path:
    """Where the state lies in its own file system: the same place in the dead one's."""
    whole = path.resolve()
    top = whole
    while not os.path.ismount(top):
        top = top.parent
    return whole.relative_to(top)


def inside(root: Path, place: Path) -> Path:
    """`place` in the dead file system; `SalvageFailed` where a link of it leads out, onto the live machine."""
    there = (root / place).resolve()
    if not there.is_relative_to(root.resolve()):
        raise SalvageFailed(f"a link on the volume leads {place} out of it")
    return there


def missing_in(present: Path, lost: Path) -> Missing:
    """Regular files of `lost` that `present` has not, or has older, or shorter with the same time. Links are not
    followed. `SalvageFailed` for no file at all beside a state that has some: it is no state's volume.
    """
    if not lost.is_dir():
        raise SalvageFailed(f"the volume has no folder {lost.name or '/'} of the state")
    seen = files = size = 0
    newest = None
    for found, told in _files(lost):
        seen += 1
        if _has(present / found.relative_to(lost), told):
            continue
        files, size = files + 1, size + told.st_size
        newest = told.st_mtime if newest is None else max(newest, told.st_mtime)
    if not seen and next(_files(present), None) is not None:
        raise SalvageFailed("there is no file on the volume where the state lies here")
    return Missing(files, size, None if newest is None else _told(newest))


def _told(newest: float) -> datetime:
    """The nearest time that can be told: a file may have one that no calendar has."""
    return datetime.fromtimestamp(min(max(newest, EARLIEST.timestamp()), LATEST.timestamp()), UTC)


def _files(root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for folder, _, names in os.walk(root, onerror=_unread):
        for name in names:
            path = Path(folder, name)
            told = path.lstat()
            if stat.S_ISREG(told.st_mode):
                yield path, told


def _unread(error: OSError) -> None:
    raise SalvageFailed(f"a folder on the volume cannot be read: {error}")


def _has(path: Path, wanted: os.stat_result) -> bool:
    try:
        told = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    if told.st_mtime_ns == wanted.st_mtime_ns:
        return told.st_size >= wanted.st_size
    return told.st_mtime_ns > wanted.st_mtime_ns
