"""What this machine shows of itself before it is enrolled; nothing is changed."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from spotguard.domain.errors import GateFailed
from spotguard.host.boot_links import named_in, own_links, unit_file, vendor_links
from spotguard.host.databases import databases
from spotguard.host.killing import run_within, words_of
from spotguard.host.mounts import fstab, readable
from spotguard.planning.eligibility.facts import (
    Database,
    Disk,
    DiskKind,
    FstabEntry,
    Machine,
    StoppedWith,
    Unit,
)
from spotguard.planning.findings import Unseen
from spotguard.ports.units import Units

Run = Callable[[Sequence[str]], str]
"""Runs a command and gives what it says; `OSError` when it cannot."""

_LSBLK = ("lsblk", "--json", "--output", "NAME,TYPE,MODEL,MOUNTPOINTS")
_MODELS = {
    "Amazon Elastic Block Store": DiskKind.EBS,
    "Amazon EC2 NVMe Instance Storage": DiskKind.INSTANCE_STORE,
}
"""What EC2's NVMe disks call themselves (EC2 User Guide, "Amazon EBS volumes and NVMe")."""

_ENGINES = {"dockerd": "Docker", "containerd": "containerd", "crio": "CRI-O"}
_LSBLK_SECONDS = 20


def survey(root: Path, units: Units | None, unit: str | None, state_path: str | None, run: Run) -> Machine:
    """`unit` None: the workload is started by commands. `units` None: no service manager runs under this root."""
    running = _running(root)
    return Machine(
        architecture=_architecture(root),
        disks=_disks(root, run),
        fstab=_fstab(root),
        databases=_databases(root, state_path),
        unit=_unit(root, units, unit),
        containers=tuple(sorted(name for comm, name in _ENGINES.items() if comm in running)),
        is_node="kubelet" in running,
    )


def run(command: Sequence[str]) -> str:
    """One command of this machine."""
    try:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        done = run_within(command, _LSBLK_SECONDS, words_of(command), text=True, **pipes)
        done.check_returncode()
    except subprocess.SubprocessError as error:
        raise OSError(f"{command[0]}: {error}") from error
    return str(done.stdout)


def _architecture(root: Path) -> str:
    """Of a folder that is to be a machine's root, the machine that looks at it stands for it."""
    told = root / "proc/sys/kernel/arch"
    return told.read_text().strip() if told.is_file() else os.uname().machine


def _disks(root: Path, run: Run) -> tuple[Disk, ...] | Unseen:
    elsewhere = () if root == Path("/") else ("--sysroot", str(root))
    try:
        told = json.loads(run([*_LSBLK, *elsewhere]))
        found = tuple(_disk(one) for one in told["blockdevices"] if one["type"] == "disk")
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Unseen(f"lsblk does not tell the disks: {str(error) or type(error).__name__}")
    return found or Unseen("lsblk shows no disk")


def _disk(told: Mapping[str, Any]) -> Disk:
    kind = _MODELS.get(str(told.get("model") or "").strip(), DiskKind.OTHER)
    return Disk(told["name"], kind, tuple(dict.fromkeys(_mounts(told))))


def _mounts(told: Mapping[str, Any]) -> Iterator[str]:
    """Its own and those of its partitions, of what lies on them, and so on."""
    yield from (path for path in told.get("mountpoints") or () if path)
    for child in told.get("children") or ():
        yield from _mounts(child)


def _databases(root: Path, state_path: str | None) -> tuple[Database, ...] | Unseen:
    try:
        return databases(root, state_path)
    except PermissionError as error:
        return Unseen(f"only root may look into {error.filename}")


def _fstab(root: Path) -> tuple[FstabEntry, ...] | Unseen:
    try:
        return tuple(FstabEntry(readable(e.spec), readable(e.path), e.at_boot) for e in fstab(root))
    except OSError as error:
        return Unseen(f"/etc/fstab cannot be read: {error.strerror}")


def _unit(root: Path, units: Units | None, name: str | None) -> Unit | Unseen:
    if name is None:
        return Unseen("no unit of the workload was named: whether it starts at boot is not known")
    exists = unit_file(root, name) is not None
    try:
        triggers = units.triggered_by(name) if exists and units is not None else ()
        stopped_with = _stopped_with(root, units, name) if exists and units is not None else ()
    except GateFailed as error:
        return Unseen(str(error))
    others = tuple(dict.fromkeys((*triggers, *named_in(root, name))))
    starts_by = tuple(link.path for link in own_links(root, name))
    return Unit(name, exists, starts_by, vendor_links(root, name), others, stopped_with)


def _stopped_with(root: Path, units: Units, name: str) -> tuple[StoppedWith, ...]:
    """All but mounts: these are there before the workload."""
    others = [other for other in units.stopped_with(name) if not other.endswith((".mount", ".automount"))]
    return tuple(StoppedWith(other, _starts(root, units, other, {name, *others})) for other in others)


def _starts(root: Path, units: Units, unit: str, together: set[str]) -> tuple[str, ...]:
    """What has it started, but for those that are stopped with it."""
    own = tuple(link.path for link in own_links(root, unit))
    links = [link for link in (*own, *vendor_links(root, unit)) if Path(link).parent.stem not in together]
    others = {*units.triggered_by(unit), *named_in(root, unit)} - together
    return (*links, *sorted(others))


def _running(root: Path) -> frozenset[str]:
    """The names of the programs that run."""
    found: set[str] = set()
    for process in (root / "proc").glob("[0-9]*/comm"):
        try:
            found.add(process.read_bytes().decode("utf-8", "replace").strip())
        except OSError:  # it has ended meanwhile
            continue
    return frozenset(found)
