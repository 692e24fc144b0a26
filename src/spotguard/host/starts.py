"""Which starts of the workload are under way: they outlive an agent that is killed, and the next one has to end them.

Only of this boot, so nothing need be on the disk before the power goes.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class StartsUnderWay:
    """A line for each: the leader of its session, when that began, and in which boot."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def begun(self, leader: int) -> None:
        """Its process has just been made. A full disk keeps no workload from its start: then nothing is noted."""
        with suppress(OSError), self._path.open("a") as file:
            file.write(f"{leader} {_began(leader)} {_boot()}\n")

    def ended(self, leader: int) -> None:
        """It has come to its end in time: what it left running is the workload."""
        others = [line for line in self._lines() if line[0] != str(leader)]
        with suppress(OSError):
            self._path.write_text("".join(f"{' '.join(line)}\n" for line in others))

    def left(self) -> list[int]:
        """Leaders of sessions that may still start something. A leader that has ended may have left others behind, and
        its number is no other process's while they live.
        """
        mine = [line for line in self._lines() if line[2] == _boot()]
        return [int(leader) for leader, began, _ in mine if _began(int(leader)) in (began, "")]

    def clear(self) -> None:
        """None of them goes on."""
        self._path.unlink(missing_ok=True)

    def _lines(self) -> list[list[str]]:
        """What a killed agent wrote half is left out."""
        with suppress(OSError):
            lines = [line.split() for line in self._path.read_text(errors="replace").splitlines()]
            return [line for line in lines if len(line) == 3 and line[0].isdecimal()]  # noqa: PLR2004 - its three parts
        return []


def _boot() -> str:
    return _BOOT_ID.read_text().strip()


def _began(pid: int) -> str:
    """proc(5), stat, starttime; empty where there is no such process."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return ""
