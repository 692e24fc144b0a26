"""Starts of the workload that have not ended, written down beyond the agent: what one has begun outlives it.

Each begins a session of its own, whose number is its first process's. A line says which that was, when it began and in
which boot: another process of that number is left alone.
"""

from __future__ import annotations

import os
import re
import signal
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

log = get_logger("gate")


class Starts:
    """`folder`: the agent's own; None: nothing is written down."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def begun(self, leader: int) -> None:
        """Durable when it returns. A full disk keeps no workload from starting: then this process alone knows of it."""
        self._try(lambda disk: disk.append(STARTS, f"{_line_of(leader)}\n".encode()))

    def ended(self, leader: int) -> None:
        """In its time: what it has left running is the workload."""
        self._try(lambda disk: self._forget(disk, leader))

    def end_all(self) -> None:
        """What stands here is of an agent before this one, or late. `GateFailed`: it cannot be ended."""
        if self._folder is None or not (self._folder / STARTS).exists():
            return
        boot = _boot()
        for line in self._lines():
            told = _LINE.fullmatch(line)
            if told is not None and told["boot"] == boot:
                _end(int(told["leader"]), told["began"])
        self._try(lambda disk: disk.remove(STARTS))

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


def end_session(leader: int) -> None:
    """All of it that has not left its group. `GateFailed` where that is refused."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise GateFailed(f"a late start goes on, and cannot be ended: session {leader} ({error})") from error


def _end(leader: int, begun: str) -> None:
    """While anything of a session lasts no new process is given its number: one whose first process is gone is ours."""
    if _began(leader) in (begun, None):
        end_session(leader)


def _line_of(leader: int) -> str:
    return f"{leader} {_began(leader)} {_boot()}"


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _began(pid: int) -> str | None:
    """proc(5), stat, starttime; None where there is no such process."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return None
