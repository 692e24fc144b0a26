"""Starts of the workload that have not ended, written down beyond the agent: what one has begun outlives it.

Each begins a session of its own, whose number is its first process's. A line says which that was, when it began and in
which boot: another process of that number is left alone.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from spotguard.domain.errors import GateFailed
from spotguard.host.disk import FolderDisk
from spotguard.ports.workload import STARTS
from spotguard.telemetry import get_logger

_LINE = re.compile(
    r"(?P<leader>[1-9]\d+) (?P<began>\d+) (?P<boot>\S+)"
)  # neither 0 nor 1: all would be ended

_END_SECONDS = 10.0  # for what was killed to be gone: a disk may hold it
_LOOK_SECONDS = 0.02

log = get_logger("gate")


class Starts:
    """`folder`: the agent's own; None: nothing is written down."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._here: dict[int, str] = {}  # the lines of this process, also where none could be written

    def begun(self, leader: int) -> None:
        """Durable when it returns. A full disk keeps no workload from starting: then this process alone knows of it."""
        line = self._here[leader] = _line_of(leader)
        self._try(lambda disk: disk.append(STARTS, f"{line}\n".encode()))

    def ended(self, leader: int) -> None:
        """What it has left running is the workload."""
        self._here.pop(leader, None)
        self._try(lambda disk: self._forget(disk, leader))

    def going_on(self) -> tuple[int, ...]:
        """The processes that starts of this boot have begun, and that go on."""
        leaders = self._leaders()
        return _living(leaders) if leaders else ()

    def end_all(self) -> None:
        """Returns when none of their processes goes on. `GateFailed`: one cannot be ended."""
        waiting, until = threading.Event(), time.monotonic() + _END_SECONDS
        while pids := self.going_on():
            if time.monotonic() > until:
                raise GateFailed(f"a late start goes on, and cannot be ended: processes {pids}")
            for pid in pids:
                _end(pid)
            waiting.wait(_LOOK_SECONDS)
        self._here.clear()
        if self._folder is not None and (self._folder / STARTS).exists():
            self._try(lambda disk: disk.remove(STARTS))

    def _leaders(self) -> set[int]:
        """Of this boot. While anything of a session lasts no new process is given its number: one whose first process
        is gone is ours.
        """
        lines = {*self._here.values(), *self._lines()}
        if not lines:
            return set()
        boot, told = _boot(), (_LINE.fullmatch(line) for line in lines)
        known = {
            (int(one["leader"]), one["began"]) for one in told if one is not None and one["boot"] == boot
        }
        return {leader for leader, began in known if _began(leader) in (began, None)}

    def _forget(self, disk: FolderDisk, leader: int) -> None:
        kept = [line for line in self._lines() if line.split()[:1] != [str(leader)]]
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
        except FileNotFoundError:
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
    """proc(5), stat, starttime; None where there is no such process."""
    told = _stat(Path(f"/proc/{pid}/stat"))
    return told[19] if told else None


def _living(sessions: set[int]) -> tuple[int, ...]:
    """Their processes that have not ended: of the dead, some are not yet waited for."""
    found = ((int(path.parent.name), _stat(path)) for path in Path("/proc").glob("[0-9]*/stat"))
    return tuple(
        sorted(pid for pid, told in found if told and int(told[3]) in sessions and told[0] not in "ZX")
    )


def _stat(path: Path) -> list[str]:
    """proc(5), stat: state, ppid, pgrp, session …; empty where there is no such process."""
    with suppress(OSError):
        return path.read_text(errors="replace").rpartition(")")[2].split()
    return []
