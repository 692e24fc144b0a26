"""What is mounted on this machine, what /etc/fstab says is to be, and the EBS volumes below."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from spotguard.host.nvme import attached_as
from spotguard.planning.eligibility.facts import FstabEntry

_BLANKS = re.compile(r"[ \t]+")
_OCTAL = re.compile(r"\\([0-7]{3})")  # proc(5), fstab(5): blanks and backslashes in a name
_VOLUME = re.compile(r"vol-?([0-9a-f]{8,17})")
_XEN = re.compile(r"(?:xvd|sd)([a-z]+)")
_ELSEWHERE = re.compile(r"nfs4?|cifs|smb3?|ceph|9p|afs|glusterfs|lustre|autofs|fuse(\..*)?")


@dataclass(frozen=True)
class Mounted:
    """`number`: major:minor of its device. `kind`: its file system's, as "ext4" or "nfs4"."""

    number: str
    kind: str
    source: str

    @property
    def hangs_on_others(self) -> bool:
        """Another machine, or another program, answers for it."""
        return _ELSEWHERE.fullmatch(self.kind) is not None


@dataclass(frozen=True)
class BelowIt:
    """A disk under a file system. `volume_id` and `attached_as` ("sdy") None: it does not say."""

    name: str
    volume_id: str | None
    attached_as: str | None


def fstab(root: Path) -> tuple[FstabEntry, ...]:
    """Its lines without the comments; none where there is no such file. `OSError` when it cannot be read."""
    try:
        told = _lines(root / "etc/fstab")
    except FileNotFoundError:
        return ()
    lines = [_BLANKS.split(line.strip(" \t")) for line in told if not line.lstrip(" \t").startswith("#")]
    return tuple(
        FstabEntry(fields[0], fields[1], "noauto" not in ",".join(fields[3:4]).split(","))
        for fields in lines
        if len(fields) > 1
    )


class Mounts:
    """Read anew with every question. `root`: the machine's own, or a folder that looks like one."""

    def __init__(
        self, root: Path = Path("/"), attached_as: Callable[[Path], str | None] = attached_as
    ) -> None:
        self._root, self._attached_as = root, attached_as

    def now(self) -> dict[str, Mounted]:
        """By mount point; of several at one the newest, which hides the others."""
        return dict(_mounted(line) for line in _lines(self._root / "proc/self/mountinfo") if line)

    def inside(self, folder: Path) -> list[Path]:
        """Mount points in it, its own among them. `OSError` when that cannot be told."""
        place = folder.resolve()
        return [found for point in self.now() if place in (found := Path(point), *found.parents)]

    def of_this_machine(self) -> dict[str, list[str]]:
        """The mount points of every file system for which this machine's kernel answers alone, the newest first; by its
        number.
        """
        points: dict[str, list[str]] = {}
        for point, one in reversed(self.now().items()):
            if not one.hangs_on_others:
                points.setdefault(one.number, []).append(point)
        return points

    def carrying(self, folder: Path) -> dict[str, list[str]]:
        """The file systems in which it lies, by their numbers: its own, and those that are mounted in it. Of each where
        it can be asked, best first: a mount point may be hidden, or a socket, while the folder itself is what it is.
        Where that is not there (its workload's stop has unmounted it) stands what is above it.
        """
        place, known = folder.resolve(), self.now()
        points: dict[str, list[str]] = {}
        upwards = [str(at) for at in (place, *place.parents)]
        above = next((at for at in upwards if at in known), None)
        if above is not None:
            points[known[above].number] = upwards[: upwards.index(above) + 1]
        for point in known:
            if place in Path(point).parents:
                points.setdefault(known[point].number, []).append(point)
        for point, one in known.items():
            if point not in points.get(one.number, [point]):
                points[one.number].append(point)
        return points

    def promised_at(self, path: Path, *, at_boot: bool) -> str | None:
        """The deepest mount point at or above the path that fstab names, the root of everything left out."""
        points = [_plain(e.path) for e in fstab(self._root) if e.at_boot or not at_boot]
        above = {str(folder) for folder in (path, *path.parents)} - {"/"}
        return max((point for point in points if point in above), key=len, default=None)

    def promised_below(self, path: Path, *, at_boot: bool) -> list[str]:
        """The mount points inside the folder that fstab names."""
        points = [_plain(e.path) for e in fstab(self._root) if e.at_boot or not at_boot]
        return [point for point in points if path in Path(point).parents]

    def below(self, path: Path) -> list[str]:
        """Where inside the folder a file system of another block device is mounted; folders bound there are none."""
        known = self.now()
        own = known.get(self.point_of(path))
        inside = {point: one for point, one in known.items() if path in Path(point).parents}
        others = [point for point, one in inside.items() if own is None or one.number != own.number]
        return [point for point in others if self.disks_of(point)]

    def point_of(self, path: Path) -> str:
        """The mount point below which it lies now."""
        known = self.now()
        return next((str(folder) for folder in (path, *path.parents) if str(folder) in known), "/")

    def disks_of(self, point: str) -> tuple[BelowIt, ...]:
        """Below its partition, its logical volumes and its encryption; none where it lies on no block device."""
        mounted = self.now().get(point)
        if mounted is None:
            return ()
        block = self._root / "sys/dev/block" / mounted.number
        if not block.exists() and mounted.source.startswith("/dev/"):  # btrfs has a number of no device
            name = (self._root / mounted.source.removeprefix("/")).resolve().name
            block = self._root / "sys/class/block" / name
        return tuple(self._disks(block.resolve())) if block.exists() else ()

    def _disks(self, block: Path) -> Iterator[BelowIt]:
        below = sorted((block / "slaves").glob("*"))
        for one in below:
            yield from self._disks(one.resolve())
        if not below:
            whole = block.parent if (block / "partition").exists() else block
            yield BelowIt(whole.name, _volume_of(whole), self._place_of(whole.name))

    def _place_of(self, name: str) -> str | None:
        """Under which of EC2's names for devices it was attached, as "sdy"."""
        told = name if name.startswith(("xvd", "sd")) else self._attached_as(self._root / "dev" / name)
        found = _XEN.fullmatch((told or "").removeprefix("/dev/"))
        return None if found is None else f"sd{found[1]}"


def _lines(path: Path) -> list[str]:
    """Only a line feed ends one: whatever else Unicode has for that, or for a blank, may be part of a name. So may
    bytes that are no text: the names lead where the kernel's do.
    """
    return os.fsdecode(path.read_bytes()).split("\n")


def readable(name: str) -> str:
    r"""To be told to people, and as JSON: a byte of it that is no text as `\xe9`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _mounted(line: str) -> tuple[str, Mounted]:
    """A line of mountinfo (proc(5)): after the hyphen come the type and the source."""
    front, _, back = line.partition(" - ")
    fields, (kind, *sources) = front.split(" "), back.split(" ")
    return _plain(fields[4]), Mounted(fields[2], kind, _plain(sources[0]) if sources else "")


def _plain(name: str) -> str:
    return _OCTAL.sub(lambda found: chr(int(found[1], 8)), name).rstrip("/") or "/"


def _volume_of(disk: Path) -> str | None:
    """EC2's NVMe disks carry the volume's id as their serial number."""
    try:
        found = _VOLUME.fullmatch((disk / "device/serial").read_text().strip())
    except OSError:
        return None
    return None if found is None else f"vol-{found[1]}"
