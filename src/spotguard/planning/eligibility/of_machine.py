"""Rules about what the machine shows of itself: disks, databases, mounts, the workload's unit."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from spotguard.planning.eligibility.facts import Database, DiskKind, Facts
from spotguard.planning.findings import Rule, Unseen, Verdict, care, fine, seen, stop

SWAP = "[SWAP]"
_64_BITS = ("x86_64", "aarch64")
_UNSTABLE = ("/dev/sd", "/dev/xvd", "/dev/nvme", "/dev/hd", "/dev/vd")


def nothing_lies_in_an_instance_store(facts: Facts) -> Verdict:
    """Its data end with the instance; no image and no snapshot holds them."""
    if isinstance(facts.machine.disks, Unseen):
        if seen(facts.surroundings.type_facts).instance_store:
            seen(facts.machine.disks)
        return fine("its type has no instance store")
    stores = [disk for disk in facts.machine.disks if disk.kind is DiskKind.INSTANCE_STORE]
    in_use = [disk for disk in stores if set(disk.mounted_at) - {SWAP}]
    if in_use:
        told = ", ".join(f"{disk.name} at {' and '.join(disk.mounted_at)}" for disk in in_use)
        return stop(
            f"an instance store is mounted ({told}): every move and every interruption loses what lies there",
            "move the data to an EBS volume; accept it only if all of it can be made again",
        )
    if stores:
        names = ", ".join(disk.name for disk in stores)
        return care(
            f"it has an instance store that holds no file system of ours to lose ({names})",
            "leave it for swap and scratch; a clone's is empty",
        )
    strange = [disk.name for disk in facts.machine.disks if disk.kind is DiskKind.OTHER]
    if strange and seen(facts.surroundings.type_facts).instance_store:
        seen(
            Unseen(
                f"its type has an instance store, and {', '.join(strange)} does not say what it is made of"
            )
        )
    return fine("no instance store is attached")


def no_database_is_copied_as_files(facts: Facts) -> Verdict:
    """A file copy of a running database is not consistent (docs/scope.md)."""
    found = seen(facts.machine.databases)
    copied = [one for one in found if _is_copied(one, facts.state_path)]
    torn = [one for one in copied if one.running and not one.replicated]
    if torn:
        return stop(
            f"{_list(torn)} runs under the state path: a file copy of a running database is not consistent, and "
            "a standby that is promoted after a sudden death would start from one",
            "give the standby the database's own replication and leave its folder out of state_path, or move by "
            "volume and image only (no state_path)",
        )
    if copied:
        return care(
            f"{_list(copied)} lies under the state path: its files are whole only while it is stopped",
            "keep it stopped, or use its own replication",
        )
    running = [one for one in found if one.running]
    if running:
        return care(
            f"{_list(running)} runs here and is not under the state path: a standby will not have its data; a move "
            "by image or volume stops only the workload named to SpotGuard",
            "stop it with the workload (a unit that PartOf= the workload's), or use its own replication",
        )
    if found:
        return care(
            f"{_list(found)} lies here and does not run: an image holds it as it is, a standby does not",
            "nothing, if nobody needs it",
        )
    return fine("no PostgreSQL, MySQL or MariaDB data directory was found")


def _is_copied(database: Database, state_path: str | None) -> bool:
    if state_path is None:
        return False
    folder, copied = PurePosixPath(database.folder), PurePosixPath(state_path)
    return folder.is_relative_to(copied) or copied.is_relative_to(folder)


def _list(databases: Iterable[Database]) -> str:
    return ", ".join(f"{one.engine} ({one.folder})" for one in databases)


def its_disks_are_mounted_by_uuid(facts: Facts) -> Verdict:
    """Device names change between types and even boots."""
    by_name = [entry for entry in seen(facts.machine.fstab) if entry.spec.startswith(_UNSTABLE)]
    if by_name:
        told = ", ".join(f"{entry.spec} at {entry.path}" for entry in by_name)
        return care(
            f"/etc/fstab names disks by device ({told}): on another type the name may be another disk's, or "
            "nobody's, and the machine may not boot",
            "name them by UUID= or LABEL= (blkid tells), with nofail for all but the root",
        )
    return fine("/etc/fstab names no disk by its device")


def its_architecture_has_64_bits(facts: Facts) -> Verdict:
    """Pools differ in architecture; current types have 64 bits."""
    if facts.machine.architecture in _64_BITS:
        return fine(f"{facts.machine.architecture}: pools of the same architecture are considered")
    return stop(
        f"its kernel is {facts.machine.architecture}: hardly any type in the spot market boots it",
        "move the workload to a 64-bit image first",
    )


def the_workload_starts_only_when_told(facts: Facts) -> Verdict:
    """A clone must come up passive: a unit that starts at boot would serve twice."""
    unit = seen(facts.machine.unit)
    if not unit.exists:
        return stop(f"there is no unit {unit.name}", "name the workload's unit with --unit")
    if unit.vendor_links:
        return stop(
            f"{unit.name} is started at boot by {', '.join(unit.vendor_links)}, which belongs to a package",
            "take that link away in the way of the package, or give the workload a unit of your own under /etc",
        )
    if unit.triggered_by:
        return care(
            f"{unit.name} is also started by {', '.join(unit.triggered_by)}",
            "disable these too, let them PartOf= the workload's unit, or take it out of their Wants= and Requires=",
        )
    early = [one for one in unit.stopped_with if one.started_by]
    if early:
        told = "; ".join(f"{one.name}: by {', '.join(one.started_by)}" for one in early)
        return care(
            f"what stops with {unit.name} is started without it ({told}): on a clone it serves while the old one does",
            f"disable it, and let {unit.name} start it (Wants= and After=); it may run there only if it does nothing "
            "until the workload does",
        )
    if unit.starts_by:
        return care(
            f"{unit.name} starts at boot by itself", "installing ends that, uninstalling brings it back"
        )
    return fine(f"{unit.name} does not start at boot by itself")


RULES: tuple[Rule[Facts], ...] = (
    Rule(nothing_lies_in_an_instance_store, "docs/scope.md"),
    Rule(no_database_is_copied_as_files, "docs/scope.md"),
    Rule(its_disks_are_mounted_by_uuid, "docs/enrolment.md"),
    Rule(its_architecture_has_64_bits, "docs/enrolment.md"),
    Rule(the_workload_starts_only_when_told, "docs/settings.md"),
)
