"""Starts of the workload that have not ended, written down beyond the agent: what one has begun outlives it.

Each begins a session of its own, whose number is its first process's. A line says which that was, when it began and in
which boot: another process of that number is left alone. A start whose workload runs, or of which nothing lasts, is
forgotten.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from spotguard.domain.errors import GateFailed
from spotguard.host.clock import since_boot
from spotguard.host.disk import FolderDisk
from spotguard.ports.workload import STARTS
from spotguard.telemetry import get_logger

_LINE = re.compile(
    r"(?P<leader>[1-9]\d+) (?P<began>\d+) (?P<boot>\S+)"
)  # neither 0 nor 1: all would be ended
_END_SECONDS = 10.0  # for what was killed to be gone: a disk may hold it
_LOOK_SECONDS = 0.02
_STATE, _SESSION, _THREADS, _STARTTIME = 0, 3, 17, 19  # proc(5), stat, what follows the name

log = get_logger("gate")


class Starts:
    """`folder`: the agent's own; None: nothing is written down. Threads may share it."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._here: dict[int, str] = {}  # the lines of this process, also where none could be written
        self._lock = threading.RLock()

    def begun(self, leader: int) -> None:
        """Durable when it returns. A full disk keeps no workload from starting: then this process alone knows of it."""
        with self._lock:
            line = self._here[leader] = _line_of(leader)
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
        over = {leader for leader in known if not _is_alive(_stat(leader))}
        if over:
            self.forget(over)

    def going_on(self) -> tuple[int, ...]:
        """The processes that starts of this boot have begun, and that go on."""
        known = self._known()
        living = _living(set(known)) if known else {}
        ended = known.keys() - living.values()
        if ended:
            self.forget(ended)
        return tuple(sorted(living))

    def end_overdue(self, seconds: float) -> None:
        """The commands that began longer ago than that are killed, though not what they have begun."""
        for leader, began in self._known().items():
            if _is_alive(_stat(leader)) and since_boot() - int(began) / os.sysconf("SC_CLK_TCK") > seconds:
                _end(leader)

    def end_all(self, leaders: Iterable[int] | None = None) -> None:
        """Of these, or of all: returns when none of their processes goes on. `GateFailed`: one cannot be ended."""
        waiting, until = threading.Event(), time.monotonic() + _END_SECONDS
        known = {*self._known()} if leaders is None else {*leaders}
        while pids := _living(known) if known else {}:
            if time.monotonic() > until:
                raise GateFailed(f"a late start goes on, and cannot be ended: {listed(pids)}")
            for pid in pids:
                _end(pid)
            waiting.wait(_LOOK_SECONDS)
        if leaders is not None:
            self.forget(known)
            return
        with self._lock:
            self._here.clear()
            if self._lines():
                self._try(lambda disk: disk.remove(STARTS))

    def _known(self) -> dict[int, str]:
        """Leaders of this boot, and when each began. While anything of a session lasts no new process is given its
        number: one whose first process is gone is ours.
        """
        with self._lock:
            lines = {*self._here.values(), *self._lines()}
        if not lines:
            return {}
        boot, told = _boot(), (_LINE.fullmatch(line) for line in lines)
        known = {int(one["leader"]): one["began"] for one in told if one is not None and one["boot"] == boot}
        return {leader: began for leader, began in known.items() if _began(leader) in (began, None)}

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


def _line_of(leader: int) -> str:
    return f"{leader} {_began(leader)} {_boot()}"


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _began(pid: int) -> str | None:
    """None where there is no such process."""
    told = _stat(pid)
    return told[_STARTTIME] if told else None


def _living(sessions: set[int]) -> dict[int, int]:
    """Their processes that have not ended, each with its session."""
    pids = (int(path.name) for path in Path("/proc").glob("[0-9]*"))
    found = ((pid, _stat(pid)) for pid in pids)
    return {
        pid: int(told[_SESSION]) for pid, told in found if _is_alive(told) and int(told[_SESSION]) in sessions
    }


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
