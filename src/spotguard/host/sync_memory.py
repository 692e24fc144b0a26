"""What a copying instance remembers across restarts of its agent: how far its state had come, what it sent where.

The epoch stands a second time as the name of an empty file: of all that is remembered, it alone says whether a pass
that was received is older than the state here, and a name is written whole or not at all. So does the number of the
newest pass: by it alone the next one is newer than those before, whatever the clock shows by then.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import threading
from pathlib import Path

import msgspec

from spotguard.host.disk import sync_names
from spotguard.host.known_folders import FolderMemory, KnownFolders
from spotguard.ports.checked_lines import Damaged, line_of, value_of
from spotguard.telemetry import get_logger

NEVER = -1  # opened under no epoch that is known
STEP_NANOSECONDS = 1_000_000_000  # less than that two readings of two clocks may differ
TARGETS = 8  # of so many is remembered what they hold
_EPOCH, _NUMBER = re.compile(r"\d{9}"), re.compile(r"\d{17}")

log = get_logger("sync")


class Sent(msgspec.Struct, frozen=True):
    """Passes that an instance was sent: the newest whole one, and those that broke since.

    `since_ns`: when the oldest of them began, by this machine's clock. `clock_ns`: what that clock showed then beyond
    the monotonic one; None where an agent before an upgrade has not said it. `folders`: the name by which is kept
    which of them were the same in all these passes; none where such an agent has not. `boot`: in which all of them
    were sent; none where that is not known, or another instance has served since.
    """

    whole: str | None = None
    broken: tuple[str, ...] = ()
    since_ns: int = 0
    clock_ns: int | None = None
    folders: str = ""
    boot: str = ""

    def times_tell_since_ns(self, now_ns: int, clock_ns: int, boot: str) -> int:
        """Since when a file that was written has a newer time: 0 where times tell nothing. What fdatasync(2) has put on
        the disk outlives a crash, and the file's new times do not.
        """
        is_this_boot = self.boot != "" and self.boot == boot
        return self.since_ns if is_this_boot and not self.stepped_back(now_ns, clock_ns) else 0

    def stepped_back(self, now_ns: int, clock_ns: int) -> bool:
        """Whether the clock was since: files that were written after it have times before `since_ns`."""
        if now_ns < self.since_ns:
            return True
        return self.clock_ns is not None and clock_ns < self.clock_ns - STEP_NANOSECONDS


class Memory(msgspec.Struct, frozen=True):
    """`position` belongs to the state with this `fingerprint`; `last` numbers the passes."""

    epoch: int = NEVER  # under which the state here was last opened
    by: str | None = None  # the instance that has opened it
    agent: str | None = None  # whose state it was then; None where nobody knew
    fingerprint: str = ""
    position: int = 0
    last: int = 0
    sent: dict[str, Sent] = {}  # by instance


def memory_of(state: Path) -> Path:
    """Where it is kept: beside the state, so that it goes where the state goes, and out of the reach of whoever may
    write to the inbox.
    """
    return state.with_name(f".{state.name}.sync")


class SyncMemory:
    """`folder`: see `memory_of`. `inbox`: where an agent before an upgrade kept it; taken over once."""

    def __init__(self, folder: Path, inbox: Path | None = None) -> None:
        self._path, self._served, self._sent = folder / "memory.json", folder / "served", folder / "numbered"
        self._inbox, self._folders = inbox, FolderMemory(folder / "folders")
        self._known: Memory | None = None
        self._place: tuple[int, int] | None = None  # where that was read
        self._changing = threading.RLock()  # several duties of the agent ask and tell

    @property
    def known(self) -> Memory:
        """Read anew once the state's volume is mounted there: what lay below it is nobody's memory. Only the two
        figures that never go back stay, also where it is unmounted.
        """
        with self._changing:
            place, former = self._place_now(), self._known
            if former is not None and place == self._place:
                return former
            known = self._read()
            if former is not None:
                position, last = max(former.position, known.position), max(former.last, known.last)
                known = msgspec.structs.replace(known, position=position, last=last)
            self._known, self._place = known, place
            return known

    def _place_now(self) -> tuple[int, int] | None:
        """Which folder the state lies in. The former one while that cannot be seen."""
        try:
            found = self._path.parent.parent.stat()
        except OSError:
            return self._place
        return found.st_dev, found.st_ino

    def keep(self, **changes: object) -> Memory:
        """What cannot be written is still known to this process: a full disk must not keep the state from leaving."""
        with self._changing:
            self._known = msgspec.structs.replace(self.known, **changes)
            try:
                self.write_down(self._known)
            except OSError as error:
                log.warning("sync memory not written", because=str(error))
            if self._place is None:  # the folder was made just now
                self._place = self._place_now()
            return self._known

    def write_down(self, memory: Memory) -> None:
        """`OSError` where it has not reached the disk."""
        if memory.epoch != NEVER:
            self._name(self._served, _EPOCH, f"{memory.epoch:09d}")
        if memory.last:
            self._name(self._sent, _NUMBER, f"{memory.last:017d}")
        self._write(line_of(memory))

    def sent_to(self, instance_id: str) -> Sent:
        return self.known.sent.get(instance_id, Sent())

    def folders_of(self, sent: Sent) -> KnownFolders:
        with self._changing:
            return self._folders.named(sent.folders)

    def keep_sent(self, instance_id: str, sent: Sent, folders: KnownFolders) -> None:
        """The folders first: what names them is never without them, nor with those of another pass."""
        with self._changing:
            sent = msgspec.structs.replace(sent, folders=self._folders.keep(folders))
            others = [item for item in self.known.sent.items() if item[0] != instance_id]
            known = self.keep(sent=dict([*others, (instance_id, sent)][-TARGETS:]))
            self._folders.keep_only({one.folders for one in known.sent.values()})

    def _read(self) -> Memory:
        """What is not as it was written is not believed: the state's own times are there, and the two names."""
        if self._inbox is not None and not self._path.parent.exists():
            return self._take_over(self._inbox)
        read = self._remembered()
        epoch, last = _newest(self._served, _EPOCH), _newest(self._sent, _NUMBER)
        return msgspec.structs.replace(read, epoch=max(read.epoch, epoch), last=max(read.last, last))

    def _take_over(self, inbox: Path) -> Memory:
        """Whole or not at all. Also where there is nothing: what a sender lays there later is not believed."""
        folder, former = self._path.parent, SyncMemory(inbox).known
        fresh = folder.with_name(f"{folder.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        try:
            fresh.mkdir(mode=0o700, parents=True)
            SyncMemory(fresh).write_down(former)
            fresh.rename(folder)
            sync_names(folder.parent)
        except OSError as error:
            log.warning("sync memory not taken over", because=str(error))
        return former

    def _remembered(self) -> Memory:
        try:
            return _memory_in(self._path.read_bytes().removesuffix(b"\n"))
        except FileNotFoundError:
            return Memory()
        except (OSError, Damaged, msgspec.DecodeError) as error:
            log.warning("sync memory not read", because=str(error))
            return Memory()

    def _name(self, folder: Path, kind: re.Pattern[str], name: str) -> None:
        """Durable when it returns. Those before it go only then."""
        named = _named(folder, kind)
        if [path.name for path in named] == [name]:
            return
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(exist_ok=True)
        (folder / name).touch()
        for changed in (folder, folder.parent):
            sync_names(changed)
        for path in named:
            if path.name != name:
                path.unlink(missing_ok=True)

    def _write(self, content: bytes) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._path.parent, prefix=".memory-", delete=False) as file:
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(self._path)
            except OSError:
                Path(file.name).unlink(missing_ok=True)  # else a full disk gets one with each try
                raise


def _named(folder: Path, kind: re.Pattern[str]) -> list[Path]:
    return [path for path in folder.glob("*") if kind.fullmatch(path.name)]


def _newest(folder: Path, kind: re.Pattern[str]) -> int:
    return max((int(path.name) for path in _named(folder, kind)), default=NEVER)


def _memory_in(content: bytes) -> Memory:
    """An agent before an upgrade has written it without a checksum: no line with one begins like it."""
    if content.startswith(b"{"):
        return msgspec.json.decode(content, type=Memory)
    return msgspec.convert(value_of(content), Memory)
