"""Starts of the workload that have not ended, written down beyond the agent: what one has begun outlives it.

Each begins a session of its own, whose number is its first process's, and has a mark in its environment, which goes to
all that it begins, also to what leaves the session. A line says which process that was, when it began, in which boot,
and the mark: another process of that number is left alone. A start whose workload runs, or of which nothing lasts, is
forgotten.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from spotguard.domain.errors import GateFailed
from spotguard.host.clock import boot_id, since_boot
from spotguard.host.disk import FolderDisk
from spotguard.ports.workload import STARTS
from spotguard.telemetry import get_logger

_LINE = re.compile(
    r"(?P<leader>[1-9]\d+) (?P<began>\d+) (?P<boot>\S+) (?P<mark>[0-9a-f]{32})"
)  # neither 0 nor 1: all would be ended
_END_SECONDS = 10.0  # for what was killed to be gone: a disk may hold it
_LOOK_SECONDS = 0.02
_STATE, _SESSION, _THREADS, _STARTTIME = 0, 3, 17, 19  # proc(5), stat, what follows the name

MARK = "SPOTGUARD_START"  # environment variable

log = get_logger("gate")


@dataclass(frozen=True)
class _Start:
    """`began`: its first process, in the kernel's ticks. `has_session`: no other process has its number by now."""

    began: str
    mark: str
    has_session: bool


class Starts:
    """`folder`: the agent's own; None: nothing is written down. Threads may share it."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._here: dict[int, str] = {}  # the lines of this process, also where none could be written
        self._lock = threading.RLock()

    def begun(self, leader: int, mark: str) -> None:
        """Durable when it returns. A full disk keeps no workload from starting: then this process alone knows of it."""
        with self._lock:
            line = self._here[leader] = _line_of(leader, mark)
            self._try(lambda disk: disk.append(STARTS, f"\n{line}\n".encode()))  # the last one may be torn

    def forget(self, leaders: Iterable[int]) -> None:
        """What they have left running is the workload, or nothing."""
        with self._lock:
            gone = {*leaders}
            for leader in gone & self._here.keys():
                del self._here[leader]
            if self._lines():
                self._try(lambda disk: self._write_without(disk, gone))

    def came_up(self) -> None:
        """The workload runs. A command that is not over may start more still."""
        known = self._known()
        over = {n for n, start in known.items() if not (start.has_session and _is_alive(_stat(n)))}
        if over:
            self.forget(over)

    def going_on(self) -> tuple[int, ...]:
        """The processes that starts of this boot have begun, and that go on."""
        known = self._known()
        living = _living(known) if known else {}
        ended = known.keys() - living.values()
        if ended:
            self.forget(ended)
        return tuple(sorted(living))

    def end_overdue(self, seconds: float) -> None:
        """The commands that began longer ago than that are killed, though not what they have begun."""
        for leader, start in self._known().items():
            lasts = since_boot() - int(start.began) / os.sysconf("SC_CLK_TCK")
            if start.has_session and _is_alive(_stat(leader)) and lasts > seconds:
                _end(leader)

    def end_all(self, leaders: Iterable[int] | None = None) -> None:
        """Of these, or of all: returns when none of their processes goes on. `GateFailed`: one cannot be ended."""
        waiting, until = threading.Event(), time.monotonic() + _END_SECONDS
        wanted = None if leaders is None else {*leaders}
        known = {n: start for n, start in self._known().items() if wanted is None or n in wanted}
        while pids := _living(known) if known else {}:
            if time.monotonic() > until:
                raise GateFailed(f"a late start goes on, and cannot be ended: {listed(pids)}")
            for pid in pids:
                _end(pid)
            waiting.wait(_LOOK_SECONDS)
        if wanted is not None:
            self.forget(wanted)
            return
        with self._lock:
            self._here.clear()
            if self._lines():
                self._try(lambda disk: disk.remove(STARTS))

    def _known(self) -> dict[int, _Start]:
        """Those of this boot, by their first process. While anything of a session lasts no new process is given its
        number: one whose first process is gone is ours.
        """
        with self._lock:
            lines = {*self._here.values(), *self._lines()}
        if not lines:
            return {}
        boot, told = boot_id(), (_LINE.fullmatch(line) for line in lines)
        ours = [one for one in told if one is not None and one["boot"] == boot]
        return {
            (leader := int(one["leader"])): _Start(
                one["began"], one["mark"], has_session=_began(leader) in (one["began"], None)
            )
            for one in ours
        }

    def _write_without(self, disk: FolderDisk, leaders: set[int]) -> None:
        numbers = {str(leader) for leader in leaders}
        kept = [line for line in self._lines() if line.split()[:1] and line.split()[0] not in numbers]
        if kept:
            disk.replace(STARTS, "".join(f"{line}\n" for line in kept).encode())
        else:
            disk.remove(STARTS)

    def _lines(self) -> list[str]:
        """None where it cannot be read: a disk that fails must not keep a gate from closing."""
        if self._folder is None:
            return []
        try:
            return (self._folder / STARTS).read_text(errors="replace").splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            log.warning("starts not read", because=str(error))
            return []

    def _try(self, change: Callable[[FolderDisk], None]) -> None:
        if self._folder is None:
            return
        try:
            change(FolderDisk(self._folder))
        except OSError as error:
            log.warning("start not written down", because=str(error))


def _end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise GateFailed(f"a late start goes on, and cannot be ended: process {pid} ({error})") from error


def _line_of(leader: int, mark: str) -> str:
    return f"{leader} {_began(leader)} {boot_id()} {mark}"


def _began(pid: int) -> str | None:
    """None where there is no such process."""
    told = _stat(pid)
    return told[_STARTTIME] if told else None


def _living(starts: Mapping[int, _Start]) -> dict[int, int]:
    """Their processes that have not ended, each with the first one of its start."""
    marks = {start.mark: leader for leader, start in starts.items()}
    found = {}
    for pid in (int(path.name) for path in Path("/proc").glob("[0-9]*")):
        told = _stat(pid)
        if not _is_alive(told):
            continue
        session = starts.get(leader := int(told[_SESSION]))
        if session is not None and session.has_session:
            found[pid] = leader
        elif (mark := _mark_of(pid)) in marks:
            found[pid] = marks[mark]
    return found


def _mark_of(pid: int) -> str:
    """Empty where it has none, or its environment is another user's."""
    with suppress(OSError):
        for one in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            name, _, value = one.partition(b"=")
            if name == MARK.encode():
                return value.decode(errors="replace")
    return ""


def _is_alive(told: list[str]) -> bool:
    """Of the dead, some are not yet waited for; of one whose first thread has ended others may go on."""
    return bool(told) and (told[_STATE] not in "ZX" or int(told[_THREADS]) > 1)


def _stat(pid: int) -> list[str]:
    """proc(5), stat, what follows the name; empty where there is no such process."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    return []


def listed(pids: Iterable[int]) -> str:
    """For people."""
    told = sorted(pids)
    return f"process{'es' if len(told) > 1 else ''} {', '.join(map(str, told))}"
